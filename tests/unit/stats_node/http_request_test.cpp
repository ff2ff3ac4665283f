#include "stats_node/http_request.hpp"

#include <catch2/catch.hpp>
#include <string>

namespace tempest::stats_node {

namespace {

int status_of(const std::string& input) {
  return read_http_request(input).status;
}

}  // namespace

TEST_CASE("a request of HTTP is read as soon as its empty line has come") {
  const std::string whole = "GET /metrics?x=1 HTTP/1.1\r\nHost: here\r\nAccept: */*\r\n\r\n";
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK(status_of(whole.substr(0, size)) == 0);
  }
  const HttpRequest request = read_http_request(whole + "GET /livez");
  CHECK(request.status == 200);
  CHECK(request.bytes == whole.size());
  CHECK(request.path == "/metrics");
  CHECK(request.keeps_open);
  CHECK_FALSE(request.is_head);
}

TEST_CASE("a connection stays open as its HTTP request wants") {
  CHECK_FALSE(read_http_request("GET / HTTP/1.0\r\n\r\n").keeps_open);
  CHECK(read_http_request("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").keeps_open);
  CHECK_FALSE(read_http_request("GET / HTTP/1.1\r\nconnection: close\r\n\r\n").keeps_open);
}

TEST_CASE("what is no request of HTTP, or asks for more than there is, is refused") {
  CHECK(status_of("nonsense\r\n\r\n") == 400);
  CHECK(status_of("GET / SMTP/1.1\r\n\r\n") == 400);
  CHECK(status_of("GET / HTTP/2.0\r\n\r\n") == 505);
  CHECK(status_of("POST / HTTP/1.1\r\n\r\n") == 405);
  CHECK(status_of("GET x HTTP/1.1\r\n\r\n") == 400);
  CHECK(status_of("GET / HTTP/1.1\r\nno header\r\n\r\n") == 400);
  CHECK(status_of("GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n") == 413);
  CHECK(status_of("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n") == 413);
  CHECK(status_of("GET /" + std::string(kMaxHttpHeadBytes, 'x')) == 431);
  CHECK_FALSE(read_http_request("POST / HTTP/1.1\r\n\r\n").keeps_open);
}

TEST_CASE("an answer to HEAD says how long it would be") {
  const HttpRequest head = read_http_request("HEAD /livez HTTP/1.1\r\n\r\n");
  const std::string answer = http_answer(head, 200, "text/plain", "ok\n");
  CHECK_THAT(answer, Catch::Contains("Content-Length: 3\r\n"));
  CHECK_THAT(answer, Catch::EndsWith("\r\n\r\n"));
}

}  // namespace tempest::stats_node

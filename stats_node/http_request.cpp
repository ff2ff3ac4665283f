#include "stats_node/http_request.hpp"

#include <algorithm>
#include <cctype>

namespace tempest::stats_node {

namespace {

std::string_view reason_of(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 413:
      return "Content Too Large";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Bad Request";
  }
}

bool same_word(std::string_view left, std::string_view right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(), [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) ==
           std::tolower(static_cast<unsigned char>(b));
  });
}

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") + 1 - begin);
}

/// Takes the text up to the end of a line, which is CR and LF or LF alone.
std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(text.size(), end == std::string_view::npos ? end : end + 1));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

/// Where the empty line ends; npos: it has not come yet.
std::size_t end_of_head(std::string_view input) {
  for (std::size_t at = 0; (at = input.find('\n', at)) != std::string_view::npos;) {
    ++at;
    if (input.substr(at).starts_with("\n")) return at + 1;
    if (input.substr(at).starts_with("\r\n")) return at + 2;
  }
  return std::string_view::npos;
}

int read_request_line(std::string_view line, HttpRequest& request) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return 400;
  const std::string_view method = line.substr(0, first);
  std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    return version.starts_with("HTTP/") ? 505 : 400;
  }
  request.keeps_open = version == "HTTP/1.1";
  request.is_head = method == "HEAD";
  if (method != "GET" && method != "HEAD") return 405;
  // Through a proxy, with the server's name before the path.
  if (target.starts_with("http://")) {
    target.remove_prefix(std::min(target.size(), target.find('/', 7)));
  }
  if (!target.starts_with('/') || target.find(' ') != std::string_view::npos) return 400;
  request.path = target.substr(0, target.find_first_of("?#"));
  return 200;
}

int read_header(std::string_view line, HttpRequest& request) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0) return 400;
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (same_word(name, "connection")) {
    if (same_word(value, "close")) request.keeps_open = false;
    if (same_word(value, "keep-alive")) request.keeps_open = true;
  }
  const bool has_body =
      (same_word(name, "content-length") && value != "0") || same_word(name, "transfer-encoding");
  return has_body ? 413 : 200;
}

}  // namespace

HttpRequest read_http_request(std::string_view input) {
  HttpRequest request;
  // Some clients send an empty line after a request.
  while (input.starts_with('\r') || input.starts_with('\n')) {
    input.remove_prefix(1);
    ++request.bytes;
  }
  const std::size_t end = end_of_head(input.substr(0, kMaxHttpHeadBytes));
  if (end == std::string_view::npos) {
    if (input.size() >= kMaxHttpHeadBytes) request.status = 431;
    return request;
  }
  request.bytes += end;
  std::string_view head = input.substr(0, end);
  request.status = read_request_line(take_line(head), request);
  while (request.status == 200) {
    const std::string_view line = take_line(head);
    if (line.empty()) break;
    request.status = read_header(line, request);
  }
  if (request.status != 200) request.keeps_open = false;
  return request;
}

std::string http_answer(const HttpRequest& request, int status, std::string_view type,
                        std::string_view body) {
  std::string answer = "HTTP/1.1 " + std::to_string(status) + " ";
  answer += reason_of(status);
  answer += "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
  if (!type.empty()) answer += "Content-Type: " + std::string(type) + "\r\n";
  if (status == 405) answer += "Allow: GET, HEAD\r\n";
  answer += request.keeps_open ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
  if (!request.is_head) answer += body;
  return answer;
}

}  // namespace tempest::stats_node

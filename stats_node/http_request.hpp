#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tempest::stats_node {

/// The most bytes of a request line and its headers together.
inline constexpr std::size_t kMaxHttpHeadBytes = 8192;

/// What was made of the bytes at the beginning of a connection's input.
struct HttpRequest {
  /// 0: more bytes are needed. 200: a request for `path`. Else the status to refuse it with; what
  /// follows it cannot be told from it then.
  int status = 0;
  std::size_t bytes = 0;  ///< Of the input, that it took.
  bool is_head = false;   ///< Its answer has no body.
  bool keeps_open = false;
  std::string path;  ///< Without what follows a '?'.
};

/// Reads a request of HTTP/1.0 or 1.1 without a body. Takes only GET and HEAD; passes over headers
/// that ask for something else than the whole answer, as a server may.
HttpRequest read_http_request(std::string_view input);

/// An answer: with the body left out where the request was a HEAD.
std::string http_answer(const HttpRequest& request, int status, std::string_view type,
                        std::string_view body);

}  // namespace tempest::stats_node

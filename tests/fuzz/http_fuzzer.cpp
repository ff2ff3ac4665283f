#include <string>

#include "input.hpp"
#include "stats_node/http_request.hpp"

/// What a client of a stats node may say.
using namespace tempest;
using fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  while (!input.empty()) {
    const auto request = stats_node::read_http_request(input);
    require(request.bytes <= input.size(), "more was taken than there is");
    if (request.status == 0) {
      require(input.size() < 2 * stats_node::kMaxHttpHeadBytes, "it waits for ever");
      return 0;
    }
    if (request.status != 200) return 0;
    require(request.bytes > 0, "nothing was taken");
    require(request.path.starts_with('/'), "a path of another form");
    input.remove_prefix(request.bytes);
  }
  return 0;
}

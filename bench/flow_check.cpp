#include "bench/flow_check.hpp"

#include <string>

namespace tempest::bench {

namespace {

std::string said(std::uint64_t number) {
  return std::to_string(number);
}

Error failed(std::string message) {
  return Error{ErrorCode::fail, std::move(message)};
}

}  // namespace

Result<void> check_flow(const Settings& settings, const SourceCounts& source,
                        const NodeCounts& nodes) {
  if (source.acked != source.given || nodes.read != source.given || nodes.acked != source.given) {
    return failed("the source gave " + said(source.given) + " messages and was told to ack " +
                  said(source.acked) + "; its node read " + said(nodes.read) + " and acked " +
                  said(nodes.acked));
  }
  if (settings.count > 0 && source.acked != settings.count) {
    return failed("acked " + said(source.acked) + " messages of " + said(settings.count));
  }
  const std::vector<BenchTask> tasks = tasks_of(settings);
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    const std::uint64_t expected = source.acked * tasks[i].handled_each;
    if (nodes.handled[i] >= expected) continue;
    return failed("the task " + tasks[i].name + " handled " + said(nodes.handled[i]) +
                  " deliveries of " + said(expected));
  }
  return {};
}

}  // namespace tempest::bench

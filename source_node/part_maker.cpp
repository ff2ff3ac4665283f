#include "source_node/part_maker.hpp"

#include "tempest/builtin/configure_part.hpp"
#include "tempest/builtin/sink_factory.hpp"
#include "tempest/builtin/source_factory.hpp"

namespace tempest::source_node {

Result<std::unique_ptr<Source>> PartMaker::make_source(const Plan& plan) {
  if (auto loaded = load(plan, plan.source.endpoint.type); !loaded) return loaded.error();
  const FailureDefinition& failure = plan.failure;
  const bool failures_are_kept =
      failure.handler ||
      (failure.dead_letter && failure.rule(false).policy == FailurePolicy::retry);
  return builtin::create_source(plan.source, plan.topology, consumer_, libraries_,
                                failures_are_kept);
}

Result<std::unique_ptr<Sink>> PartMaker::make_dead_letter_sink(const Plan& plan) {
  const Endpoint& sink = *plan.failure.dead_letter;
  if (auto loaded = load(plan, sink.type); !loaded) return loaded.error();
  return builtin::create_sink(sink, libraries_);
}

Result<std::unique_ptr<FailureHandler>> PartMaker::make_failure_handler(const Plan& plan) {
  const FailureHandlerDefinition& definition = *plan.failure.handler;
  if (auto loaded = load(plan, definition.uses); !loaded) return loaded.error();
  auto handler = libraries_.create_failure_handler(definition.uses);
  if (!handler) return handler;
  const auto configured = builtin::configure_part(
      "failure handler", definition.uses, **handler, definition.config,
      [&](const Settings& settings) { return (*handler)->configure(settings); });
  if (!configured) return configured.error();
  return handler;
}

Result<void> PartMaker::load(const Plan& plan, const std::string& part) {
  if (part.find(':') == std::string::npos) return {};
  return runtime::load_used_libraries(places_, plan.libraries, {part}, libraries_);
}

}  // namespace tempest::source_node

#pragma once

#include <memory>
#include <string>

#include "source_node/plan.hpp"
#include "tempest/base/result.hpp"
#include "tempest/failure.hpp"
#include "tempest/runtime/topology_libraries.hpp"
#include "tempest/sink.hpp"
#include "tempest/source.hpp"

namespace tempest::source_node {

/// Makes what a plan names, built in or from a library, which is loaded when it is first needed.
/// None of it is opened. For one thread. Errors: `configuration`.
class PartMaker {
 public:
  /// `consumer`: SourceNodeOptions::consumer.
  PartMaker(std::string consumer, runtime::LibraryPlaces places)
      : consumer_(std::move(consumer)), places_(std::move(places)) {}

  Result<std::unique_ptr<Source>> make_source(const Plan& plan);
  /// The plan has one.
  Result<std::unique_ptr<Sink>> make_dead_letter_sink(const Plan& plan);
  /// The plan has one.
  Result<std::unique_ptr<FailureHandler>> make_failure_handler(const Plan& plan);

 private:
  Result<void> load(const Plan& plan, const std::string& part);

  std::string consumer_;
  runtime::LibraryPlaces places_;
  runtime::TaskLibraries libraries_;
};

}  // namespace tempest::source_node

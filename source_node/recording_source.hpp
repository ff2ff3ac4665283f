#pragma once

#include <memory>

#include "source_node/flow_record.hpp"
#include "tempest/source.hpp"

namespace tempest::source_node {

/// A source that keeps a record of what another reads and acks.
class RecordingSource : public Source {
 public:
  /// `rate`: the messages per second of a source that numbers them from 0 in SourceToken::low, so
  /// that it is known when each was due; 0: no latencies.
  RecordingSource(std::unique_ptr<Source> source, FlowRecordFile record, double rate);

  Result<void> open() override;
  Result<void> poll(std::size_t max_messages, Duration wait, SourceBatch& batch) override;
  void interrupt() override { source_->interrupt(); }
  Result<void> ack(std::span<const SourceToken> tokens) override;
  Result<bool> write_and_ack(Sink& sink, std::span<const Message> messages,
                             std::span<const SourceToken> tokens) override {
    return source_->write_and_ack(sink, messages, tokens);
  }
  Result<void> leave(std::span<const SourceToken> tokens) override {
    return source_->leave(tokens);
  }
  Result<void> give_back(std::span<const SourceToken> tokens) override {
    return source_->give_back(tokens);
  }
  Result<bool> drained() override { return source_->drained(); }
  void abandon() override { source_->abandon(); }
  Duration tend_interval() const override { return source_->tend_interval(); }
  Result<void> tend(SourceTended& done) override { return source_->tend(done); }
  std::vector<std::string> take_warnings() override { return source_->take_warnings(); }
  bool is_finite() const override { return source_->is_finite(); }
  bool gives_again() const override { return source_->gives_again(); }
  std::string describe(const SourceToken& token) const override { return source_->describe(token); }

 private:
  void record_latencies(std::span<const SourceToken> tokens, std::uint64_t now_ns);

  std::unique_ptr<Source> source_;
  FlowRecordFile record_;
  double interval_ns_;  ///< Between two messages; 0: as fast as they are taken.
  std::uint64_t opened_ns_ = 0;
};

}  // namespace tempest::source_node

#include "source_node/recording_source.hpp"

#include "tempest/runtime/clock.hpp"

namespace tempest::source_node {

namespace {

std::uint64_t now_ns() {
  return static_cast<std::uint64_t>(runtime::monotonic_now().time_since_epoch().count());
}

/// One thread writes: a plain addition will do.
void add(std::atomic<std::uint64_t>& number, std::uint64_t more) {
  number.store(number.load(std::memory_order_relaxed) + more, std::memory_order_release);
}

}  // namespace

RecordingSource::RecordingSource(std::unique_ptr<Source> source, FlowRecordFile record, double rate)
    : source_(std::move(source)),
      record_(std::move(record)),
      interval_ns_(rate > 0 ? 1e9 / rate : 0) {}

Result<void> RecordingSource::open() {
  auto opened = source_->open();
  if (opened_ns_ == 0) opened_ns_ = now_ns();
  if (opened) record_->gives_again = source_->gives_again();
  return opened;
}

Result<void> RecordingSource::poll(std::size_t max_messages, Duration wait, SourceBatch& batch) {
  if (record_->end && source_->is_finite()) {
    batch.ended = true;
    return {};
  }
  const std::size_t before = batch.size();
  auto polled = source_->poll(max_messages, wait, batch);
  const std::size_t count = batch.size() - before;
  if (count > 0 && !batch.redelivered) {
    if (record_->first_read_ns == 0) record_->first_read_ns = now_ns();
    add(record_->read, count);
  }
  return polled;
}

Result<void> RecordingSource::ack(std::span<const SourceToken> tokens) {
  auto acked = source_->ack(tokens);
  if (!acked) return acked;
  const std::uint64_t now = now_ns();
  if (interval_ns_ > 0) record_latencies(tokens, now);
  if (record_->first_ack_ns == 0) record_->first_ack_ns = now;
  record_->last_ack_ns = now;
  add(record_->acked, tokens.size());
  return acked;
}

void RecordingSource::record_latencies(std::span<const SourceToken> tokens, std::uint64_t now) {
  for (const SourceToken& token : tokens) {
    const auto since_open =
        static_cast<std::uint64_t>(static_cast<double>(token.low) * interval_ns_);
    const std::uint64_t due = opened_ns_ + since_open;
    add(record_->latencies[FlowRecord::bucket_of(now > due ? now - due : 0)], 1);
  }
}

}  // namespace tempest::source_node

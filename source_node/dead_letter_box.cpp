#include "source_node/dead_letter_box.hpp"

#include <utility>

namespace tempest::source_node {

namespace {

// A topology may allow any number of attempts; what a person needs is the last few.
constexpr std::size_t kMaxAttemptsKept = 16;

}  // namespace

std::size_t DeadLetter::size_bytes() const {
  std::size_t bytes = sizeof(DeadLetter) + topology.size() + version.size() + payload.size() +
                      key.size() + failing_payload.size() + replayed.size();
  for (const FailedAttempt& one : attempts) bytes += one.size_bytes();
  return bytes;
}

void DeadLetterBox::add(std::uint32_t slot, DeadLetter letter) {
  gathering_bytes_ += letter.size_bytes();
  gathering_.push_back({slot, std::move(letter)});
}

std::optional<DeadLetterRequest> DeadLetterBox::next(TimePoint now) {
  if (out_ || !sink_.may_try(now)) return std::nullopt;
  if (!batch_) {
    if (gathering_.empty()) return std::nullopt;
    DeadLetters batch;
    while (!gathering_.empty() && batch_bytes_ < kBatchBytes && batch.size() < kBatchLetters) {
      Gathered& first = gathering_.front();
      batch_bytes_ += first.letter.size_bytes();
      batch_slots_.push_back(first.slot);
      batch.push_back(std::move(first.letter));
      gathering_.pop_front();
    }
    gathering_bytes_ -= batch_bytes_;
    batch_ = std::make_shared<const DeadLetters>(std::move(batch));
  }
  out_ = true;
  return DeadLetterRequest{batch_};
}

std::vector<std::uint32_t> DeadLetterBox::written() {
  out_ = false;
  batch_.reset();
  batch_bytes_ = 0;
  return std::exchange(batch_slots_, {});
}

bool DeadLetterBox::failed(TimePoint now) {
  out_ = false;
  return sink_.failed(now);
}

void FailureBox::add(std::uint32_t slot, DeadLetter letter) {
  gathering_bytes_ += letter.size_bytes();
  slots_.push_back(slot);
  gathering_.push_back(std::move(letter));
}

std::optional<ChooseRequest> FailureBox::next() {
  if (out_ || gathering_.empty()) return std::nullopt;
  out_ = std::make_shared<DeadLetters>(std::exchange(gathering_, {}));
  out_bytes_ = std::exchange(gathering_bytes_, 0);
  slots_out_ = std::exchange(slots_, {});
  return ChooseRequest{out_};
}

std::vector<FailureBox::Failed> FailureBox::answered() {
  std::vector<Failed> failed;
  if (!out_) return failed;
  for (std::size_t i = 0; i < slots_out_.size(); ++i) {
    failed.push_back({slots_out_[i], std::move((*out_)[i])});
  }
  out_.reset();
  out_bytes_ = 0;
  return failed;
}

void AttemptLedger::add(std::uint32_t slot, FailedAttempt attempt) {
  auto& attempts = attempts_[slot];
  if (attempts.size() == kMaxAttemptsKept) {
    bytes_ -= attempts.front().size_bytes();
    attempts.erase(attempts.begin());
  }
  if (bytes_ >= kWholeReasonBytes && attempt.reason.size() > kShortReasonBytes) {
    attempt.reason = attempt.reason.substr(0, kShortReasonBytes) + "...";
  }
  bytes_ += attempt.size_bytes();
  attempts.push_back(std::move(attempt));
}

std::vector<FailedAttempt> AttemptLedger::take(std::uint32_t slot) {
  const auto found = attempts_.find(slot);
  if (found == attempts_.end()) return {};
  std::vector<FailedAttempt> attempts = std::move(found->second);
  for (const FailedAttempt& attempt : attempts) bytes_ -= attempt.size_bytes();
  attempts_.erase(found);
  return attempts;
}

}  // namespace tempest::source_node

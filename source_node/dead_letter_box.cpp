#include "source_node/dead_letter_box.hpp"

#include <utility>

namespace tempest::source_node {

namespace {

// A topology may allow any number of attempts; what a person needs is the last few.
constexpr std::size_t kMaxAttemptsKept = 16;

}  // namespace

void DeadLetterBox::add(std::uint32_t slot, DeadLetter letter) {
  gathering_.push_back(std::move(letter));
  gathering_slots_.push_back(slot);
}

std::optional<DeadLetterRequest> DeadLetterBox::next(TimePoint now) {
  if (out_ || !sink_.may_try(now)) return std::nullopt;
  if (!batch_) {
    if (gathering_.empty()) return std::nullopt;
    batch_ = std::make_shared<const DeadLetters>(std::exchange(gathering_, {}));
    batch_slots_ = std::exchange(gathering_slots_, {});
  }
  out_ = true;
  return DeadLetterRequest{batch_};
}

std::vector<std::uint32_t> DeadLetterBox::written() {
  out_ = false;
  batch_.reset();
  return std::exchange(batch_slots_, {});
}

bool DeadLetterBox::failed(TimePoint now) {
  out_ = false;
  return sink_.failed(now);
}

void FailureBox::add(std::uint32_t slot, DeadLetter letter) {
  slots_.push_back(slot);
  gathering_.push_back(std::move(letter));
}

std::optional<ChooseRequest> FailureBox::next() {
  if (out_ || gathering_.empty()) return std::nullopt;
  out_ = std::make_shared<DeadLetters>(std::exchange(gathering_, {}));
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
  return failed;
}

void AttemptLedger::add(std::uint32_t slot, FailedAttempt attempt) {
  auto& attempts = attempts_[slot];
  if (attempts.size() == kMaxAttemptsKept) attempts.erase(attempts.begin());
  attempts.push_back(std::move(attempt));
}

std::vector<FailedAttempt> AttemptLedger::take(std::uint32_t slot) {
  const auto found = attempts_.find(slot);
  if (found == attempts_.end()) return {};
  std::vector<FailedAttempt> attempts = std::move(found->second);
  attempts_.erase(found);
  return attempts;
}

}  // namespace tempest::source_node

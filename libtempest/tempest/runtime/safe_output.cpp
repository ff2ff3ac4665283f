#include "tempest/runtime/safe_output.hpp"

#include <cerrno>
#include <iostream>
#include <mutex>
#include <streambuf>
#include <string>

#include "tempest/base/safe_text.hpp"

namespace tempest::runtime {

namespace {

/// Several threads may write to it at once, as to the standard streams: tasks of users do.
class SafeBuffer : public std::streambuf {
 public:
  explicit SafeBuffer(std::streambuf* to) : to_(to) {}

  std::streambuf* to() const { return to_; }
  int error() const {
    const std::lock_guard lock(mutex_);
    return error_;
  }

 protected:
  std::streamsize xsputn(const char* bytes, std::streamsize size) override {
    const std::lock_guard lock(mutex_);
    made_.clear();
    stream_.append({bytes, static_cast<std::size_t>(size)}, made_);
    return write() ? size : 0;
  }
  int_type overflow(int_type byte) override {
    if (traits_type::eq_int_type(byte, traits_type::eof())) return traits_type::not_eof(byte);
    const char c = traits_type::to_char_type(byte);
    return xsputn(&c, 1) == 1 ? byte : traits_type::eof();
  }
  int sync() override {
    const std::lock_guard lock(mutex_);
    return checked(to_->pubsync() == 0) ? 0 : -1;
  }

 private:
  bool write() {
    const auto size = static_cast<std::streamsize>(made_.size());
    return checked(to_->sputn(made_.data(), size) == size);
  }
  bool checked(bool written) {
    if (!written && error_ == 0) error_ = errno != 0 ? errno : EIO;
    return written;
  }

  mutable std::mutex mutex_;
  std::streambuf* to_;
  SafeStream stream_;
  std::string made_;
  int error_ = 0;
};

/// Never destroyed, as the standard streams are not: destructors of others may still print.
SafeBuffer& safe_buffer_of(std::ostream& stream) {
  auto* buffer = new SafeBuffer(stream.rdbuf());
  stream.rdbuf(buffer);
  return *buffer;
}

SafeBuffer* output = nullptr;

}  // namespace

void make_output_safe() {
  if (output != nullptr) return;
  output = &safe_buffer_of(std::cout);
  safe_buffer_of(std::cerr);
}

int flush_output() {
  std::cout.flush();
  return output == nullptr ? 0 : output->error();
}

std::ostream& raw_output() {
  static std::ostream raw(output != nullptr ? output->to() : std::cout.rdbuf());
  return raw;
}

}  // namespace tempest::runtime

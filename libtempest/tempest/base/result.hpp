#pragma once

#include <cassert>
#include <string>
#include <utility>
#include <variant>

#include "tempest/base/time.hpp"

namespace tempest {

/// Everything that can go wrong in Tempest, as a closed list. What a reader of the message needs
/// to know beyond that stands in Error::message.
enum class ErrorCode {
  invalid_argument,  ///< A value is not of the form it must have.
  configuration,     ///< A file or an option is wrong; a retry does not help.
  not_found,         ///< Something that was named does not exist.
  unavailable,       ///< A peer or a server cannot be reached now; a retry may help.
  timeout,           ///< No answer in time.
  io,                ///< Reading or writing failed.
  protocol,          ///< A peer sent what the protocol does not allow.
  limit,             ///< A bound was reached.
  retry,             ///< A task asks for another attempt.
  fail,              ///< A task says that another attempt would not help.
  internal,          ///< Our fault.
};

/// The name of a code, as it is written to logs and dead letters.
const char* to_string(ErrorCode code);

/// A failure: what kind, in words, and (for `retry`) after how long another attempt makes sense.
struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;
  Duration retry_after{0};  ///< Zero: by the topology's backoff.

  /// A peer or server is not there, or does not answer: another time it may.
  bool means_away() const { return code == ErrorCode::unavailable || code == ErrorCode::timeout; }
};

/// A value or an Error. Tempest's functions return it in place of throwing.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & { return *checked_value(); }
  const T& value() const& { return *const_cast<Result*>(this)->checked_value(); }
  T&& value() && { return std::move(*checked_value()); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return checked_value(); }
  const T* operator->() const { return const_cast<Result*>(this)->checked_value(); }

  const Error& error() const {
    assert(!ok());
    return *std::get_if<1>(&state_);
  }

 private:
  T* checked_value() {
    assert(ok());
    return std::get_if<0>(&state_);
  }

  std::variant<T, Error> state_;
};

/// Success without a value, or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)), ok_(false) {}  // NOLINT: implicit

  bool ok() const { return ok_; }
  explicit operator bool() const { return ok_; }
  const Error& error() const {
    assert(!ok_);
    return error_;
  }

 private:
  Error error_;
  bool ok_ = true;
};

}  // namespace tempest

#pragma once

#include <cstring>
#include <type_traits>

namespace tempest {

/// A value that lies at any multiple of four bytes: so that a record of 32-bit numbers is not
/// padded for the sake of the one number or pointer in it that is longer. Costs no instructions
/// where unaligned loads cost none.
template <typename T>
class LooselyAligned {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  LooselyAligned() : LooselyAligned(T{}) {}
  LooselyAligned(T value) { std::memcpy(bytes_, &value, sizeof(bytes_)); }  // NOLINT: implicit

  operator T() const {  // NOLINT: implicit
    T value;
    std::memcpy(&value, bytes_, sizeof(bytes_));
    return value;
  }

 private:
  alignas(4) unsigned char bytes_[sizeof(T)];  // NOLINT(bugprone-sizeof-expression)
};

}  // namespace tempest

#pragma once

#include <cstdint>
#include <string_view>

namespace tempest {

/// FNV-1a, 64 bits, with splitmix64's finalizer so that the low bits are good enough to pick a
/// slot by. The same on every machine: it decides which worker a key belongs to, and a topology's
/// version is made of it.
inline std::uint64_t hash_bytes(std::string_view bytes) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : bytes) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3ULL;
  }
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9ULL;
  hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebULL;
  return hash ^ (hash >> 31);
}

}  // namespace tempest

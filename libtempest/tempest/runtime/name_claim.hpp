#pragma once

#include <string>
#include <string_view>

namespace tempest::runtime {

/// A name that no other living process of this host has claimed for the same purpose: `base`, or
/// the first of `base-2`, `base-3`, ... that is free. The kernel lets go of it with this, or with
/// the process, however that ends: so a process that is started again has the name it had, as long
/// as no other has come in between. Leaves nothing in the file system.
class NameClaim {
 public:
  NameClaim(std::string_view purpose, const std::string& base);
  ~NameClaim();
  NameClaim(const NameClaim&) = delete;
  NameClaim& operator=(const NameClaim&) = delete;

  const std::string& name() const { return name_; }

 private:
  std::string name_;
  int socket_ = -1;
};

}  // namespace tempest::runtime

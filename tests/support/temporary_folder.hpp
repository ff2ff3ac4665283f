#pragma once

#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>

#include "tempest/runtime/scratch_folder.hpp"

namespace tempest::test {

/// A folder of a test's own, gone at the end with all that is in it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    if (!folder_.exists()) throw std::runtime_error("no temporary folder");
  }

  std::string path(std::string_view name) const { return folder_.file(std::string(name)); }

  /// Returns the file's path.
  std::string write(std::string_view name, std::string_view content) const {
    std::ofstream(path(name), std::ios::binary) << content;
    return path(name);
  }
  std::string read(std::string_view name) const {
    std::ifstream file(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

 private:
  runtime::ScratchFolder folder_{"tempest-test-"};
};

}  // namespace tempest::test

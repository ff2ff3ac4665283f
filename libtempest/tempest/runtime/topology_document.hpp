#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace tempest::runtime {

/// A place in a file, both from 1; columns count characters, not bytes.
struct Position {
  int line = 1;
  int column = 1;

  auto operator<=>(const Position&) const = default;
};

/// A fault of a file, for people.
struct Diagnostic {
  std::string file;
  int line = 1;  ///< 0: the fault has no place in the file, or there is no file to read.
  int column = 1;
  std::string message;

  /// "Topology.toml:12:3: ...".
  std::string text() const;
};

struct DocumentValue;

/// A table as it stands in the file: keys in the order of their places.
struct DocumentTable {
  struct Entry;
  std::vector<Entry> entries;

  const Entry* find(std::string_view key) const;
};

using DocumentList = std::vector<DocumentValue>;

/// A value of a kind that topologies do not use: a date or a time.
struct DocumentMoment {};

/// A TOML value with the place where it stands.
struct DocumentValue {
  Position position;
  std::variant<std::string, std::int64_t, double, bool, DocumentMoment, DocumentTable, DocumentList>
      data;

  template <typename T>
  const T* as() const {
    return std::get_if<T>(&data);
  }
};

struct DocumentTable::Entry {
  std::string key;
  Position position;  ///< Of the key.
  DocumentValue value;
};

/// Reads any text as TOML. False: it is none, and one more diagnostic says where and why.
bool parse_document(std::string_view text, const std::string& file, DocumentTable& document,
                    std::vector<Diagnostic>& diagnostics);

}  // namespace tempest::runtime

#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace tempest::runtime {

/// A stretch of a TOML text. Strings and comments are whole pieces, with their delimiters; what
/// lies between them is bare.
struct TomlPiece {
  enum class Kind { bare, comment, basic, literal, multiline_basic, multiline_literal };
  Kind kind = Kind::bare;
  std::size_t begin = 0;
  std::size_t end = 0;  ///< One past the last byte.
};

/// Cuts any text into pieces that cover it without gaps. A string that does not end runs to the end
/// of its line (of the text, if it is a multi-line one): the parser proper complains about it.
std::vector<TomlPiece> split_toml(std::string_view text);

}  // namespace tempest::runtime

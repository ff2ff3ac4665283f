#pragma once

#include <string>
#include <string_view>

/// What a log's files are called once they have been put aside.
namespace tempest::builtin {

/// Returns true if a file `name` beside the log `base` is an older part of it by its name:
/// "app.log.1", "app.log-20261128", "app.log.old", "app.1.log", "app-2026-11-28.log". A name that
/// could as well be another log ("app-2.log", "app.log.lock") is none.
bool is_rotated_name(std::string_view base, std::string_view name);

/// Returns the name without ".gz", ".zst" and the like; empty if it has nothing of the kind.
std::string_view name_before_compression(std::string_view name);

/// Returns true if the names differ in their digits only: "app-20261127.log", "app-20261128.log".
bool have_same_shape(std::string_view left, std::string_view right);

}  // namespace tempest::builtin

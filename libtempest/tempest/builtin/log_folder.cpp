#include "tempest/builtin/log_folder.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <system_error>
#include <utility>

#include "tempest/builtin/rotation_names.hpp"

namespace tempest::builtin {
namespace {

namespace fs = std::filesystem;

std::string folder_of(const std::string& path) {
  std::error_code error;
  const fs::path folder = fs::path(path).parent_path();
  const fs::path whole = fs::canonical(folder.empty() ? fs::path(".") : folder, error);
  return error ? folder.string() : whole.string();
}

std::string name_of(const std::string& path) {
  return fs::path(path).filename().string();
}

/// Returns 2 for "log.2"; zero if a name does not end so.
std::uint64_t shifted_number(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  std::uint64_t number = 0;
  if (dot == std::string_view::npos) return 0;
  const char* const end = name.data() + name.size();
  const auto parsed = std::from_chars(name.data() + dot + 1, end, number);
  return parsed.ec == std::errc() && parsed.ptr == end ? number : 0;
}

/// Returns where the link at `path` leads to; empty if it is none.
std::string target_of(const std::string& path) {
  std::error_code error;
  if (!fs::is_symlink(path, error)) return {};
  const fs::path target = fs::canonical(path, error);
  return error ? std::string() : target.string();
}

/// By when they were written last. Clocks of file systems tick every few milliseconds: those
/// written in one tick are taken in the order in which they were made, and shifted numbers ("log.2"
/// before "log.1") as logrotate has them.
bool is_older(const FoundFile& left, const FoundFile& right) {
  const FileStatus& a = left.status;
  const FileStatus& b = right.status;
  if (a.modified_ns != b.modified_ns) return a.modified_ns < b.modified_ns;
  const std::uint64_t number = shifted_number(left.name);
  const std::uint64_t other = shifted_number(right.name);
  if (number != other && number > 0 && other > 0) return number > other;
  const auto made = std::make_pair(a.identity.born_ns, a.identity.inode);
  const auto other_made = std::make_pair(b.identity.born_ns, b.identity.inode);
  return made != other_made ? made < other_made : left.path < right.path;
}

}  // namespace

LogFolder::LogFolder(std::string path)
    : path_(std::move(path)),
      folder_(folder_of(path_)),
      name_(name_of(path_)),
      folders_({folder_}) {}

void LogFolder::also_beside(const std::string& path) {
  const std::string folder = folder_of(path);
  if (std::find(folders_.begin(), folders_.end(), folder) == folders_.end()) {
    folders_.push_back(folder);
  }
}

std::vector<FoundFile> LogFolder::list() const {
  std::vector<std::string> folders = folders_;
  const std::string target = target_of(path_);
  if (!target.empty()) folders.push_back(folder_of(target));
  std::sort(folders.begin(), folders.end());
  folders.erase(std::unique(folders.begin(), folders.end()), folders.end());

  std::vector<FoundFile> files;
  for (const std::string& folder : folders) {
    std::error_code error;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
         entry.increment(error)) {
      const std::string path = entry->path().string();
      const auto status = status_of_entry(path);
      if (!status || status->kind != FileStatus::Kind::regular) continue;
      files.push_back({path, entry->path().filename().string(), *status});
    }
  }
  std::sort(files.begin(), files.end(), is_older);
  return files;
}

bool LogFolder::is_named_as_put_aside(const std::string& path, std::string_view name) const {
  const std::string folder = folder_of(path);
  if (folder == folder_ && is_rotated_name(name_, name)) return true;
  const std::string target = target_of(path_);
  if (target.empty() || folder != folder_of(target)) return false;
  const std::string target_name = name_of(target);
  return is_rotated_name(target_name, name) || have_same_shape(target_name, name);
}

bool LogFolder::is_put_aside(const FoundFile& file) const {
  return name_before_compression(file.name).empty() && is_named_as_put_aside(file.path, file.name);
}

bool LogFolder::is_compressed(const FoundFile& file) const {
  const std::string_view name = name_before_compression(file.name);
  return !name.empty() && is_named_as_put_aside(file.path, name);
}

std::string real_path_of(int descriptor, const std::string& otherwise) {
  std::error_code error;
  const fs::path path = fs::read_symlink("/proc/self/fd/" + std::to_string(descriptor), error);
  return error || !path.is_absolute() ? otherwise : path.string();
}

}  // namespace tempest::builtin

// Which file is which, after a restart, a rotation or a cut: the other part of FollowedFiles.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string_view>

#include "tempest/builtin/followed_files.hpp"

namespace tempest::builtin {
namespace {

/// So many older files are remembered at the first start.
constexpr std::size_t kMaxOlder = 32;
/// So many files are held open, and some more for the path's.
constexpr std::size_t kMaxHeldForPath = 60;
/// A few bytes tell no file from another that begins alike.
constexpr std::uint64_t kTellingBytes = 256;

/// A file that grew within this time was probably written to when it was cut.
constexpr Duration kGrowing = std::chrono::seconds(1);

constexpr const char* kLostBetween = "what was written between the copying and the cutting is lost";

std::string in_quotes(const std::string& path) {
  return "\"" + path + "\"";
}

FileDescriptor open_to_read(const std::string& path) {
  return FileDescriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
}

bool has_content(const FoundFile& found, std::uint64_t offset, const Fingerprint& content) {
  if (found.status.size < offset) return false;
  const FileDescriptor file = open_to_read(found.path);
  return file.is_open() && fingerprint_at(file.get(), offset) == content;
}

bool has_start(int file, std::uint64_t bytes, std::uint64_t hash) {
  const std::string start = bytes_at(file, 0, std::min<std::uint64_t>(bytes, kHeadBytes));
  return start.size() == bytes && (bytes == 0 || content_hash(start) == hash);
}

/// The moment a file was written last, by the clock of this process.
TimePoint written_at(std::int64_t modified_ns, TimePoint now) {
  const auto wall = std::chrono::system_clock::now().time_since_epoch();
  const Duration age = std::chrono::duration_cast<Duration>(wall) - Duration(modified_ns);
  return now - std::clamp(age, Duration::zero(), Duration(std::chrono::hours(24)));
}

bool follows_line_break(int file, std::uint64_t offset) {
  return offset == 0 || bytes_at(file, offset - 1, 1) == "\n";
}

}  // namespace

bool FollowedFiles::is_held(const FileIdentity& identity) const {
  return std::any_of(files_.begin(), files_.end(), [&](const FollowedFile& file) {
    return file.file.is_open() && file.identity == identity;
  });
}

// --- At the start ------------------------------------------------------------------------------

void FollowedFiles::note_older_files() {
  const auto at_path = status_of(options_.path);
  std::size_t noted = 0;
  Files found = folder_.list();
  for (auto file = found.rbegin(); file != found.rend(); ++file) {
    if (!folder_.is_put_aside(*file) || (at_path && at_path->identity == file->status.identity)) {
      continue;
    }
    if (++noted <= kMaxOlder) {
      note_as_read(*file);
    } else {
      horizon_ns_ = std::max(horizon_ns_, file->status.modified_ns);
    }
  }
}

void FollowedFiles::note_as_read(const FoundFile& found) {
  const FileDescriptor file = open_to_read(found.path);
  const auto content =
      file.is_open() ? fingerprint_at(file.get(), found.status.size) : std::nullopt;
  if (!content) return;
  FollowedFile noted;
  noted.number = next_number_++;
  noted.path = found.path;
  noted.identity = found.status.identity;
  noted.offset = noted.read_to = noted.size = found.status.size;
  noted.content = content;
  noted.skipping = !follows_line_break(file.get(), noted.offset);
  noted.modified_ns = found.status.modified_ns;
  noted.put_aside_at = TimePoint{};
  noted.finished = true;
  files_.push_front(std::move(noted));
  if (has_begun_) ++current_;
}

Result<void> FollowedFiles::resume(const SavedLines& saved, TimePoint now) {
  noted_older_ = true;
  horizon_ns_ = saved.horizon_ns;
  files_.clear();
  for (const SavedFile& file : saved.files) {
    if (!file.path.empty()) folder_.also_beside(file.path);
  }
  const Files found = folder_.list();
  const auto at_path = status_of(options_.path);
  const std::string obstacle = obstacle_to(saved, found);
  if (!obstacle.empty()) return cannot_read(obstacle);
  const std::uint64_t lost_before = lost_;
  for (const SavedFile& file : saved.files) restore(file, found, now);
  for (FollowedFile& file : files_) {
    const bool is_newest = at_path && file.identity == at_path->identity;
    if (!is_newest) file.put_aside_at = file.grew_at;
  }
  bool is_next = true;
  if (!at_path || !is_held(at_path->identity)) {
    count_compressed(saved, found, lost_ > lost_before);
    is_next = add_unread(found, now);
  }
  return begin_at_path(is_next, now);
}

std::string FollowedFiles::obstacle_to(const SavedLines& saved, const Files& found) const {
  // What cannot be seen now (a folder that is not mounted yet) is no reason to give it up.
  const FileDescriptor at_path(::open(options_.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  const int reason = errno;
  const bool is_missing = !at_path.is_open() && reason == ENOENT;
  if (!at_path.is_open() && (!is_missing || !options_.follow)) return std::strerror(reason);
  for (const SavedFile& file : saved.files) {
    if (file.finished) continue;
    for (const FoundFile& there : found) {
      if (there.status.identity == file.identity && !open_to_read(there.path).is_open()) {
        return in_quotes(there.path) + ": " + std::strerror(errno);
      }
    }
    const bool is_found = find_by_identity(found, file) != nullptr ||
                          (file.content && file.offset > 0 &&
                           find_by_content(found, file.offset, *file.content) != nullptr) ||
                          (file.offset == 0 && find_by_start(found, file) != nullptr);
    if (is_missing && !is_found) return std::strerror(reason);
  }
  return {};
}

void FollowedFiles::restore(const SavedFile& saved, const Files& found, TimePoint now) {
  const FoundFile* there = find_by_identity(found, saved);
  if (there == nullptr && saved.content && saved.offset > 0) {
    there = find_by_content(found, saved.offset, *saved.content);
  }
  if (there == nullptr && saved.offset == 0 && !saved.finished) {
    if (saved.size == 0 && saved.unacked == 0) return;
    there = find_by_start(found, saved);
  }
  if (there == nullptr) return not_found(saved, found);
  FollowedFile file;
  file.number = next_number_++;
  file.path = there->path;
  file.identity = there->status.identity;
  file.offset = file.read_to = saved.offset;
  file.skipping = saved.skipping;
  file.finished = saved.finished;
  file.content = saved.content;
  file.size = there->status.size;
  file.modified_ns = there->status.modified_ns;
  file.grew_at = written_at(file.modified_ns, now);
  if (!file.finished && saved.identity != file.identity && saved.identity != FileIdentity{}) {
    warn(in_quotes(saved.path) + " was copied to " + in_quotes(file.path) +
         " and cut, or made anew, while this source did not run: read on in the copy; " +
         kLostBetween);
  }
  if (!file.finished || file.size > file.offset) {
    if (!reopen(file, *there, now)) return not_found(saved, found);
  }
  files_.push_back(std::move(file));
}

bool FollowedFiles::reopen(FollowedFile& file, const FoundFile& found, TimePoint now) const {
  FileDescriptor opened = open_to_read(found.path);
  const auto status = opened.is_open() ? status_of(opened.get()) : std::nullopt;
  if (!status || status->identity != found.status.identity) return false;
  file.file = std::move(opened);
  file.path = found.path;
  file.identity = status->identity;
  file.size = status->size;
  file.modified_ns = status->modified_ns;
  file.grew_at = written_at(status->modified_ns, now);
  const std::uint64_t offset = file.read_to;
  const std::size_t tail_bytes = std::min<std::uint64_t>(offset, kTailBytes);
  file.head = bytes_at(file.file.get(), 0, std::min<std::uint64_t>(offset, kHeadBytes));
  file.before_read_to = bytes_at(file.file.get(), offset - tail_bytes, tail_bytes);
  return true;
}

const FoundFile* FollowedFiles::find_by_identity(const Files& found, const SavedFile& saved) const {
  if (saved.identity == FileIdentity{}) return nullptr;
  for (const FoundFile& file : found) {
    if (!(file.status.identity == saved.identity)) continue;
    // One that is shorter than it was has been cut, and may have grown again.
    const bool is_sizeless = file.status.size == 0 && saved.size == 0;
    if (file.status.size < std::max(saved.offset, saved.size) && !is_sizeless) continue;
    const FileDescriptor opened = open_to_read(file.path);
    if (!opened.is_open()) continue;
    const bool is_same_content =
        has_start(opened.get(), saved.start_bytes, saved.start_hash) &&
        (!saved.content || fingerprint_at(opened.get(), saved.offset) == saved.content);
    const bool is_line_begin =
        saved.skipping || saved.finished || follows_line_break(opened.get(), saved.offset);
    if (is_same_content && is_line_begin) return &file;
  }
  return nullptr;
}

const FoundFile* FollowedFiles::find_by_content(const Files& found, std::uint64_t offset,
                                                const Fingerprint& content) const {
  for (const FoundFile& file : found) {
    if (offset < kTellingBytes && !folder_.is_put_aside(file)) continue;
    if (!is_held(file.status.identity) && has_content(file, offset, content)) return &file;
  }
  return nullptr;
}

const FoundFile* FollowedFiles::find_by_start(const Files& found, const SavedFile& saved) const {
  for (const FoundFile& file : found) {
    const bool may_be = saved.start_bytes > 0 && folder_.is_put_aside(file) &&
                        file.status.size >= saved.start_bytes && !is_held(file.status.identity);
    if (!may_be) continue;
    if (has_start(open_to_read(file.path).get(), saved.start_bytes, saved.start_hash)) return &file;
  }
  return nullptr;
}

void FollowedFiles::not_found(const SavedFile& saved, const Files& found) {
  const std::string path = saved.path.empty() ? options_.path : saved.path;
  if (saved.finished || (!options_.follow && saved.offset == saved.size && saved.unacked == 0)) {
    if (saved.unacked > 0) {
      lose(saved.unacked, std::to_string(saved.unacked) + " lines of " + in_quotes(path) +
                              " were not done when this source ended, and cannot be read again: "
                              "the file was cut or removed");
    } else if (!saved.finished) {
      warn(in_quotes(path) + " is another file than at the checkpoint: read from its start");
    }
    return;
  }
  std::string text = in_quotes(path) +
                     " is another file than at the checkpoint, and what it was is "
                     "not beside it (cut, removed or compressed): its lines from "
                     "byte " +
                     std::to_string(saved.offset) + " on are lost (counted as " +
                     std::to_string(saved.unacked + 1) + ")";
  const bool is_compressed = std::any_of(found.begin(), found.end(), [&](const FoundFile& file) {
    return folder_.is_compressed(file) && file.status.modified_ns >= saved.modified_ns;
  });
  if (is_compressed) text += "; compress rotated files later, so that they can be read first";
  lose(saved.unacked + 1, text + "; what is there now is read from its start");
}

void FollowedFiles::count_compressed(const SavedLines& saved, const Files& found,
                                     bool one_is_counted) {
  const bool had_begun = std::any_of(saved.files.begin(), saved.files.end(),
                                     [](const SavedFile& file) { return !file.finished; });
  if (!had_begun) return;  // Whatever there is was put aside before the first start.
  std::int64_t last_ns = saved.horizon_ns;
  for (const SavedFile& file : saved.files) last_ns = std::max(last_ns, file.modified_ns);
  for (const FoundFile& file : found) {
    if (!folder_.is_compressed(file) || file.status.modified_ns <= last_ns) continue;
    // The first of them is what was being read, if that is not there any more.
    if (std::exchange(one_is_counted, false)) continue;
    lose(1, in_quotes(file.path) +
                " was written and compressed while this source did not run: its "
                "lines are lost (counted as 1); compress rotated files later, so "
                "that they can be read first");
  }
}

// --- After a rotation --------------------------------------------------------------------------

bool FollowedFiles::add_unread(const Files& found, TimePoint now) {
  const auto at_path = status_of(options_.path);
  for (const FoundFile& file : found) {
    const FileStatus& status = file.status;
    if (at_path && at_path->identity == status.identity) continue;
    if (!folder_.is_put_aside(file) || status.size == 0) continue;
    if (status.modified_ns <= horizon_ns_ || is_known(file, now)) continue;
    if (held() >= kMaxHeldForPath) return false;  // The next look finds the others.
    FileDescriptor opened = open_to_read(file.path);
    if (!opened.is_open()) {
      warn("cannot read " + in_quotes(file.path) + ", which was put aside unread");
      continue;
    }
    if (at_path && at_path->identity.born_ns > 0 &&
        status.identity.born_ns > at_path->identity.born_ns) {
      warn(in_quotes(file.path) + " is younger than " + in_quotes(options_.path) +
           ", which was copied to it and cut: " + kLostBetween);
    }
    FollowedFile& added = add(file.path, std::move(opened), now);
    added.grew_at = added.put_aside_at = written_at(status.modified_ns, now);
  }
  return true;
}

bool FollowedFiles::is_known(const FoundFile& found, TimePoint now) {
  for (std::size_t i = 0; i < files_.size(); ++i) {
    FollowedFile& file = files_[i];
    const std::uint64_t read_to = i == current_ && has_begun_ ? file.read_to : file.offset;
    if (!file.gone && file.identity == found.status.identity) {
      if (file.file.is_open()) return true;
      if (file.content && has_content(found, file.offset, *file.content)) {
        // Somebody has written to it after it was read to its end.
        if (found.status.size > file.offset) reopen(file, found, now);
        return true;
      }
      if (unacked_.count_of(file.number) > 0) {
        file.gone = file.spent = true;
      } else {
        erase(i--);
      }
    } else if (file.file.is_open() && !file.spent && file.offset >= kTellingBytes &&
               found.status.size <= std::max(file.size, read_to) && file.content &&
               has_content(found, file.offset, *file.content)) {
      return true;  // A copy, by which the file is going to be cut.
    }
  }
  return false;
}

// --- After a cut -------------------------------------------------------------------------------

void FollowedFiles::cut(std::size_t index, TimePoint now) {
  const Files found = folder_.list();
  FollowedFile& file = files_[index];
  const std::uint64_t read_to = index == current_ ? file.read_to : file.offset;
  const std::uint64_t seen = file.size;
  const bool is_newest = file.put_aside_at == kNever;
  const bool was_growing = is_newest && now - file.grew_at < kGrowing;
  FileDescriptor rest(::fcntl(file.file.get(), F_DUPFD_CLOEXEC, 3));
  const std::string path = file.path;
  const std::uint32_t number = file.number;
  file.file.reset();
  file.put_aside_at = file.grew_at = now - options_.rotate_wait;  // Whatever it was, it is whole.
  if (go_on_in_copy(file, read_to, found, now)) {
    tell_cut(path, file.path, seen - std::min(seen, std::max(file.size, read_to)), was_growing);
  } else {
    file.spent = file.gone = true;
    tell_cut(path, note_copies_of(file, read_to, found), seen - std::min(seen, read_to),
             was_growing);
  }
  // If there is more than can be held now, what has become of the file is found at its path.
  if (is_newest && !add_unread(folder_.list(), now)) return;
  if (!rest.is_open()) return;
  if (is_newest) {
    add(path, std::move(rest), now);
  } else {
    FollowedFile anew;
    anew.number = next_number_++;
    anew.path = path;
    anew.identity = status_of(rest.get()).value_or(FileStatus{}).identity;
    anew.file = std::move(rest);
    anew.content = Fingerprint{content_hash({}), content_hash({})};
    anew.grew_at = anew.put_aside_at = now;
    insert_after(number, std::move(anew));
  }
}

void FollowedFiles::tell_cut(const std::string& path, const std::string& copy,
                             std::uint64_t lost_bytes, bool was_growing) {
  std::string text = in_quotes(path) + " has become shorter (it was cut, or written anew)";
  text += copy.empty() ? ", and no copy of it was found: read from its start; "
                       : ": read on in its copy " + in_quotes(copy) + ", then from its start; ";
  if (lost_bytes > 0) {
    text += "its last " + std::to_string(lost_bytes) + " bytes at least were not read: lost";
  } else {
    text += copy.empty() ? "what was written since it was last looked at is lost" : kLostBetween;
  }
  // Nobody knows how many lines these were.
  const bool may_be_one = lost_bytes > 0 || was_growing;
  if (may_be_one) text += " (counted as 1 line)";
  lose(may_be_one ? 1 : 0, std::move(text));
}

void FollowedFiles::insert_after(std::uint32_t number, FollowedFile file) {
  std::size_t at = 0;
  while (at < files_.size() && files_[at].number != number) ++at;
  at = std::min(at + 1, files_.size());
  files_.insert(files_.begin() + static_cast<std::ptrdiff_t>(at), std::move(file));
  if (current_ >= at) ++current_;
}

bool FollowedFiles::go_on_in_copy(FollowedFile& file, std::uint64_t read_to, const Files& found,
                                  TimePoint now) {
  const std::string_view head = file.head;
  const auto fingerprint = [&](std::uint64_t offset, std::uint64_t tail_hash) {
    return Fingerprint{content_hash(head.substr(0, std::min<std::uint64_t>(offset, kHeadBytes))),
                       tail_hash};
  };
  if (read_to > 0) {
    const Fingerprint content = fingerprint(read_to, content_hash(file.before_read_to));
    const FoundFile* copy = find_by_content(found, read_to, content);
    if (copy != nullptr && reopen(file, *copy, now)) {
      file.put_aside_at = file.grew_at = now - options_.rotate_wait;
      return true;
    }
  }
  if (read_to == 0 && !head.empty()) {
    for (const FoundFile& copy : found) {
      const bool may_be = folder_.is_put_aside(copy) && !is_held(copy.status.identity);
      if (!may_be || bytes_at(open_to_read(copy.path).get(), 0, head.size()) != head) continue;
      if (!reopen(file, copy, now)) continue;
      file.put_aside_at = file.grew_at = now - options_.rotate_wait;
      return true;
    }
  }
  // A copy that is shorter than what was read has what is not yet acked, for the next start.
  const auto oldest = unacked_.oldest_of(file.number);
  if (!oldest) return false;
  for (const FoundFile& copy : found) {
    if (!folder_.is_put_aside(copy) || is_held(copy.status.identity) || copy.status.size == 0) {
      continue;
    }
    const std::size_t head_bytes = std::min<std::uint64_t>(copy.status.size, head.size());
    const bool is_copy =
        oldest->offset > 0
            ? has_content(copy, oldest->offset, fingerprint(oldest->offset, oldest->tail_hash))
            : bytes_at(open_to_read(copy.path).get(), 0, head_bytes) == head.substr(0, head_bytes);
    if (!is_copy) continue;
    file.spent = true;
    file.path = copy.path;
    file.identity = copy.status.identity;
    file.size = copy.status.size;
    file.modified_ns = copy.status.modified_ns;
    return true;
  }
  return false;
}

std::string FollowedFiles::note_copies_of(const FollowedFile& file, std::uint64_t read_to,
                                          const Files& found) {
  std::string noted;
  const std::string head = file.head;  // The list of files is about to move.
  for (const FoundFile& copy : found) {
    if (!folder_.is_put_aside(copy) || copy.status.size == 0 || copy.status.size > read_to)
      continue;
    const bool is_known_already = std::any_of(
        files_.begin(), files_.end(),
        [&](const FollowedFile& one) { return !one.gone && one.identity == copy.status.identity; });
    const std::size_t head_bytes = std::min<std::uint64_t>(copy.status.size, head.size());
    if (is_known_already || head_bytes < std::min<std::uint64_t>(read_to, kTellingBytes)) continue;
    const FileDescriptor opened = open_to_read(copy.path);
    if (bytes_at(opened.get(), 0, head_bytes) != head.substr(0, head_bytes)) continue;
    note_as_read(copy);
    noted = copy.path;
  }
  return noted;
}

}  // namespace tempest::builtin

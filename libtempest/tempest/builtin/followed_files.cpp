#include "tempest/builtin/followed_files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tempest/builtin/limits.hpp"

namespace tempest::builtin {
namespace {

/// So many files are held open; more are found again by their names.
constexpr std::size_t kMaxHeld = 64;
/// Of so many that were read to their end it is known how far.
constexpr std::size_t kMaxFinished = 32;
/// A file that was read to its end is held open for so long, in case somebody still writes to it.
constexpr Duration kHoldFor = std::chrono::seconds(60);
/// Reading goes on after so many times rotate_wait, also if somebody goes on writing to a file that
/// was put aside.
constexpr int kMostWaits = 6;
/// A rotation leaves the path empty for a moment: that is no trouble to tell of.
constexpr Duration kTroubleAfter = std::chrono::seconds(2);

std::string in_quotes(const std::string& path) {
  return "\"" + path + "\"";
}

std::string reason_of(int reason) {
  return std::strerror(reason);
}

std::string why_no_file(const FileStatus& status) {
  return status.kind == FileStatus::Kind::folder ? "it is a folder" : "it is no file";
}

}  // namespace

void FollowedFiles::warn(std::string text) {
  if (warnings_.size() < kMaxWarnings) {
    warnings_.push_back(std::move(text));
  } else {
    ++unsaid_;
  }
}

std::vector<std::string> FollowedFiles::take_warnings() {
  if (const std::uint64_t unsaid = std::exchange(unsaid_, 0); unsaid > 0) {
    warnings_.push_back("and " + std::to_string(unsaid) + " more of the files of " +
                        in_quotes(options_.path));
  }
  return std::exchange(warnings_, {});
}

void FollowedFiles::lose(std::uint64_t count, std::string text) {
  lost_ += count;
  warn(std::move(text));
}

Error FollowedFiles::cannot_read(const std::string& why) const {
  const std::string text = "cannot read " + in_quotes(options_.path) + ": " + why;
  if (options_.follow) return {ErrorCode::unavailable, text + "; waiting for it"};
  return {ErrorCode::io, text};
}

Result<void> FollowedFiles::begin(TimePoint now) {
  bool is_next = true;
  if (options_.follow || options_.has_checkpoint) {
    // What is put aside from here on, while there is no file yet, is to be read.
    if (!std::exchange(noted_older_, true)) {
      note_older_files();
    } else {
      is_next = add_unread(folder_.list(), now);
    }
  }
  return begin_at_path(is_next, now);
}

Result<void> FollowedFiles::begin_at_path(bool is_next, TimePoint now) {
  FileDescriptor file(::open(options_.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  const int reason = errno;
  const auto status = file.is_open() ? status_of(file.get()) : std::nullopt;
  const bool is_file = status && status->kind == FileStatus::Kind::regular;
  if (is_file && is_next && !is_held(status->identity)) add(options_.path, std::move(file), now);
  current_ = files_.size();
  for (std::size_t i = files_.size(); i-- > 0;) {
    if (!files_[i].finished) current_ = i;
  }
  has_begun_ = current_ < files_.size();
  if (is_file || (has_begun_ && options_.follow)) return {};
  has_begun_ = false;
  return cannot_read(status ? why_no_file(*status) : reason_of(reason));
}

FollowedFile& FollowedFiles::add(const std::string& path, FileDescriptor file, TimePoint now) {
  const auto status = status_of(file.get());
  for (FollowedFile& older : files_) {
    if (older.put_aside_at == kNever) older.put_aside_at = now;
  }
  FollowedFile& added = files_.emplace_back();
  added.number = next_number_++;
  added.path = real_path_of(file.get(), path);
  added.file = std::move(file);
  added.content = Fingerprint{content_hash({}), content_hash({})};
  added.grew_at = now;
  if (status) {
    added.identity = status->identity;
    added.size = status->size;
    added.modified_ns = status->modified_ns;
    added.is_sizeless = status->size == 0 && !bytes_at(added.file.get(), 0, 1).empty() &&
                        status_of(added.file.get())->size == 0;
  }
  folder_.also_beside(added.path);
  return added;
}

Result<FollowedFiles::Read> FollowedFiles::read(std::span<char> room, std::size_t& count,
                                                TimePoint now) {
  FollowedFile& file = current();
  count = 0;
  if (file.spent || !file.file.is_open()) return Read::end;
  ssize_t more = 0;
  do {
    more = ::pread(file.file.get(), room.data(), room.size(), static_cast<off_t>(file.read_to));
  } while (more < 0 && errno == EINTR);
  if (more < 0) return cannot_read(reason_of(errno));
  // After the read, so that both are of one content.
  const std::size_t known = file.before_read_to.size();
  if (bytes_at(file.file.get(), file.read_to - known, known) != file.before_read_to) {
    cut(current_, now);
    return Read::cut;
  }
  if (more == 0) return Read::end;
  count = static_cast<std::size_t>(more);
  if (file.head.size() < kHeadBytes && file.read_to + count > file.head.size()) {
    const std::span<char> news = room.first(count).subspan(file.head.size() - file.read_to);
    file.head.append(news.data(), std::min(news.size(), kHeadBytes - file.head.size()));
  }
  return Read::bytes;
}

// --- Which is next -----------------------------------------------------------------------------

std::optional<std::size_t> FollowedFiles::next_unfinished() const {
  for (std::size_t i = current_ + 1; i < files_.size(); ++i) {
    if (!files_[i].finished) return i;
  }
  return std::nullopt;
}

bool FollowedFiles::is_quiet(const FollowedFile& file, TimePoint now) const {
  if (file.put_aside_at == kNever) return false;
  const Duration aside = now - file.put_aside_at;
  return (aside >= options_.rotate_wait && now - file.grew_at >= options_.rotate_wait) ||
         aside >= options_.rotate_wait * kMostWaits;
}

std::optional<std::size_t> FollowedFiles::grown_finished(TimePoint now, bool& is_waiting) const {
  for (std::size_t i = 0; i < files_.size(); ++i) {
    const FollowedFile& file = files_[i];
    if (i == current_ || !file.finished || file.spent || !file.file.is_open()) continue;
    if (file.size <= file.offset) continue;
    if (!options_.follow || is_quiet(file, now)) return i;
    is_waiting = true;
  }
  return std::nullopt;
}

FollowedFiles::Step FollowedFiles::at_end(TimePoint now) {
  look(now);
  const FollowedFile& file = current();
  if (!file.spent && file.size > file.read_to) return Step::more;
  if (next_unfinished()) {
    const bool may_leave = file.spent || !options_.follow || is_quiet(file, now);
    return may_leave ? Step::leave : Step::wait_aside;
  }
  bool is_waiting = false;
  if (const auto grown = grown_finished(now, is_waiting)) {
    look_back_at_ = *grown;
    return Step::look_back;
  }
  if (!options_.follow) return Step::ended;
  return is_waiting ? Step::wait_aside : Step::wait;
}

void FollowedFiles::leave() {
  const auto next = next_unfinished();
  if (!next) return;
  current().finished = true;
  current_ = *next;
}

void FollowedFiles::look_back() {
  current_ = look_back_at_;
  FollowedFile& file = current();
  if (!file.skipping || bytes_at(file.file.get(), file.offset, 1) == "\n") return;
  lose(1, in_quotes(file.path) +
              " has grown after its last line was given out without a line break: the rest of that "
              "line is passed over");
}

// --- Looking -----------------------------------------------------------------------------------

void FollowedFiles::look(TimePoint now) {
  look_at_held(now);
  if (options_.follow) look_at_path(now);
  forget_finished(now);
}

void FollowedFiles::look_at_held(TimePoint now) {
  for (std::size_t i = 0; i < files_.size(); ++i) {
    FollowedFile& file = files_[i];
    if (!file.file.is_open() || file.spent || file.is_sizeless) continue;
    const auto status = status_of(file.file.get());
    if (!status) continue;
    if (was_cut(file, i == current_, *status)) {
      cut(i, now);
      continue;
    }
    if (status->size > file.size) file.grew_at = now;
    file.size = status->size;
    file.modified_ns = status->modified_ns;
    file.has_name = status->names > 0;
  }
}

bool FollowedFiles::was_cut(FollowedFile& file, bool is_current, const FileStatus& status) const {
  if (status.size < std::max(file.size, is_current ? file.read_to : file.offset)) return true;
  // It may have grown again meanwhile; read() sees that of the file that it reads.
  const bool is_unread = !is_current && !file.finished;
  if (!is_unread && file.head.size() >= std::min<std::uint64_t>(status.size, kHeadBytes)) {
    return false;
  }
  std::string head = bytes_at(file.file.get(), 0, kHeadBytes);
  if (!head.starts_with(file.head)) return true;
  file.head = std::move(head);
  return false;
}

void FollowedFiles::look_at_path(TimePoint now) {
  const auto there = status_of(options_.path);
  if (!there) return tell_trouble(reason_of(errno), now);
  if (there->kind != FileStatus::Kind::regular) return tell_trouble(why_no_file(*there), now);
  if (!is_held(there->identity)) {
    if (held() >= kMaxHeld) return;  // The path is looked at again when some are read.
    FileDescriptor file(::open(options_.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file.is_open()) return tell_trouble(reason_of(errno), now);
    // Those put aside since the last look come between.
    if (!add_unread(folder_.list(), now)) return;
    const auto opened = status_of(file.get());
    const bool is_new = opened && opened->kind == FileStatus::Kind::regular &&
                        !is_held(opened->identity) && held() < kMaxHeld;
    if (is_new) add(options_.path, std::move(file), now);
  }
  if (trouble_told_) warn(in_quotes(options_.path) + " can be read again");
  trouble_.clear();
  trouble_told_ = false;
}

void FollowedFiles::tell_trouble(const std::string& why, TimePoint now) {
  if (trouble_.empty()) trouble_since_ = now;
  const bool is_other = trouble_ != why;
  trouble_ = why;
  if (now - trouble_since_ < kTroubleAfter || (trouble_told_ && !is_other)) return;
  trouble_told_ = true;
  warn("cannot read " + in_quotes(options_.path) + ": " + why + "; waiting for it");
}

std::size_t FollowedFiles::held() const {
  return static_cast<std::size_t>(std::count_if(
      files_.begin(), files_.end(), [](const FollowedFile& file) { return file.file.is_open(); }));
}

void FollowedFiles::erase(std::size_t index) {
  files_.erase(files_.begin() + static_cast<std::ptrdiff_t>(index));
  if (current_ > index) --current_;
}

void FollowedFiles::forget_finished(TimePoint now) {
  const bool is_room_short = held() > kMaxHeld / 2;
  std::size_t finished = 0;
  for (std::size_t i = files_.size(); i-- > 0;) {
    FollowedFile& file = files_[i];
    if (!file.finished || i == current_) continue;
    const bool has_grown = !file.spent && file.size > file.offset && file.file.is_open();
    const bool is_held_long = now - std::max(file.grew_at, file.put_aside_at) >= kHoldFor;
    if (!has_grown && (!file.has_name || is_held_long || is_room_short)) file.file.reset();
    const bool is_removed = !file.has_name && !file.file.is_open();
    const bool is_needed = has_grown || unacked_.count_of(file.number) > 0;
    if (!is_needed && (file.spent || is_removed)) {
      erase(i);
    } else {
      ++finished;
    }
  }
  while (finished > kMaxFinished && forget_oldest()) --finished;
}

bool FollowedFiles::forget_oldest() {
  std::optional<std::size_t> oldest;
  std::int64_t newest_ns = 0;
  for (std::size_t i = 0; i < files_.size(); ++i) {
    const FollowedFile& file = files_[i];
    if (!file.finished || i == current_) continue;
    newest_ns = std::max(newest_ns, file.modified_ns);
    const bool is_needed = file.file.is_open() || unacked_.count_of(file.number) > 0;
    if (is_needed || (oldest && files_[*oldest].modified_ns <= file.modified_ns)) continue;
    oldest = i;
  }
  // Files are read in the order in which they were written last.
  if (!oldest || files_[*oldest].modified_ns >= newest_ns) return false;
  horizon_ns_ = std::max(horizon_ns_, files_[*oldest].modified_ns);
  erase(*oldest);
  return true;
}

// --- The checkpoint ----------------------------------------------------------------------------

SavedFile FollowedFiles::saved_form(const FollowedFile& file) const {
  SavedFile saved;
  saved.path = file.path;
  saved.unacked = unacked_.count_of(file.number);
  saved.size = file.size;
  saved.modified_ns = file.modified_ns;
  if (file.gone) {
    if (!file.finished && file.offset < file.read_to) ++saved.unacked;  // At least.
    saved.finished = true;
    return saved;
  }
  saved.identity = file.identity;
  saved.offset = file.offset;
  saved.skipping = file.skipping;
  saved.finished = file.finished;
  saved.content = file.content;
  saved.start_bytes = file.head.size();
  saved.start_hash = content_hash(file.head);
  if (const auto oldest = unacked_.oldest_of(file.number)) {
    saved.offset = oldest->offset;
    saved.skipping = saved.finished = false;
    const std::size_t head_bytes = std::min<std::uint64_t>(oldest->offset, kHeadBytes);
    saved.content = Fingerprint{content_hash(std::string_view(file.head).substr(0, head_bytes)),
                                oldest->tail_hash};
  }
  return saved;
}

void FollowedFiles::save(SavedLines& saved) const {
  saved.horizon_ns = horizon_ns_;
  for (const FollowedFile& file : files_) {
    const bool is_all_given = file.finished || file.offset == file.read_to;
    if (file.spent && is_all_given && unacked_.count_of(file.number) == 0) continue;
    saved.files.push_back(saved_form(file));
  }
}

}  // namespace tempest::builtin

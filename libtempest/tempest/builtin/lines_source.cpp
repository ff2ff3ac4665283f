#include "tempest/builtin/lines_source.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "tempest/base/limits.hpp"
#include "tempest/base/quantity.hpp"
#include "tempest/builtin/limits.hpp"
#include "tempest/runtime/clock.hpp"
#include "tempest/runtime/process_guard.hpp"

namespace tempest::builtin {
namespace {

constexpr std::size_t kReadBytes = 256UL << 10;
/// A poll reads no more than that without looking at its time: a line without end must not keep its
/// thread from anything else.
constexpr std::uint64_t kPollReadBytes = 16UL << 20;
/// What a person is shown of a line too long.
constexpr std::size_t kShownBytes = 1'024;
/// How soon a poll that waits for a stream ends once it is interrupted.
constexpr Duration kLongestSlice = std::chrono::milliseconds(50);
/// How often the files are looked at while nothing is read.
constexpr Duration kLookInterval = std::chrono::milliseconds(200);

/// The first kShownBytes or fewer, so that no character of UTF-8 is cut.
std::string_view first_bytes(std::string_view text) {
  std::size_t size = std::min(text.size(), kShownBytes);
  const auto is_continued = [&] {
    return size < text.size() && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80;
  };
  for (int i = 0; i < 3 && size > 0 && is_continued(); ++i) --size;
  return text.substr(0, size);
}

std::string whole_path(const std::string& path) {
  std::error_code error;
  if (path.empty() || path == "-") return path;
  const auto whole = std::filesystem::absolute(path, error);
  return error ? path : whole.lexically_normal().string();
}

}  // namespace

LinesSource::LinesSource(std::string path, Options options)
    : path_(whole_path(path)),
      options_(std::move(options)),
      checkpoint_(whole_path(options_.checkpoint)),
      files_({.path = path_,
              .follow = options_.follow,
              .has_checkpoint = !options_.checkpoint.empty(),
              .rotate_wait = options_.rotate_wait},
             unacked_),
      reader_(options_.max_line_bytes) {}

std::string LinesSource::shown() const {
  return path_ == "-" ? std::string("standard input") : "\"" + path_ + "\"";
}

void LinesSource::warn(std::string text) {
  if (warnings_.size() < kMaxWarnings) {
    warnings_.push_back(std::move(text));
  } else {
    ++unsaid_;
  }
}

// --- Opening -----------------------------------------------------------------------------------

Result<void> LinesSource::open() {
  if (is_open_) return save_failed_ ? save() : Result<void>();
  const auto status = path_ == "-" ? status_of(STDIN_FILENO) : status_of(path_);
  const bool is_stream = path_ == "-" || (status && status->kind == FileStatus::Kind::stream);
  auto opened = is_stream ? open_stream() : open_files();
  is_open_ = opened.ok();
  return opened;
}

Result<void> LinesSource::open_stream() {
  if (checkpoint_.exists()) {
    return Error{ErrorCode::configuration,
                 shown() + " has no places to come back to: it must be a file for a checkpoint"};
  }
  if (path_ == "-" && runtime::was_closed_at_start(STDIN_FILENO)) {
    return Error{ErrorCode::configuration,
                 "cannot read \"-\": this process was started with its standard input closed"};
  }
  // Not blocking, so that a pipe nobody writes to yet does not hold up the whole source.
  stream_.reset(path_ == "-" ? ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                             : ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!stream_.is_open()) {
    const std::string text = "cannot read " + shown() + ": " + std::strerror(errno);
    if (options_.follow) return Error{ErrorCode::unavailable, text + "; waiting for it"};
    return Error{ErrorCode::io, text};
  }
  const auto status = status_of(stream_.get());
  if (status && status->kind == FileStatus::Kind::folder) {
    return Error{ErrorCode::io, "cannot read " + shown() + ": it is a folder"};
  }
  is_stream_ = true;
  if (path_ == "-" || (status && status->kind == FileStatus::Kind::stream)) {
    warn(shown() +
         " cannot be read again: what this source has read of it and is not yet done is lost if "
         "its process dies; use a file with a checkpoint, or a stream of Redis, for what must not "
         "be lost");
  }
  return {};
}

Result<void> LinesSource::open_files() {
  const TimePoint now = runtime::monotonic_now();
  std::optional<SavedLines> saved;
  if (checkpoint_.exists()) {
    // Before the lock: another topology's is refused, not waited for.
    for (const bool is_locked : {false, true}) {
      if (is_locked) {
        if (auto locked = checkpoint_.lock(); !locked) return locked;
      }
      std::vector<std::string> warnings;
      auto loaded = checkpoint_.load(warnings);
      if (!loaded) return loaded.error();
      saved = std::move(*loaded);
      if (saved) {
        if (auto owned = check_owner(*saved); !owned) return owned;
      }
      if (!is_locked) continue;
      for (std::string& warning : warnings) warn(std::move(warning));
    }
  }
  auto begun = saved ? files_.resume(*saved, now) : files_.begin(now);
  if (saved) line_ = saved->line - 1;
  if (begun) {
    pick_up();
    if (reader_.is_skipping()) {
      warn(shown() +
           ": begins within a line that was given out or passed over already; its rest "
           "is passed over");
    }
  }
  // Also if there is no file yet: what cannot be written is to be known before anything is read.
  if (begun || !saved) {
    if (auto kept = save(); !kept) return kept;
  }
  return begun;
}

Result<void> LinesSource::check_owner(const SavedLines& saved) const {
  const auto refused = [&](const std::string& whose) {
    return Error{ErrorCode::configuration,
                 "the checkpoint \"" + checkpoint_.path() + "\" belongs to " + whose + ", not to " +
                     "the topology \"" + options_.topology + "\" that reads " + shown() +
                     ": name another checkpoint, or remove this one to read from the start"};
  };
  const std::string whose =
      "the topology \"" + saved.topology + "\" that reads \"" + saved.path + "\"";
  if (!saved.topology.empty() && saved.topology != options_.topology) return refused(whose);
  if (saved.path.empty() || saved.path == path_) return {};
  // The log may have moved, with all that is in it.
  const auto status = status_of(path_);
  const bool is_known =
      status && std::any_of(saved.files.begin(), saved.files.end(), [&](const SavedFile& file) {
        return file.identity == status->identity;
      });
  return is_known ? Result<void>() : refused(whose);
}

// --- Places ------------------------------------------------------------------------------------

void LinesSource::note_place() {
  if (is_stream_ || !files_.has_begun()) return;
  FollowedFile& file = files_.current();
  file.offset = reader_.offset();
  file.skipping = reader_.is_skipping();
  file.read_to = reader_.end_offset();
  file.before_read_to = reader_.before_end();
  const std::size_t head_bytes = std::min<std::uint64_t>(file.offset, kHeadBytes);
  file.content = Fingerprint{content_hash(std::string_view(file.head).substr(0, head_bytes)),
                             content_hash(reader_.before_offset())};
}

void LinesSource::put_down() {
  note_place();
  FollowedFile& file = files_.current();
  file.read_to = file.offset;
  file.before_read_to = reader_.before_offset();
}

void LinesSource::pick_up() {
  const FollowedFile& file = files_.current();
  reader_.start(file.read_to, file.skipping, file.before_read_to);
}

Result<void> LinesSource::save() {
  if (!checkpoint_.exists()) return {};
  note_place();
  SavedLines saved;
  saved.topology = options_.topology;
  saved.path = path_;
  saved.line = unacked_.empty() ? line_ + 1 : unacked_.oldest_line();
  files_.save(saved);
  auto kept = checkpoint_.save(saved);
  save_failed_ = !kept;
  return kept;
}

Result<void> LinesSource::ack(std::span<const SourceToken> tokens) {
  if (!checkpoint_.exists()) return {};
  for (const SourceToken& token : tokens) unacked_.acked(token.low);
  return save();
}

Duration LinesSource::tend_interval() const {
  return options_.follow && !is_stream_ ? kLookInterval : Duration::zero();
}

Result<void> LinesSource::tend(SourceTended& /*done*/) {
  if (is_stream_ || !files_.has_begun()) return {};
  note_place();
  files_.look(runtime::monotonic_now());  // What is lost is told by the next poll.
  return {};
}

Result<bool> LinesSource::drained() {
  if (failure_ || lost_ > 0 || reader_.has_line()) return false;
  if (ended_) return !reader_.has_rest();
  if (is_stream_) {
    pollfd waiting{stream_.get(), POLLIN, 0};
    return ::poll(&waiting, 1, 0) == 0 || (waiting.revents & POLLIN) == 0;
  }
  if (!files_.has_begun()) return false;
  note_place();
  const FollowedFiles::Step next = files_.at_end(runtime::monotonic_now());
  if (next == FollowedFiles::Step::ended) return !reader_.has_rest();
  return next == FollowedFiles::Step::wait;
}

// --- Reading -----------------------------------------------------------------------------------

Result<void> LinesSource::poll(std::size_t max_messages, Duration wait, SourceBatch& batch) {
  if (failure_) return *std::exchange(failure_, std::nullopt);
  taken_bytes_ = 0;
  Poll poll{batch, batch.size(), max_messages, wait, runtime::monotonic_now()};
  auto read = read_into(poll);
  is_interrupted_ = false;
  if (!is_stream_) lost_ += files_.take_lost();
  batch.lost += std::exchange(lost_, 0);
  if (read) return {};
  // What was read must not go down with the error.
  if (poll.taken() == 0 && batch.lost == 0) return read;
  failure_ = read.error();
  return {};
}

Result<void> LinesSource::read_into(Poll& poll) {
  while (true) {
    take_lines(poll);
    if (poll.taken() >= poll.max_messages || taken_bytes_ >= kPollTargetBytes) return {};
    if (ended_) {
      end_file(poll.batch);
      poll.batch.ended = true;
      return {};
    }
    if (is_over(poll)) {
      poll.batch.has_more = true;
      poll.batch.quiet_for = Duration(1);  // To be polled again at once.
      return {};
    }
    auto filled = fill(poll);
    if (!filled) return filled.error();
    if (*filled == Filled::no) return {};
    ended_ = *filled == Filled::ended;
  }
}

bool LinesSource::is_over(const Poll& poll) const {
  if (poll.read_bytes < kPollReadBytes) return false;
  return poll.taken() > 0 || is_interrupted_ || is_abandoned_ ||
         runtime::monotonic_now() - poll.begun_at >= poll.wait;
}

void LinesSource::take_lines(Poll& poll) {
  LineReader::Line line;
  while (poll.taken() < poll.max_messages && taken_bytes_ < kPollTargetBytes) {
    const LineReader::Found found = reader_.next(line);
    if (found == LineReader::Found::nothing) return;
    take(found, line, poll.batch);
  }
}

void LinesSource::take(LineReader::Found found, const LineReader::Line& line, SourceBatch& batch) {
  ++line_;
  if (found == LineReader::Found::too_long) {
    take_long(line, batch);
  } else {
    add(line.text, {}, line, batch);
  }
}

void LinesSource::add(std::string_view payload, std::string_view fault,
                      const LineReader::Line& line, SourceBatch& batch) {
  if (checkpoint_.exists()) {
    unacked_.add(line_, {files_.current().number, line.offset, content_hash(line.before)});
  }
  taken_bytes_ += payload.size();
  batch.add({.payload = payload, .token = {0, line_}, .fault = fault});
}

void LinesSource::take_long(const LineReader::Line& line, SourceBatch& batch) {
  const std::string what = "line " + std::to_string(line_) + " of " + shown() + ", at byte " +
                           std::to_string(line.offset) + ", is longer than " +
                           (options_.max_line_bytes == kMaxPayloadBytes
                                ? "a message may be (16 MiB)"
                                : "max_line, " + format_size_bytes(options_.max_line_bytes));
  if (options_.gives_long_lines) {
    add(first_bytes(line.text), what + ": these are its first bytes", line, batch);
    return;
  }
  ++lost_;
  warn(what + ": skipped, and counted as lost");
}

Result<LinesSource::Filled> LinesSource::fill(Poll& poll) {
  return is_stream_ ? fill_from_stream(poll) : fill_from_files(poll);
}

Result<LinesSource::Filled> LinesSource::fill_from_files(Poll& poll) {
  // A file may be cut and found again some times in one poll; no more than that.
  for (int tries = 0; tries < 8; ++tries) {
    const TimePoint now = runtime::monotonic_now();
    note_place();
    const std::span<char> room = reader_.room(kReadBytes);
    std::size_t count = 0;
    auto read = files_.read(room, count, now);
    reader_.added(count);
    if (!read) return read.error();
    poll.read_bytes += count;
    if (*read == FollowedFiles::Read::bytes) return Filled::yes;
    note_place();
    switch (files_.at_end(now)) {
      case FollowedFiles::Step::more:
        break;
      case FollowedFiles::Step::leave:
        end_file(poll.batch);
        put_down();
        files_.leave();
        pick_up();
        return Filled::yes;
      case FollowedFiles::Step::look_back:
        put_down();
        files_.look_back();
        pick_up();
        return Filled::yes;
      case FollowedFiles::Step::ended:
        return Filled::ended;
      case FollowedFiles::Step::wait_aside:
        poll.batch.has_more = true;
        return Filled::no;
      case FollowedFiles::Step::wait:
        return Filled::no;
    }
  }
  poll.batch.has_more = true;
  return Filled::no;
}

int LinesSource::wait_for_stream(Duration wait) const {
  pollfd waiting{stream_.get(), POLLIN, 0};
  while (true) {
    const Duration slice = std::min(wait, kLongestSlice);
    const auto slice_ms = std::chrono::ceil<std::chrono::milliseconds>(slice).count();
    const int ready = ::poll(&waiting, 1, static_cast<int>(slice_ms));
    wait -= slice;
    if (ready != 0 || wait <= Duration::zero() || is_interrupted_ || is_abandoned_) {
      return ready;
    }
  }
}

Result<LinesSource::Filled> LinesSource::fill_from_stream(Poll& poll) {
  const bool has_something = poll.taken() > 0 || lost_ > 0;
  const Duration wait = has_something ? Duration::zero() : poll.wait;
  const int ready = wait_for_stream(wait);
  if (ready == 0 || (ready < 0 && errno == EINTR)) return Filled::no;

  const std::span<char> room = reader_.room(kReadBytes);
  const ssize_t count = ready < 0 ? -1 : ::read(stream_.get(), room.data(), room.size());
  const int reason = errno;
  reader_.added(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  if (count > 0) {
    poll.read_bytes += static_cast<std::uint64_t>(count);
    has_writer_ = true;
    return Filled::yes;
  }
  if (count < 0 && (reason == EAGAIN || reason == EINTR)) return Filled::no;
  if (count < 0) {
    return Error{ErrorCode::io, "cannot read " + shown() + ": " + std::strerror(reason)};
  }
  if (!options_.follow) return Filled::ended;
  end_file(poll.batch);
  reader_.begin_line();  // The next writer's.
  if (std::exchange(has_writer_, false)) {
    warn("nobody writes to " + shown() + " any more; waiting for the next writer");
  }
  return Filled::no;
}

void LinesSource::end_file(SourceBatch& batch) {
  const bool is_cut = !is_stream_ && files_.current().spent;
  LineReader::Line line;
  const LineReader::Found found = reader_.take_rest(line);
  if (found == LineReader::Found::nothing) return;
  if (!is_cut) {
    take(found, line, batch);
    return;
  }
  ++line_;
  ++lost_;
  warn("the file " + shown() + " was cut within line " + std::to_string(line_) +
       ": that line is lost");
}

std::vector<std::string> LinesSource::take_warnings() {
  for (std::string& warning : files_.take_warnings()) warn(std::move(warning));
  if (const std::uint64_t unsaid = std::exchange(unsaid_, 0); unsaid > 0) {
    warnings_.push_back("and " + std::to_string(unsaid) + " more such lines or files of " +
                        shown());
  }
  return std::exchange(warnings_, {});
}

std::string LinesSource::describe(const SourceToken& token) const {
  return "line " + std::to_string(token.low);
}

}  // namespace tempest::builtin

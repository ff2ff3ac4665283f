#include "cli/dead_letter_store.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tempest/builtin/redis_stream_id.hpp"

namespace tempest::cli {
namespace {

constexpr std::size_t kPageBytes = 4UL << 20;
constexpr std::size_t kMaxPageEntries = 1'000;

Error wrong(std::string message) {
  return Error{ErrorCode::configuration, std::move(message)};
}

}  // namespace

// --- A stream ----------------------------------------------------------------------------------

std::string LetterStream::shown() const {
  return "the stream \"" + options_.key + "\" of " + options_.address.shown();
}

Result<void> LetterStream::open() {
  if (auto connected = connection_.connect(); !connected) return connected;
  if (opened_before_) return {};
  auto reply = connection_.command({"XREVRANGE", options_.key, "+", "-", "COUNT", "1"});
  if (!reply) return reply.error();
  if (reply->value().size() > 0) last_ = reply->value()[0][0].text();
  opened_before_ = true;
  return {};
}

Result<void> LetterStream::read(std::vector<Raw>& entries) {
  if (last_.empty()) return {};
  const std::size_t before = entries.size();
  while (entries.size() == before) {
    auto reply = connection_.command({"XRANGE", options_.key, builtin::stream_id(next_), last_,
                                      "COUNT", std::to_string(count_)});
    if (!reply) return reply.error();
    const runtime::RedisValue list = reply->value();
    if (list.size() == 0) return {};
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < list.size(); ++i) {
      const auto id = builtin::parse_stream_id(list[i][0].text());
      if (!id) return Error{ErrorCode::protocol, "Redis sent an entry without a valid id"};
      next_ = builtin::next_stream_id(*id);
      std::string text;
      for (std::size_t j = 0; j + 1 < list[i][1].size(); j += 2) {
        if (list[i][1][j].text() == options_.field) text = list[i][1][j + 1].text();
      }
      bytes += text.size();
      entries.push_back({{std::string(list[i][0].text()), 0, 0}, std::move(text)});
    }
    if (bytes > kPageBytes) count_ = std::max<std::size_t>(1, count_ / 2);
    if (bytes < kPageBytes / 4) count_ = std::min(kMaxPageEntries, count_ * 2);
  }
  return {};
}

Result<void> LetterStream::remove(std::span<const LetterPlace> places) {
  for (std::size_t begin = 0; begin < places.size(); begin += kMaxPageEntries) {
    std::vector<std::string_view> words = {"XDEL", options_.key};
    for (const LetterPlace& place :
         places.subspan(begin, std::min(kMaxPageEntries, places.size() - begin))) {
      words.emplace_back(place.id);
    }
    if (auto reply = connection_.command(words); !reply) return reply.error();
  }
  return {};
}

// --- A file ------------------------------------------------------------------------------------

LetterFile::~LetterFile() {
  if (writer_ >= 0) ::close(writer_);
}

Error LetterFile::failed(const char* what) const {
  return Error{ErrorCode::io, std::string("cannot ") + what + " " + shown() + ": " +
                                  (errno != 0 ? std::strerror(errno) : "it has changed")};
}

Result<void> LetterFile::open() {
  if (lines_.is_open()) return {};
  struct stat status {};
  if (::stat(path_.c_str(), &status) != 0) return failed("read");
  if (S_ISDIR(status.st_mode)) {
    errno = EISDIR;
    return failed("read");
  }
  lines_.open(path_, std::ios::binary);
  if (!lines_) return failed("read");
  end_ = static_cast<std::uint64_t>(status.st_size);
  return {};
}

void LetterFile::rewind() {
  next_ = 0;
  lines_.clear();
  lines_.seekg(0);
}

Result<void> LetterFile::read(std::vector<Raw>& entries) {
  std::size_t bytes = 0;
  std::string line;
  for (std::size_t count = 0; next_ < end_ && bytes < kPageBytes && count < kMaxPageEntries;) {
    if (!std::getline(lines_, line)) {
      if (lines_.eof()) break;
      return failed("read");
    }
    const std::uint64_t offset = next_;
    next_ += line.size() + 1;
    if (line.find_first_not_of(" \r\t") == std::string::npos) continue;
    bytes += line.size();
    ++count;
    entries.push_back({{letter_id(line), offset, line.size()}, line});
  }
  return {};
}

Result<void> LetterFile::remove(std::span<const LetterPlace> places) {
  if (writer_ < 0) writer_ = ::open(path_.c_str(), O_RDWR | O_CLOEXEC);
  if (writer_ < 0) return failed("change");
  for (const LetterPlace& place : places) {
    if (auto removed = remove(place); !removed) return removed;
  }
  return {};
}

Result<void> LetterFile::remove(const LetterPlace& place) {
  std::string line(place.bytes, '\0');
  errno = 0;
  const auto offset = static_cast<off_t>(place.offset);
  if (::pread(writer_, line.data(), line.size(), offset) != static_cast<ssize_t>(line.size())) {
    return failed("change");
  }
  if (line.find_first_not_of(' ') == std::string::npos) return {};
  if (letter_id(line) != place.id) return failed("change");
  line.assign(line.size(), ' ');
  if (::pwrite(writer_, line.data(), line.size(), offset) != static_cast<ssize_t>(line.size())) {
    return failed("change");
  }
  return {};
}

// --- Either ------------------------------------------------------------------------------------

Result<std::unique_ptr<LetterStore>> letter_store_of(const Endpoint& dead_letter) {
  const Settings& settings = dead_letter.settings;
  if (dead_letter.type == "lines") {
    const std::string path = settings.text("path");
    if (path == "-") return wrong("dead letters that went to standard output cannot be read again");
    return std::unique_ptr<LetterStore>(std::make_unique<LetterFile>(path));
  }
  if (dead_letter.type != "redis_stream") {
    return wrong("dead letters in a sink of type \"" + dead_letter.type +
                 "\" cannot be read; of \"redis_stream\" and \"lines\" they can");
  }
  auto address = runtime::parse_redis_uri(settings.text("uri", "redis://127.0.0.1:6379/0"));
  if (!address) return address.error();
  return std::unique_ptr<LetterStore>(std::make_unique<LetterStream>(
      LetterStream::Options{*address, settings.text("key"), settings.text("field", "value")}));
}

LetterReader::LetterReader(LetterStore& store, LetterFilter filter, std::uint64_t limit)
    : store_(store), filter_(std::move(filter)), limit_(limit) {
  store_.rewind();
}

Result<std::vector<StoredLetter>> LetterReader::next() {
  std::vector<StoredLetter> letters;
  std::vector<LetterStore::Raw> entries;
  while (letters.empty() && !was_cut_) {
    entries.clear();
    if (auto read = store_.read(entries); !read) return read.error();
    if (entries.empty()) break;
    for (LetterStore::Raw& entry : entries) {
      auto letter = read_letter(std::move(entry.place), std::move(entry.text));
      if (!letter) {
        ++unreadable_;
      } else if (filter_.matches(*letter)) {
        was_cut_ = limit_ > 0 && given_ == limit_;
        if (was_cut_) break;
        ++given_;
        letters.push_back(std::move(*letter));
      }
    }
  }
  return letters;
}

}  // namespace tempest::cli

// The text of a checkpoint: the other part of lines_checkpoint.hpp.

#include <algorithm>
#include <array>
#include <charconv>
#include <cinttypes>
#include <cstdio>

#include "tempest/builtin/lines_checkpoint.hpp"

namespace tempest::builtin {
namespace {

constexpr std::string_view kName = "tempest-lines ";

/// Paths may hold any byte, and stand between blanks.
std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > 0x20 && byte < 0x7f && c != '%') {
      result += c;
      continue;
    }
    std::array<char, 4> code{};
    std::snprintf(code.data(), code.size(), "%%%02x", byte);
    result += code.data();
  }
  return result.empty() ? "%" : result;
}

std::optional<std::string> unescaped(std::string_view text) {
  std::string result;
  if (text == "%") return result;
  while (!text.empty()) {
    if (text.front() != '%') {
      result += text.front();
      text.remove_prefix(1);
      continue;
    }
    unsigned byte = 0;
    if (text.size() < 3 ||
        std::from_chars(text.data() + 1, text.data() + 3, byte, 16).ptr != text.data() + 3) {
      return std::nullopt;
    }
    result += static_cast<char>(byte);
    text.remove_prefix(3);
  }
  return result;
}

/// The words of one line: names, each before its value.
class Words {
 public:
  explicit Words(std::string_view text) : text_(text) {}

  std::string_view next() {
    text_.remove_prefix(std::min(text_.find_first_not_of(' '), text_.size()));
    const std::size_t end = std::min(text_.find(' '), text_.size());
    const std::string_view word = text_.substr(0, end);
    text_.remove_prefix(end);
    return word;
  }
  bool skip(std::string_view name) {
    ok_ = ok_ && next() == name;
    return ok_;
  }
  template <typename Number>
  void take(std::string_view name, Number& number, int base = 10) {
    if (!skip(name)) return;
    const std::string_view word = next();
    const auto parsed = std::from_chars(word.data(), word.data() + word.size(), number, base);
    ok_ = parsed.ec == std::errc() && parsed.ptr == word.data() + word.size();
  }
  void take(std::string_view name, bool& flag) {
    unsigned number = 0;
    take(name, number);
    ok_ = ok_ && number <= 1;
    flag = number == 1;
  }
  void take(std::string_view name, std::string& text) {
    if (!skip(name)) return;
    auto found = unescaped(next());
    ok_ = found.has_value();
    if (found) text = std::move(*found);
  }
  bool ok() const { return ok_; }

 private:
  std::string_view text_;
  bool ok_ = true;
};

std::string text_of(const SavedFile& file) {
  std::array<char, 512> text{};
  const Fingerprint content = file.content.value_or(Fingerprint{});
  std::snprintf(text.data(), text.size(),
                "file device %" PRIu64 " inode %" PRIu64 " born %" PRId64 " offset %" PRIu64
                " skipping %d finished %d known %d head %016" PRIx64 " tail %016" PRIx64
                " start %" PRIu64 " hash %016" PRIx64 " size %" PRIu64 " modified %" PRId64
                " unacked %" PRIu64 " path ",
                file.identity.device, file.identity.inode, file.identity.born_ns, file.offset,
                file.skipping ? 1 : 0, file.finished ? 1 : 0, file.content ? 1 : 0,
                content.head_hash, content.tail_hash, file.start_bytes, file.start_hash, file.size,
                file.modified_ns, file.unacked);
  return text.data() + escaped(file.path) + "\n";
}

std::optional<SavedFile> parse_file(std::string_view line) {
  SavedFile file;
  Fingerprint content;
  bool is_known = false;
  Words words(line);
  words.skip("file");
  words.take("device", file.identity.device);
  words.take("inode", file.identity.inode);
  words.take("born", file.identity.born_ns);
  words.take("offset", file.offset);
  words.take("skipping", file.skipping);
  words.take("finished", file.finished);
  words.take("known", is_known);
  words.take("head", content.head_hash, 16);
  words.take("tail", content.tail_hash, 16);
  words.take("start", file.start_bytes);
  words.take("hash", file.start_hash, 16);
  words.take("size", file.size);
  words.take("modified", file.modified_ns);
  words.take("unacked", file.unacked);
  words.take("path", file.path);
  if (!words.ok()) return std::nullopt;
  if (is_known) file.content = content;
  return file;
}

/// Before files had fingerprints: one line, of one file.
std::optional<SavedLines> parse_first_form(std::string_view line) {
  SavedLines saved;
  SavedFile file;
  Words words(line);
  words.skip("tempest-lines");
  words.skip("1");
  words.take("line", saved.line);
  words.take("offset", file.offset);
  words.take("device", file.identity.device);
  words.take("inode", file.identity.inode);
  if (!words.ok()) return std::nullopt;
  saved.files.push_back(file);
  return saved;
}

std::string_view take_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

}  // namespace

std::string checkpoint_text(const SavedLines& saved) {
  std::uint64_t offset = 0;
  for (const SavedFile& file : saved.files) {
    offset = file.offset;
    if (!file.finished) break;
  }
  std::string text = std::string(kName) + "2 line " + std::to_string(saved.line) + " offset " +
                     std::to_string(offset) + " topology " + escaped(saved.topology) + " horizon " +
                     std::to_string(saved.horizon_ns) + " path " + escaped(saved.path) + "\n";
  for (const SavedFile& file : saved.files) text += text_of(file);
  std::array<char, 32> end{};
  std::snprintf(end.data(), end.size(), "end %016" PRIx64 "\n", content_hash(text));
  return text + end.data();
}

std::optional<SavedLines> parse_checkpoint(std::string_view text) {
  if (text.starts_with("tempest-lines 1 ")) return parse_first_form(take_line(text));
  const std::size_t end = text.rfind("end ");
  if (end == std::string_view::npos || end == 0 || text[end - 1] != '\n') return std::nullopt;
  std::uint64_t hash = 0;
  std::string_view last_line = text.substr(end);
  Words last(take_line(last_line));
  last.take("end", hash, 16);
  text = text.substr(0, end);
  if (!last.ok() || hash != content_hash(text)) return std::nullopt;

  SavedLines saved;
  std::uint64_t offset = 0;
  Words head(take_line(text));
  head.skip("tempest-lines");
  head.skip("2");
  head.take("line", saved.line);
  head.take("offset", offset);
  head.take("topology", saved.topology);
  head.take("horizon", saved.horizon_ns);
  head.take("path", saved.path);
  if (!head.ok()) return std::nullopt;
  while (!text.empty()) {
    auto file = parse_file(take_line(text));
    if (!file) return std::nullopt;
    saved.files.push_back(std::move(*file));
  }
  return saved;
}

bool looks_torn(std::string_view text) {
  const bool is_blank = text.find_first_not_of('\0') == std::string_view::npos;
  const std::size_t common = std::min(text.size(), kName.size());
  return is_blank || text.substr(0, common) == kName.substr(0, common);
}

}  // namespace tempest::builtin

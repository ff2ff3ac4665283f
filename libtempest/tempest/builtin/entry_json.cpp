#include "tempest/builtin/entry_json.hpp"

#include <array>
#include <nlohmann/json.hpp>
#include <unordered_set>
#include <utility>

#include "tempest/base/base64.hpp"
#include "tempest/builtin/json_text.hpp"

namespace tempest::builtin {
namespace {

using runtime::RedisValue;

/// Up to so many names are compared with each other; more are looked up.
constexpr std::size_t kFewFields = 8;

void append_value(std::string_view bytes, std::string& text) {
  const std::size_t begin = text.size();
  if (append_json_string(bytes, text)) return;
  text.resize(begin);
  text += R"({"base64":")";
  text += base64(bytes);
  text += "\"}";
}

bool are_distinct(RedisValue fields) {
  if (fields.size() / 2 <= kFewFields) {
    for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
      for (std::size_t j = 0; j < i; j += 2) {
        if (fields[i].text() == fields[j].text()) return false;
      }
    }
    return true;
  }
  std::unordered_set<std::string_view> names;
  names.reserve(fields.size() / 2);
  for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
    if (!names.insert(fields[i].text()).second) return false;
  }
  return true;
}

/// False: a name is not UTF-8, and what was appended is of no use.
bool append_object(RedisValue fields, std::string_view without, std::string& text) {
  text += '{';
  const char* separator = "";
  for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
    const std::string_view name = fields[i].text();
    if (name == without) continue;
    text += std::exchange(separator, ",");
    if (!append_json_string(name, text)) return false;
    text += ':';
    append_value(fields[i + 1].text(), text);
  }
  text += '}';
  return true;
}

void append_pairs(RedisValue fields, std::string_view without, std::string& text) {
  text += '[';
  const char* separator = "";
  for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
    if (fields[i].text() == without) continue;
    text += std::exchange(separator, ",");
    text += '[';
    append_value(fields[i].text(), text);
    text += ',';
    append_value(fields[i + 1].text(), text);
    text += ']';
  }
  text += ']';
}

/// Collects names and values as they come, since a JSON library's object of many members is slow,
/// or forgets their order.
class FieldReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  std::vector<std::string> fields;

  bool null() override { return false; }
  bool boolean(bool /*value*/) override { return false; }
  bool number_integer(number_integer_t /*value*/) override { return false; }
  bool number_unsigned(number_unsigned_t /*value*/) override { return false; }
  bool number_float(number_float_t /*value*/, const string_t& /*text*/) override { return false; }
  bool binary(binary_t& /*value*/) override { return false; }
  bool parse_error(std::size_t /*at*/, const std::string& /*token*/,
                   const nlohmann::detail::exception& /*why*/) override {
    return false;
  }

  bool start_object(std::size_t /*size*/) override {
    if (depth_ == 0) {
      is_object_ = true;
    } else if (in_bytes_ || !takes_value()) {
      return false;
    } else {
      in_bytes_ = true;
      bytes_taken_ = false;
    }
    ++depth_;
    return true;
  }
  bool end_object() override {
    --depth_;
    return !std::exchange(in_bytes_, false) || bytes_taken_;
  }
  bool start_array(std::size_t /*size*/) override {
    if (is_object_ || in_bytes_ || depth_ > 1) return false;
    ++depth_;
    in_pair_ = 0;
    return true;
  }
  bool end_array() override { return --depth_ == 0 || in_pair_ == 2; }
  bool key(string_t& name) override {
    if (in_bytes_) return name == "base64" && !bytes_taken_;
    fields.push_back(std::move(name));
    return true;
  }
  bool string(string_t& value) override {
    if (in_bytes_) {
      auto bytes = from_base64(value);
      if (!bytes) return false;
      bytes_taken_ = true;
      return take(std::move(*bytes));
    }
    return takes_value() && take(std::move(value));
  }

 private:
  /// Within the object, or a pair of the list.
  bool takes_value() const { return is_object_ ? depth_ >= 1 : depth_ == 2; }
  bool take(std::string value) {
    fields.push_back(std::move(value));
    return is_object_ || ++in_pair_ <= 2;
  }

  int depth_ = 0;
  int in_pair_ = 0;  ///< How many texts the pair has so far.
  bool is_object_ = false;
  bool in_bytes_ = false;
  bool bytes_taken_ = false;
};

}  // namespace

void append_entry_json(RedisValue fields, std::string_view without, std::string& text) {
  const std::size_t begin = text.size();
  if (are_distinct(fields) && append_object(fields, without, text)) return;
  text.resize(begin);
  append_pairs(fields, without, text);
}

std::optional<std::vector<std::string>> fields_of_entry_json(std::string_view text) {
  FieldReader reader;
  if (!nlohmann::json::sax_parse(text, &reader)) return std::nullopt;
  return std::move(reader.fields);
}

}  // namespace tempest::builtin

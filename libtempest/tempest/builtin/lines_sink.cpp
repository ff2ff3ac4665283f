#include "tempest/builtin/lines_sink.hpp"

#include "tempest/builtin/limits.hpp"

namespace tempest::builtin {

bool LinesSink::is_refused(const Message& message) const {
  return line_breaks_ == LineBreaks::refuse && message.payload.find('\n') != std::string_view::npos;
}

Result<void> LinesSink::write(std::span<const Message> messages) {
  for (const Message& message : messages) {
    if (!is_refused(message)) continue;
    return Error{ErrorCode::fail,
                 "the payload has a line break, and would become two lines: set line_breaks = "
                 "\"escape\" in the lines sink, or take it out before"};
  }
  buffer_.clear();
  for (const Message& message : messages) {
    add_line(message.payload);
    if (buffer_.size() < kWriteTargetBytes) continue;
    if (auto written = file_.write(buffer_); !written) return written;
    buffer_.clear();
  }
  return buffer_.empty() ? Result<void>{} : file_.write(buffer_);
}

void LinesSink::add_line(std::string_view payload) {
  if (line_breaks_ == LineBreaks::refuse) {
    buffer_ += payload;
  } else {
    for (const char c : payload) {
      switch (c) {
        case '\\':
          buffer_ += "\\\\";
          break;
        case '\n':
          buffer_ += "\\n";
          break;
        case '\r':
          buffer_ += "\\r";
          break;
        default:
          buffer_ += c;
      }
    }
  }
  buffer_ += '\n';
}

}  // namespace tempest::builtin

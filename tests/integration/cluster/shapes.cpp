// Tasks for topologies with branches and gathering.

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "tempest/task.hpp"

namespace shapes {

/// Makes of "n" the parts "n.0", "n.1" and "n.2".
class Scatter : public tempest::Task {
 public:
  tempest::Result<void> handle(const tempest::Message& message,
                               tempest::Context& context) override {
    for (const char part : {'0', '1', '2'}) {
      context.emit(std::string(message.payload) + "." + part);
    }
    return {};
  }
};

/// Sends parts that end with 1 along "odd", drops those with 2, hands on the rest.
class Route : public tempest::Task {
 public:
  bool filter(const tempest::Message& message) override { return message.payload.back() != '2'; }

  tempest::Result<void> handle(const tempest::Message& message,
                               tempest::Context& context) override {
    context.emit(message, message.payload.back() == '1' ? "odd" : "");
    return {};
  }
};

/// Everything of one source message in one line, each with the task it came from.
class Join : public tempest::Task {
 public:
  tempest::Result<void> handle(const tempest::Message&, tempest::Context&) override {
    return tempest::TaskError{tempest::TaskError::Kind::fail, "not gathered"};
  }

  tempest::Result<void> gather(std::span<const tempest::Message> messages,
                               std::span<const std::string_view> origins,
                               tempest::Context& context) override {
    std::vector<std::string> parts;
    for (std::size_t i = 0; i < messages.size(); ++i) {
      parts.push_back(std::string(origins[i]) + "=" + std::string(messages[i].payload));
    }
    std::sort(parts.begin(), parts.end());
    std::string line;
    for (const std::string& part : parts) line += (line.empty() ? "" : " ") + part;
    context.emit(line);
    return {};
  }
};

}  // namespace shapes

using shapes::Join;
using shapes::Route;
using shapes::Scatter;
TEMPEST_TASKS(shapes, Scatter, Route, Join)

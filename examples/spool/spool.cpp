#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <system_error>
#include <vector>

#include "tempest/failure.hpp"
#include "tempest/sink.hpp"
#include "tempest/source.hpp"

/// A folder as a queue: each file in it is a message. Files whose names begin with a dot are being
/// written, and no messages yet.
namespace {

namespace fs = std::filesystem;

tempest::Error away(const std::string& what) {
  return {tempest::ErrorCode::unavailable, what, {}};
}

/// What both are set up with.
tempest::Result<fs::path> folder_of(const tempest::Settings& config) {
  if (config.text("path").empty()) {
    return tempest::Error{tempest::ErrorCode::configuration, "config needs a path, the folder", {}};
  }
  return fs::path(config.text("path"));
}

/// Reads the files of a folder in the order of their names, and removes each once it is done. A
/// file that is given up without an ack stays, and is read again by the next start.
class Folder : public tempest::Source {
 public:
  void declare(tempest::Declarations& about) const override {
    using tempest::Setting;
    about.summary("The files of a folder, each a message")
        .setting("path", Setting::text, "", "The folder; not to be left out")
        .setting("until_empty", Setting::boolean, "false", "Ends once the folder is empty");
  }

  tempest::Result<void> configure(const tempest::Settings& config,
                                  const tempest::SourceReader& /*reader*/) override {
    auto folder = folder_of(config);
    if (!folder) return folder.error();
    folder_ = std::move(*folder);
    until_empty_ = config.boolean("until_empty", false);
    return {};
  }

  tempest::Result<void> open() override {
    std::error_code error;
    if (fs::is_directory(folder_, error)) return {};
    return away("there is no folder " + folder_.string());
  }

  tempest::Result<void> poll(std::size_t max_messages, tempest::Duration /*wait*/,
                             tempest::SourceBatch& batch) override {
    std::vector<std::string> names;
    if (auto listed = list(names); !listed) return listed;
    std::size_t given = 0;
    for (const std::string& name : names) {
      if (given_out_.contains(name)) continue;
      if (given == max_messages) return {};
      std::ifstream file(folder_ / name, std::ios::binary);
      const std::string payload(std::istreambuf_iterator<char>(file), {});
      if (!file) return away("cannot read " + name);
      names_.emplace(++last_token_, name);
      given_out_.insert(name);
      batch.add({.payload = payload, .token = {0, last_token_}});
      ++given;
    }
    batch.ended = until_empty_ && given == 0;
    return {};
  }

  tempest::Result<void> ack(std::span<const tempest::SourceToken> tokens) override {
    for (const tempest::SourceToken& token : tokens) {
      const auto name = names_.find(token.low);
      if (name == names_.end()) continue;  // Acked before.
      std::error_code error;
      fs::remove(folder_ / name->second, error);
      if (error) return away("cannot remove " + name->second + ": " + error.message());
      given_out_.erase(name->second);
      names_.erase(name);
    }
    return {};
  }

  /// Drained once no file is there that was not given out.
  tempest::Result<bool> drained() override {
    std::vector<std::string> names;
    if (auto listed = list(names); !listed) return listed.error();
    return std::all_of(names.begin(), names.end(),
                       [this](const std::string& name) { return given_out_.contains(name); });
  }

  bool is_finite() const override { return until_empty_; }

  std::string describe(const tempest::SourceToken& token) const override {
    const auto name = names_.find(token.low);
    return name == names_.end() ? "a file" : "file " + name->second;
  }

 private:
  tempest::Result<void> list(std::vector<std::string>& names) const {
    std::error_code error;
    for (fs::directory_iterator entry(folder_, error), end; !error && entry != end;
         entry.increment(error)) {
      std::string name = entry->path().filename().string();
      if (!name.starts_with('.')) names.push_back(std::move(name));
    }
    if (error) return away("cannot list " + folder_.string() + ": " + error.message());
    std::sort(names.begin(), names.end());
    return {};
  }

  fs::path folder_;
  bool until_empty_ = false;
  std::uint64_t last_token_ = 0;
  std::map<std::uint64_t, std::string> names_;  ///< By token: what is out.
  std::set<std::string> given_out_;
};

/// Writes each message to a file of its own. A batch that is written again, because the node died
/// or a file could not be written, makes files again: a duplicate, never a loss.
class Files : public tempest::Sink {
 public:
  void declare(tempest::Declarations& about) const override {
    about.summary("A file of a folder for each message")
        .setting("path", tempest::Setting::text, "", "The folder; not to be left out");
  }

  tempest::Result<void> configure(const tempest::Settings& config) override {
    auto folder = folder_of(config);
    if (!folder) return folder.error();
    folder_ = std::move(*folder);
    return {};
  }

  tempest::Result<void> open() override {
    std::error_code error;
    fs::create_directories(folder_, error);
    if (error) return away("cannot make " + folder_.string() + ": " + error.message());
    return {};
  }

  tempest::Result<void> write(std::span<const tempest::Message> messages) override {
    for (const tempest::Message& message : messages) {
      if (auto written = write_file(message.payload); !written) return written;
    }
    return {};
  }

 private:
  /// Its name says when, by which process, and is no other's.
  std::string next_name() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const auto count = std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
    return std::to_string(count) + "-" + std::to_string(::getpid()) + "-" +
           std::to_string(reinterpret_cast<std::uintptr_t>(this)) + "-" +
           std::to_string(++written_);
  }

  /// Success means that it is on the disk, whole, under its name.
  tempest::Result<void> write_file(std::string_view bytes) {
    const std::string name = next_name();
    const fs::path unfinished = folder_ / ("." + name);
    const int file = ::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (file < 0) return away(std::strerror(errno));
    bool is_written = true;
    while (!bytes.empty() && is_written) {
      const ssize_t count = ::write(file, bytes.data(), bytes.size());
      is_written = count > 0;
      if (is_written) bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    is_written = is_written && ::fsync(file) == 0;
    const std::string reason = is_written ? "" : std::strerror(errno);
    ::close(file);
    std::error_code error;
    if (is_written) fs::rename(unfinished, folder_ / name, error);
    if (is_written && !error) return {};
    return away("cannot write " + name + ": " + (error ? error.message() : reason));
  }

  fs::path folder_;
  std::uint64_t written_ = 0;
};

/// Gives a message that failed `again` more times, each after `wait`; acks one whose failure says
/// that it is not wanted (`unwanted` within the reason). All else goes by the policy.
class Triage : public tempest::FailureHandler {
 public:
  void declare(tempest::Declarations& about) const override {
    using tempest::Setting;
    about.summary("Tries messages again, and lets go of some")
        .setting("again", Setting::integer, "0", "How often a message is tried again")
        .setting("wait", Setting::duration, "1m", "Before each of these")
        .setting("unwanted", Setting::text, "",
                 "Messages whose failure has this in its reason are acked");
  }

  tempest::Result<void> configure(const tempest::Settings& config) override {
    again_ = config.integer("again", 0);
    wait_ = config.duration("wait", std::chrono::minutes(1));
    unwanted_ = config.text("unwanted");
    if (again_ >= 0) return {};
    return tempest::Error{tempest::ErrorCode::configuration, "again must not be negative", {}};
  }

  tempest::FailureChoice choose(const tempest::Failure& failure) override {
    using Action = tempest::FailureChoice::Action;
    if (!unwanted_.empty() && failure.reason.find(unwanted_) != std::string_view::npos) {
      return {Action::ack, {}};
    }
    if (failure.attempts <= again_) return {Action::retry, wait_};
    return {};
  }

 private:
  std::int64_t again_ = 0;
  tempest::Duration wait_{};
  std::string unwanted_;
};

}  // namespace

TEMPEST_TASKS(spool, Folder, Files, Triage)

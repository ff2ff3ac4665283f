#pragma once

#include <cstdint>
#include <fstream>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cli/dead_letter.hpp"
#include "tempest/base/result.hpp"
#include "tempest/runtime/redis.hpp"
#include "tempest/source.hpp"
#include "tempest/topology.hpp"

namespace tempest::cli {

/// Where dead letters are kept. What comes in after the first open() is not seen: a letter that a
/// replay gives rise to is not replayed in its turn. For one thread at a time.
class LetterStore {
 public:
  struct Raw {
    LetterPlace place;
    std::string text;
  };

  virtual ~LetterStore() = default;

  /// Also after an `unavailable`.
  virtual Result<void> open() = 0;
  /// Back to the oldest letter.
  virtual void rewind() = 0;
  /// Appends the next ones, oldest first, a few MiB at most; none: that was all.
  virtual Result<void> read(std::vector<Raw>& entries) = 0;
  /// For good. What is not there any more is no error.
  virtual Result<void> remove(std::span<const LetterPlace> places) = 0;
  /// For people.
  virtual std::string shown() const = 0;
};

/// The entries of a Redis stream: the letter is the value of `field`.
class LetterStream : public LetterStore {
 public:
  struct Options {
    runtime::RedisAddress address;
    std::string key;
    std::string field = "value";
  };

  explicit LetterStream(Options options)
      : options_(std::move(options)), connection_(options_.address) {}

  Result<void> open() override;
  void rewind() override { next_ = {}; }
  Result<void> read(std::vector<Raw>& entries) override;
  Result<void> remove(std::span<const LetterPlace> places) override;
  std::string shown() const override;

  const Options& options() const { return options_; }
  runtime::RedisConnection& connection() { return connection_; }

 private:
  Options options_;
  runtime::RedisConnection connection_;
  bool opened_before_ = false;
  std::string last_;  ///< The newest entry at the first open(); empty: there was none.
  SourceToken next_;
  std::size_t count_ = 16;
};

/// The lines of a file. A node may be adding to it, so what is removed is overwritten with spaces,
/// and blank lines are no letters.
class LetterFile : public LetterStore {
 public:
  explicit LetterFile(std::string path) : path_(std::move(path)) {}
  ~LetterFile() override;

  Result<void> open() override;
  void rewind() override;
  Result<void> read(std::vector<Raw>& entries) override;
  Result<void> remove(std::span<const LetterPlace> places) override;
  std::string shown() const override { return "\"" + path_ + "\""; }

 private:
  Result<void> remove(const LetterPlace& place);
  Error failed(const char* what) const;

  std::string path_;
  std::ifstream lines_;
  std::uint64_t next_ = 0;
  std::uint64_t end_ = 0;
  int writer_ = -1;
};

/// The store that a topology's dead letters go to. Errors: `configuration`.
Result<std::unique_ptr<LetterStore>> letter_store_of(const Endpoint& dead_letter);

/// Reads the letters of a store that a filter lets through, up to a number of them.
class LetterReader {
 public:
  /// `limit` 0: all. The store is open.
  LetterReader(LetterStore& store, LetterFilter filter, std::uint64_t limit);

  /// The next ones; none: that was all.
  Result<std::vector<StoredLetter>> next();
  /// Visits all of them, until visit(letter) gives an error.
  template <typename Visit>
  Result<void> for_each(Visit visit) {
    while (true) {
      const auto letters = next();
      if (!letters) return letters.error();
      if (letters->empty()) return {};
      for (const StoredLetter& letter : *letters) {
        if (Result<void> visited = visit(letter); !visited) return visited;
      }
    }
  }
  /// There were more than the limit.
  bool was_cut() const { return was_cut_; }
  /// Entries that are no dead letters: left alone.
  std::uint64_t unreadable() const { return unreadable_; }

 private:
  LetterStore& store_;
  LetterFilter filter_;
  std::uint64_t limit_;
  std::uint64_t given_ = 0;
  std::uint64_t unreadable_ = 0;
  bool was_cut_ = false;
};

}  // namespace tempest::cli

#include <hiredis/hiredis.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "bench/ceiling/ceiling.hpp"
#include "bench/ceiling/role_processes.hpp"
#include "bench/stream.hpp"
#include "bench/workload.hpp"
#include "tempest/runtime/redis.hpp"

namespace tempest::ceiling {

namespace {

constexpr const char* kGroup = "ceiling";

/// XREADGROUP and XACK with nothing between them: while one batch is parsed here, the server makes
/// the next. The ids to ack point into the reply they came in.
class BareLoop {
 public:
  BareLoop(redisContext* context, std::size_t batch) : context_(context), batch_(batch) {}

  /// False: the server has failed.
  bool run(std::uint64_t count) {
    while (acked_ < count) {
      for (; reads_out_ < kReadsOut && read_ + reads_out_ * batch_ < count; ++reads_out_) ask();
      if (!take(count)) return false;
    }
    return true;
  }

 private:
  static constexpr std::uint64_t kReadsOut = 2;

  struct Free {
    void operator()(void* reply) const { freeReplyObject(reply); }
  };
  using Reply = std::unique_ptr<redisReply, Free>;

  void ask() {
    redisAppendCommand(context_, "XREADGROUP GROUP %s bare COUNT %d STREAMS %s >", kGroup,
                       static_cast<int>(batch_), bench::kStreamKey);
    order_.push_back(0);
  }

  /// The next reply, of whatever it is; an ack follows each batch at once.
  bool take(std::uint64_t count) {
    redisReply* raw = nullptr;
    if (redisGetReply(context_, reinterpret_cast<void**>(&raw)) != REDIS_OK) return false;
    const Reply reply(raw);
    const std::uint64_t of_ack = order_.front();
    order_.erase(order_.begin());
    if (of_ack > 0) {
      if (reply->type != REDIS_REPLY_INTEGER) return false;
      acked_ += static_cast<std::uint64_t>(reply->integer);
      return true;
    }
    --reads_out_;
    if (reply->type != REDIS_REPLY_ARRAY) return false;
    ack(reply->element[0]->element[1]);
    return read_ <= count;
  }

  void ack(const redisReply* entries) {
    arguments_.assign({"XACK", bench::kStreamKey, kGroup});
    lengths_.assign({4, std::string(bench::kStreamKey).size(), std::string(kGroup).size()});
    for (std::size_t i = 0; i < entries->elements; ++i) {
      const redisReply* id = entries->element[i]->element[0];
      arguments_.push_back(id->str);
      lengths_.push_back(id->len);
    }
    read_ += entries->elements;
    redisAppendCommandArgv(context_, static_cast<int>(arguments_.size()), arguments_.data(),
                           lengths_.data());
    order_.push_back(entries->elements);
  }

  redisContext* context_;
  std::size_t batch_;
  std::uint64_t read_ = 0;
  std::uint64_t acked_ = 0;
  std::uint64_t reads_out_ = 0;
  std::vector<std::uint64_t> order_;  ///< Of the replies to come: 0, a read; else how many acked.
  std::vector<const char*> arguments_;
  std::vector<std::size_t> lengths_;
};

std::uint64_t own_cpu_ns() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(time.tv_nsec);
}

}  // namespace

Result<Numbers> redis(const Settings& settings) {
  const auto address = runtime::parse_redis_uri(settings.redis);
  if (!address) return address.error();
  auto filled = bench::fill_stream(settings.redis, kGroup, settings.count, settings.size_bytes);
  if (!filled) return filled.error();
  struct Free {
    void operator()(redisContext* context) const { redisFree(context); }
  };
  const std::unique_ptr<redisContext, Free> context(
      redisConnect(address->host.c_str(), address->port));
  if (context == nullptr || context->err != 0) {
    return Error{ErrorCode::unavailable, "cannot connect to " + address->shown()};
  }
  const std::size_t batch = settings.batch > 0 ? settings.batch : 1'000;
  BareLoop loop(context.get(), batch);
  const std::uint64_t cpu = own_cpu_ns();
  const std::uint64_t begin = now_ns();
  if (!loop.run(settings.count)) {
    return Error{ErrorCode::unavailable, std::string("the loop has failed: ") + context->errstr};
  }
  const auto count = static_cast<double>(settings.count);
  const auto seconds = static_cast<double>(now_ns() - begin) / 1e9;
  const auto cpu_us = static_cast<double>(own_cpu_ns() - cpu) / 1e3;
  if (auto checked = bench::check_stream(settings.redis, kGroup, settings.count); !checked) {
    return checked.error();
  }
  return Numbers{{"messages_per_second", count / seconds},
                 {"cpu_us_per_message", cpu_us / count},
                 {"messages_per_frame", static_cast<double>(batch)}};
}

}  // namespace tempest::ceiling

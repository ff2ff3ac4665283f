#pragma once

#include <atomic>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "tempest/base/result.hpp"
#include "tempest/base/shared_bytes.hpp"
#include "tempest/runtime/doorbell.hpp"

/// Connections between loops of one process: frames move from hand to hand, without a copy and,
/// while the receiver is awake, without a system call.
namespace tempest::runtime {

/// Frames on their way in one direction. One thread sends, another receives.
class InprocLane {
 public:
  explicit InprocLane(std::shared_ptr<Doorbell> receiver) : receiver_(std::move(receiver)) {}

  /// False: too many wait already, or one of both ends has closed.
  bool send(SharedBytes frame);
  /// Takes what has come; `frames` is cleared, and its room used for what comes next.
  void receive(std::vector<SharedBytes>& frames);
  /// Whether there is something to receive, or the end to be seen. Without a lock.
  bool has_news() const { return has_news_.load(std::memory_order_acquire); }
  bool is_closed() const;
  void close();

 private:
  std::shared_ptr<Doorbell> receiver_;
  mutable std::mutex mutex_;
  std::vector<SharedBytes> frames_;
  bool closed_ = false;
  std::atomic<bool> has_news_{false};
};

/// One end of a connection. Closing it, or letting it go, is seen at the other.
class InprocEnd {
 public:
  InprocEnd(std::shared_ptr<InprocLane> out, std::shared_ptr<InprocLane> in)
      : out_(std::move(out)), in_(std::move(in)) {}
  ~InprocEnd() { close(); }
  InprocEnd(InprocEnd&&) = default;
  InprocEnd& operator=(InprocEnd&&) = delete;

  bool send(SharedBytes frame) { return out_->send(std::move(frame)); }
  bool has_news() const { return in_->has_news(); }
  void receive(std::vector<SharedBytes>& frames) { in_->receive(frames); }
  bool is_closed() const { return in_->is_closed(); }
  void close();

 private:
  std::shared_ptr<InprocLane> out_;
  std::shared_ptr<InprocLane> in_;
};

/// A name that others connect to.
class InprocListener {
 public:
  explicit InprocListener(std::shared_ptr<Doorbell> doorbell) : doorbell_(std::move(doorbell)) {}

  struct Accepted {
    std::string routing_id;
    InprocEnd end;
  };
  bool has_news() const { return has_news_.load(std::memory_order_acquire); }
  std::vector<Accepted> accept();

 private:
  friend class InprocHub;
  InprocEnd connect(const std::string& routing_id, std::shared_ptr<Doorbell> doorbell);

  std::shared_ptr<Doorbell> doorbell_;
  std::mutex mutex_;
  std::vector<Accepted> waiting_;
  std::atomic<bool> has_news_{false};
};

/// The names of one process. From any thread.
class InprocHub {
 public:
  /// `unavailable` if somebody has that name. It is free again once the listener is gone.
  Result<std::shared_ptr<InprocListener>> listen(const std::string& name,
                                                 std::shared_ptr<Doorbell> doorbell);
  /// Nothing if nobody has that name, now.
  std::optional<InprocEnd> connect(const std::string& name, const std::string& routing_id,
                                   std::shared_ptr<Doorbell> doorbell);

 private:
  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<InprocListener>> listeners_;
};

}  // namespace tempest::runtime

#include "task_node/handler_pool.hpp"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

namespace tempest::task_node {

/// What goes back to the node's loop, and how many threads there are to wait for.
struct HandlerPool::Mailbox {
  std::function<void()> wake;

  std::mutex mutex;
  std::condition_variable thread_ended;
  std::size_t threads_alive = 0;  ///< Without those that have been replaced.
  std::size_t replaced_alive = 0;
  std::vector<std::unique_ptr<Execution>> executions;
  std::vector<BuildAnswer> answers;
  std::vector<Extension> extensions;  ///< One for each delivery: the last.

  void post(const Extension& extension) {
    {
      const std::lock_guard lock(mutex);
      for (Extension& waiting : extensions) {
        if (waiting.id != extension.id || waiting.lot != extension.lot) continue;
        waiting.time = std::max(waiting.time, extension.time);
        return;
      }
      extensions.push_back(extension);
    }
    wake();
  }

  void post(std::unique_ptr<Execution> execution) {
    bool was_empty = false;
    {
      const std::lock_guard lock(mutex);
      was_empty = executions.empty();
      executions.push_back(std::move(execution));
    }
    if (was_empty) wake();
  }

  void post(BuildAnswer answer) {
    {
      const std::lock_guard lock(mutex);
      answers.push_back(std::move(answer));
    }
    wake();
  }
};

namespace {

/// A build that all threads take part in; the last to finish has the whole answer.
struct SharedBuild {
  SharedBuild(std::shared_ptr<const Plan> of, std::size_t threads)
      : plan(std::move(of)), missing(threads) {}

  std::shared_ptr<const Plan> plan;
  std::mutex mutex;
  std::size_t missing;
  bool is_replacement = false;
  BuildAnswer answer;
};

}  // namespace

class HandlerPool::Thread {
 public:
  Thread(std::size_t number, std::shared_ptr<Mailbox> mailbox)
      : mailbox_(std::move(mailbox)), thread_([this] { run(); }) {
    pthread_setname_np(thread_.native_handle(), ("handler-" + std::to_string(number)).c_str());
  }
  ~Thread() { thread_.join(); }

  void build(std::shared_ptr<SharedBuild> build) {
    {
      const std::lock_guard lock(mutex_);
      build_ = std::move(build);
    }
    changed_.notify_one();
  }

  void execute(std::unique_ptr<Execution> execution, std::function<void()> then) {
    {
      const std::lock_guard lock(mutex_);
      jobs_.push_back({std::move(execution), std::move(then)});
    }
    changed_.notify_one();
  }

  void run_here(std::unique_ptr<Execution> execution) {
    handler_->run(*execution);
    mailbox_->post(std::move(execution));
  }

  bool is_free() const {
    const std::lock_guard lock(mutex_);
    return !is_busy_ && !has_work();
  }

  bool is_wanted() const {
    const std::lock_guard lock(mutex_);
    return has_work();
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_one();
  }

  /// Another takes its place: it ends when it comes out of its call.
  void give_up() {
    {
      const std::lock_guard lock(mailbox_->mutex);
      is_replaced_ = true;
      --mailbox_->threads_alive;
      ++mailbox_->replaced_alive;
    }
    stop();
  }

 private:
  struct Job {
    std::unique_ptr<Execution> execution;
    std::function<void()> then;
  };

  void run() {
    {
      // Instances end with their thread, before the pool is told.
      Handler handler([this](const Extension& extension) { mailbox_->post(extension); });
      handler_ = &handler;
      while (step(handler)) {
      }
    }
    std::unique_lock lock(mailbox_->mutex);
    if (is_replaced_) {
      lock.unlock();
      post_queued();
      lock.lock();
    }
    --(is_replaced_ ? mailbox_->replaced_alive : mailbox_->threads_alive);
    mailbox_->thread_ended.notify_all();
  }

  /// Sends back what was queued behind the call that was given up. It has been sealed.
  void post_queued() {
    std::deque<Job> jobs;
    {
      const std::lock_guard lock(mutex_);
      jobs.swap(jobs_);
    }
    for (Job& job : jobs) mailbox_->post(std::move(job.execution));
  }

  bool has_work() const { return stopping_ || build_ || !jobs_.empty(); }

  bool step(Handler& handler) {
    std::shared_ptr<SharedBuild> build;
    Job job;
    {
      std::unique_lock lock(mutex_);
      is_busy_ = false;
      changed_.wait(lock, [this] { return has_work(); });
      if (stopping_) return false;
      is_busy_ = true;
      if (build_) {
        build = std::move(build_);
      } else {
        job = std::move(jobs_.front());
        jobs_.pop_front();
      }
    }
    if (build) {
      // A thread without instances can run nothing; the machine ends the worker.
      if (!take_part(handler, *build) && build->is_replacement) return false;
    } else {
      run_here(std::move(job.execution));
      if (job.then) job.then();
    }
    return true;
  }

  bool take_part(Handler& handler, SharedBuild& build) {
    const Result<void> built = handler.build(build.plan);
    const std::lock_guard lock(build.mutex);
    if (!built && !build.answer.error) build.answer.error = built.error();
    if (built) build.answer.tasks = handler.served();
    if (--build.missing > 0) return built.ok();
    build.answer.version = build.plan->version;
    build.answer.is_replacement = build.is_replacement;
    mailbox_->post(std::move(build.answer));
    return built.ok();
  }

  std::shared_ptr<Mailbox> mailbox_;
  Handler* handler_ = nullptr;  ///< For the thread itself.
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<SharedBuild> build_;
  std::deque<Job> jobs_;
  bool is_busy_ = false;
  bool stopping_ = false;
  bool is_replaced_ = false;  ///< Under the mailbox's mutex.
  std::thread thread_;        ///< Last: it uses all of the above.
};

HandlerPool::HandlerPool(std::size_t threads, std::function<void()> wake)
    : mailbox_(std::make_shared<Mailbox>()) {
  mailbox_->wake = std::move(wake);
  mailbox_->threads_alive = threads;
  threads_.reserve(threads);
  for (std::size_t i = 0; i < threads; ++i) {
    threads_.push_back(std::make_unique<Thread>(i, mailbox_));
  }
}

HandlerPool::~HandlerPool() {
  for (auto& thread : threads_) thread->stop();
  threads_.clear();
  replaced_.clear();
}

void HandlerPool::build(std::shared_ptr<const Plan> plan) {
  plan_ = plan;
  const auto build = std::make_shared<SharedBuild>(std::move(plan), threads_.size());
  for (auto& thread : threads_) thread->build(build);
}

void HandlerPool::replace(std::size_t thread) {
  threads_[thread]->give_up();
  replaced_.push_back(std::move(threads_[thread]));
  {
    const std::lock_guard lock(mailbox_->mutex);
    ++mailbox_->threads_alive;
  }
  threads_[thread] = std::make_unique<Thread>(thread, mailbox_);
  const auto build = std::make_shared<SharedBuild>(plan_, 1);
  build->is_replacement = true;
  threads_[thread]->build(build);
}

void HandlerPool::execute(std::unique_ptr<Execution> execution, std::function<void()> then) {
  const std::size_t thread = execution->thread;
  threads_[thread]->execute(std::move(execution), std::move(then));
}

void HandlerPool::run_here(std::unique_ptr<Execution> execution) {
  const std::size_t thread = execution->thread;
  threads_[thread]->run_here(std::move(execution));
}

bool HandlerPool::is_free(std::size_t thread) const {
  return threads_[thread]->is_free();
}

bool HandlerPool::is_wanted(std::size_t thread) const {
  return threads_[thread]->is_wanted();
}

void HandlerPool::collect(std::vector<std::unique_ptr<Execution>>& executions,
                          std::vector<BuildAnswer>& answers, std::vector<Extension>& extensions) {
  const std::lock_guard lock(mailbox_->mutex);
  for (auto& execution : mailbox_->executions) executions.push_back(std::move(execution));
  mailbox_->executions.clear();
  for (auto& answer : mailbox_->answers) answers.push_back(std::move(answer));
  mailbox_->answers.clear();
  extensions.insert(extensions.end(), mailbox_->extensions.begin(), mailbox_->extensions.end());
  mailbox_->extensions.clear();
}

bool HandlerPool::stop(Duration patience) {
  for (auto& thread : threads_) thread->stop();
  std::unique_lock lock(mailbox_->mutex);
  const bool have_ended = mailbox_->thread_ended.wait_for(
      lock, patience, [this] { return mailbox_->threads_alive == 0; });
  return have_ended && mailbox_->replaced_alive == 0;
}

}  // namespace tempest::task_node

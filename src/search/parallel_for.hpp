// Items 0 to count - 1 on several threads. Every item writes its own results and workers share nothing that changes, so
// results do not depend on how many threads there are or who took which item. The exception of the first item that
// failed is thrown again; an interrupt of the caller's thread stops all of them.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "interrupt.hpp"

namespace dts {

inline constexpr std::size_t kMostThreads = 1024;

namespace detail {

class Workers {
 public:
  explicit Workers(std::size_t count) : count_(count), failed_at_(count) {}

  // make_worker() is called once on each thread and gives a function of the item.
  template <class MakeWorker>
  void run(MakeWorker& make_worker) {
    std::size_t item = count_;
    try {
      auto work = make_worker();
      while ((item = next_.fetch_add(1)) < count_) work(item), poll_interrupt();
    } catch (const Stopped&) {
    } catch (...) {
      failed(item);
    }
  }

  // On the caller's thread, whose poll decides.
  template <class MakeWorker>
  void run_polling(MakeWorker& make_worker, const InterruptPoll* outer) {
    const InterruptScope scope([this, outer] { ask(outer); });
    run(make_worker);
  }

  template <class MakeWorker>
  void run_stoppable(MakeWorker& make_worker) {
    {
      const InterruptScope scope([this] {
        if (stop_) throw Stopped();
      });
      run(make_worker);
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    ++ended_;
    changed_.notify_all();
  }

  void wait(std::size_t threads, const InterruptPoll* outer) {
    std::unique_lock<std::mutex> lock(mutex_);
    while (!changed_.wait_for(lock, std::chrono::milliseconds(20), [&] { return ended_ == threads; })) {
      lock.unlock();
      try {
        ask(outer);
      } catch (...) {
        failed(0);
      }
      lock.lock();
    }
  }

  void rethrow() const {
    if (interrupt_) std::rethrow_exception(interrupt_);
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  struct Stopped {};

  void ask(const InterruptPoll* outer) {
    if (outer == nullptr || stop_) return;
    try {
      (*outer)();
    } catch (...) {
      interrupt_ = std::current_exception();
      stop_ = true;
      throw;
    }
  }

  void failed(std::size_t item) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!failure_ || item < failed_at_) failure_ = std::current_exception(), failed_at_ = item;
    next_ = count_;
  }

  std::size_t count_;
  std::atomic<std::size_t> next_{0};
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t ended_ = 0, failed_at_;
  std::exception_ptr failure_, interrupt_;  // the second is the caller's thread's own
};

}  // namespace detail

// `threads` 0: one per core.
inline std::size_t thread_count(int threads) noexcept {
  const std::size_t cores = std::max<std::size_t>(1, std::thread::hardware_concurrency());
  return std::min(threads > 0 ? static_cast<std::size_t>(threads) : cores, kMostThreads);
}

template <class MakeWorker>
void parallel_for(std::size_t count, int threads, MakeWorker make_worker) {
  const std::size_t wanted = std::min(count, thread_count(threads));
  const InterruptPoll* outer = detail::interrupt_state.poll;
  detail::Workers workers(count);
  std::vector<std::thread> pool;
  try {
    for (std::size_t i = 1; i < wanted; ++i) pool.emplace_back([&] { workers.run_stoppable(make_worker); });
  } catch (const std::system_error&) {  // the system gives no more of them: those there are do it all
  }
  workers.run_polling(make_worker, outer);
  workers.wait(pool.size(), outer);
  for (std::thread& thread : pool) thread.join();
  workers.rethrow();
}

}  // namespace dts

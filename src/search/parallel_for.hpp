// Items 0 to count - 1 on several threads. Every item writes its own results and workers share nothing that changes, so
// results do not depend on how many threads there are or who took which item. The exception of the first item that
// failed is thrown again.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace dts {

// make_worker() is called once on each thread and gives a function of the item. `threads` 0: one per core.
template <class MakeWorker>
void parallel_for(std::size_t count, int threads, MakeWorker make_worker) {
  const std::size_t cores = std::max<std::size_t>(1, std::thread::hardware_concurrency());
  const std::size_t workers = std::min(count, threads > 0 ? static_cast<std::size_t>(threads) : cores);
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  std::size_t failed_at = count;
  const auto run = [&] {
    std::size_t item = count;
    try {
      auto work = make_worker();
      while ((item = next.fetch_add(1)) < count) work(item);
    } catch (...) {
      const std::lock_guard<std::mutex> lock(mutex);
      if (!failure || item < failed_at) failure = std::current_exception(), failed_at = item;
      next = count;
    }
  };
  std::vector<std::thread> pool;
  for (std::size_t i = 1; i < workers; ++i) pool.emplace_back(run);
  run();
  for (std::thread& thread : pool) thread.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace dts

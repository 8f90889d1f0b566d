// Watches the tasks of a run window by window: whether each window waits only for windows close before it, and whether
// the last ones are copies of each other, shifted in time.
#pragma once

#include <cstdint>
#include <vector>

#include "schedule/windows.hpp"
#include "step/step_tasks.hpp"

namespace dts {

class SteadyState {
 public:
  explicit SteadyState(OrderWindows windows);

  static constexpr int kBefore = -1;  // the first window
  int window_at(int rank, std::size_t pass);  // passes of a rank in order; windows_ count: after the last window
  int repeating() const noexcept { return static_cast<int>(windows_.count) - 2; }  // the window that stands for skipped ones
  int after() const noexcept { return static_cast<int>(windows_.count); }

  void add(int window, const IssuedTask& task, double start_s, double end_s);
  // A task of `window` depends on one of `earlier`; a stream that it shares with an earlier one counts as far as it
  // makes it wait.
  void depends(int window, int earlier) noexcept;
  // Seconds by which windows follow each other; < 0: they are no copies.
  double window_s() const;
  // Compute of a rank in the windows around the repeating one, first start to last end.
  double computes_from_s(std::size_t rank) const { return around_[rank].first; }
  double computes_until_s(std::size_t rank) const { return around_[rank].second; }

 private:
  struct Copy {  // of one task, in the windows that are compared
    TaskKind kind;
    std::int32_t stage, piece;
    double start_s, end_s;
  };
  std::vector<Copy>& copies(std::size_t rank, int window) { return copies_[rank * windows_.count + static_cast<std::size_t>(window)]; }
  const std::vector<Copy>& copies(std::size_t rank, int window) const { return copies_[rank * windows_.count + static_cast<std::size_t>(window)]; }

  OrderWindows windows_;
  std::vector<std::size_t> next_;   // per rank: pass at which the next window begins
  std::vector<int> now_;            // per rank
  std::vector<std::vector<Copy>> copies_;  // [rank][window]
  std::vector<std::pair<double, double>> around_;
  int reach_ = 1;                   // windows back that a window depends on
  int settled_ = 0;                 // the first window that depends on none before the first
  bool regular_ = true;
};

}  // namespace dts

// How often each class of passes runs in a step. What a pass spends is added up once per class, times its count: exact,
// since times lie on a grid (engine/time_grid.hpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace dts {

class PassCounts {
 public:
  void add(std::int32_t pass_class, bool repeats = false) {
    const auto at = static_cast<std::size_t>(pass_class);
    if (at >= all_.size()) all_.resize(at + 1, 0), repeating_.resize(at + 1, 0);
    ++all_[at];
    if (repeats) ++repeating_[at];
  }
  std::size_t classes() const noexcept { return all_.size(); }
  // With so many further windows like the one that repeats.
  double of(std::size_t pass_class, double windows) const {
    return all_[pass_class] + windows * repeating_[pass_class];
  }

 private:
  std::vector<double> all_, repeating_;
};

// What a run of a step skipped: periods, of one or more windows each, that repeat one that ran (step/step_run.hpp).
struct SkippedWindows {
  double count = 0;
  double window_s = 0;  // duration of one

  double seconds() const noexcept { return count * window_s; }
};

}  // namespace dts

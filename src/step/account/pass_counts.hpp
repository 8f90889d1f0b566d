// How often each class of passes runs in a step. What a pass spends is added up once per class, times its count: exact,
// since times lie on a grid (engine/time_grid.hpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace dts {

class PassCounts {
 public:
  void add(std::int32_t pass_class, double times = 1) {
    const auto at = static_cast<std::size_t>(pass_class);
    if (at >= counts_.size()) counts_.resize(at + 1, 0);
    counts_[at] += times;
  }
  // What was counted since then, so many times again.
  void repeat_since(const PassCounts& then, double times) {
    for (std::size_t c = 0; c < counts_.size(); ++c) {
      counts_[c] += times * (counts_[c] - (c < then.counts_.size() ? then.counts_[c] : 0));
    }
  }
  std::size_t classes() const noexcept { return counts_.size(); }
  double of(std::size_t pass_class) const { return counts_[pass_class]; }

 private:
  std::vector<double> counts_;
};

}  // namespace dts

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
  std::size_t classes() const noexcept { return counts_.size(); }
  double of(std::size_t pass_class) const { return counts_[pass_class]; }

 private:
  std::vector<double> counts_;
};

}  // namespace dts

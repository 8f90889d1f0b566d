#include "engine/interference.hpp"

#include <algorithm>
#include <limits>

#include "engine/time_grid.hpp"

namespace dts {

void HeldList::add(const Held& held) {
  const auto later = std::upper_bound(list_.begin() + static_cast<std::ptrdiff_t>(first_), list_.end(), held.start_s,
                                      [](double start_s, const Held& h) { return start_s < h.start_s; });
  list_.insert(later, held);
}

void HeldList::forget_before(double time_s) {
  while (first_ < list_.size() && list_[first_].end_s <= time_s) ++first_;
  if (2 * first_ <= list_.size()) return;
  list_.erase(list_.begin(), list_.begin() + static_cast<std::ptrdiff_t>(first_));
  first_ = 0;
}

// Counted from the start, so that it is the same wherever the task lies in time.
double slowed_end_s(double start_s, double seconds, double work, const HeldList& held) {
  double at_s = 0, left_s = seconds;
  bool slows = false;
  while (left_s > 0) {
    double share = 0, until_s = std::numeric_limits<double>::infinity();
    for (const Held& h : held) {
      const double from_s = h.start_s - start_s, to_s = h.end_s - start_s;
      if (to_s <= at_s) continue;
      until_s = std::min(until_s, from_s > at_s ? from_s : to_s);
      if (from_s > at_s) break;
      share += h.share;
    }
    slows = slows || share > 0;
    const double rate = compute_pace(work, share), done_s = (until_s - at_s) * rate;
    if (done_s >= left_s) return start_s + (slows ? on_grid(at_s + left_s / rate) : seconds);
    left_s -= done_s;
    at_s = until_s;
  }
  return start_s + on_grid(at_s);
}

}  // namespace dts

#include "engine/interference.hpp"

#include <algorithm>
#include <limits>

#include "engine/time_grid.hpp"

namespace dts {

// Counted from the start, so that it is the same wherever the task lies in time.
double slowed_end_s(double start_s, double seconds, double work, const std::vector<Held>& held) {
  double at_s = 0, left_s = seconds;
  bool slows = false;
  while (left_s > 0) {
    double share = 0, until_s = std::numeric_limits<double>::infinity();
    for (const Held& h : held) {
      const double from_s = h.start_s - start_s, to_s = h.end_s - start_s;
      if (to_s <= at_s) continue;
      if (from_s <= at_s) share += h.share;
      until_s = std::min(until_s, from_s > at_s ? from_s : to_s);
    }
    slows = slows || share > 0;
    const double rate = compute_pace(work, share), done_s = (until_s - at_s) * rate;
    if (done_s >= left_s) return start_s + (slows ? on_grid(at_s + left_s / rate) : seconds);
    left_s -= done_s;
    at_s = until_s;
  }
  return start_s + on_grid(at_s);
}

void forget_before(std::vector<Held>& held, double time_s) {
  held.erase(std::remove_if(held.begin(), held.end(), [&](const Held& h) { return h.end_s <= time_s; }), held.end());
}

}  // namespace dts

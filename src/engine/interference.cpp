#include "engine/interference.hpp"

#include <algorithm>
#include <limits>

namespace dts {

double slowed_end_s(double start_s, double seconds, double work, const std::vector<Held>& held) {
  double time_s = start_s, left_s = seconds;
  while (left_s > 0) {
    double share = 0, until_s = std::numeric_limits<double>::infinity();
    for (const Held& h : held) {
      if (h.end_s <= time_s) continue;
      if (h.start_s <= time_s) share += h.share;
      until_s = std::min(until_s, h.start_s > time_s ? h.start_s : h.end_s);
    }
    const double rate = compute_pace(work, share), done_s = (until_s - time_s) * rate;
    if (done_s >= left_s) return share > 0 || time_s > start_s ? time_s + left_s / rate : start_s + seconds;
    left_s -= done_s;
    time_s = until_s;
  }
  return time_s;
}

void forget_before(std::vector<Held>& held, double time_s) {
  held.erase(std::remove_if(held.begin(), held.end(), [&](const Held& h) { return h.end_s <= time_s; }), held.end());
}

}  // namespace dts

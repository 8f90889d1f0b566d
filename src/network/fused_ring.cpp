#include "network/fused_ring.hpp"

#include <algorithm>
#include <cstddef>

namespace dts {

namespace {

// The longest walk of `steps` hops round one ring.
double longest_walk_s(const std::vector<double>& costs_s, std::uint32_t steps) {
  const std::size_t n = costs_s.size();
  double round_s = 0;
  for (double cost_s : costs_s) round_s += cost_s;
  const std::size_t rest = steps % n;
  double window_s = 0;
  for (std::size_t i = 0; i < rest; ++i) window_s += costs_s[i];
  double longest_s = window_s;
  for (std::size_t i = 0; i + 1 < n; ++i) {
    window_s += costs_s[(i + rest) % n] - costs_s[i];
    longest_s = std::max(longest_s, window_s);
  }
  const std::size_t rounds = steps / n;
  return static_cast<double>(rounds) * round_s + longest_s;
}

bool all_equal(const std::vector<RingHop>& hops) {
  return std::all_of(hops.begin(), hops.end(), [&](const RingHop& hop) {
    return hop.latency_s == hops[0].latency_s && hop.step_s == hops[0].step_s;
  });
}

}  // namespace

std::vector<double> fused_delays_s(const std::vector<RingHop>& hops, std::uint32_t steps) {
  if (hops.empty()) return {};
  if (all_equal(hops)) return std::vector<double>(hops.size(), hops[0].latency_s * steps);
  std::vector<double> delays_s(hops.size(), -1.0);
  std::vector<std::size_t> ring;
  std::vector<double> costs_s;
  for (std::size_t start = 0; start < hops.size(); ++start) {
    if (delays_s[start] >= 0) continue;
    ring.clear();
    costs_s.clear();
    std::size_t at = start;
    do {
      ring.push_back(at);
      costs_s.push_back(hops[at].latency_s + hops[at].step_s);
      at = static_cast<std::size_t>(hops[at].next);
    } while (at != start);
    const double walk_s = longest_walk_s(costs_s, steps);
    for (std::size_t i : ring) delays_s[i] = std::max(hops[i].latency_s, walk_s - steps * hops[i].step_s);
  }
  return delays_s;
}

}  // namespace dts

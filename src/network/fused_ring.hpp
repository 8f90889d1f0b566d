// When the last byte of a fused ring flow arrives. Step by step, a chunk that goes k hops along a ring with hop i of
// latency l_i and time t_i per step takes sum(l_i + t_i); a slow hop sends its k chunks in k * t_i and adds its latency
// once. So a flow of k steps over hop i ends, after its last byte has left, with
//     max(l_i, W - k * t_i),   W = the most that k consecutive hops along the ring take together.
// On equal hops this is k * l, and the whole is the textbook ring exactly, with or without other traffic that slows all
// hops alike. On unequal hops it is a lower bound of step by step: a chunk may go round fast hops and then wait at a
// slow one; the difference is below one round of latencies.
#pragma once

#include <cstdint>
#include <vector>

namespace dts {

struct RingHop {
  int next = 0;          // index of the hop that follows
  double latency_s = 0;  // reduction of the step included
  double step_s = 0;     // transfer of one step on links of its own
};

// Per hop, seconds from the last byte's leaving to its arrival.
std::vector<double> fused_delays_s(const std::vector<RingHop>& hops, std::uint32_t steps);

}  // namespace dts

// Time of a schedule on a topology. A send takes the latencies of its route plus the transfer over its busiest link,
//     sum(latency) + max over links of (bytes that all sends of the round put on the link / bandwidth),
// a round takes its slowest send, rounds follow one another. On uniform links of their own this is alpha + beta * bytes
// (Hockney), the textbook cost; shared links slow a round by what they carry. Seconds, bytes.
// A pipelined round with s stages and c chunks takes (s - 1 + c) rounds of 1/c the bytes. Reduction adds gamma per byte
// that the busiest member combines. Left out: start-up of a link, packet headers, rounds that overlap.
#pragma once

#include <limits>
#include <vector>

#include "comm/classic.hpp"
#include "hardware/routing.hpp"

namespace dts {

struct ScheduleCost {
  double time_s = 0;                                   // infinite where pricing was given up
  double latency_s = 0, transfer_s = 0, reduce_s = 0;  // parts of time_s, along the slowest send of each round
  int busiest_link = -1;                               // the link that most of transfer_s was spent on
  int chunks = 1;                                      // of its pipelined round, where it has one
  double sent_bytes_per_rank = 0;                      // of the member that sends most
};

struct ScheduleOptions {
  double reduce_s_per_byte = 0;                                // gamma
  int chunks = 0;                                              // of pipelined rounds; 0 = the fastest number
  double give_up_s = std::numeric_limits<double>::infinity();  // a schedule known to be slower may be left unfinished
};

inline constexpr int kMaxChunks = 1 << 16;

// Rounds until the last of `chunks` has passed `stages`; each round moves one chunk per stage.
constexpr double pipelined_rounds(int stages, double chunks) noexcept { return stages - 1 + chunks; }

// `ranks[i]` is the device of member i.
ScheduleCost schedule_cost(const Schedule& schedule, const std::vector<int>& ranks, Router& router,
                           const Topology& topology, const ScheduleOptions& options);

// Bytes that a schedule moves: per link id, and per ordered pair of devices (row-major, device_count squared).
std::vector<double> link_traffic(const Schedule& schedule, const std::vector<int>& ranks, Router& router,
                                 const Topology& topology);
std::vector<double> pair_traffic(const Schedule& schedule, const std::vector<int>& ranks, int devices);

}  // namespace dts

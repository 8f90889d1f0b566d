// A schedule of sends (comm/classic.hpp) indexed for event-by-event execution: who sends what in which round, and how
// many messages a member waits for. Members go round by round on their own: a member starts a round when its sends of
// the one before have left and its messages of the one before have arrived; nobody waits for the others.
//
// Fused, the repeats of a ring round become one flow per neighbour pair with the bytes of all steps. Its last byte
// arrives after the steps' latencies (network/fused_ring.hpp): exact for equal links, and what keeps thousands of ranks
// cheap. Pipelined rounds (chains, trees) are cut into chunks that follow one another along each edge.
#pragma once

#include <cstdint>
#include <vector>

#include "comm/classic.hpp"

namespace dts {

struct PatternSend {
  int from = 0, to = 0;
  double bytes = 0;
  double reduced_bytes = 0;  // of them, what the receiver combines with its own
  int lane = 0;
  bool reduces = false;
};

struct PatternRound {
  std::vector<PatternSend> sends;       // by sender
  std::vector<std::uint32_t> first;     // sends of member m: [first[m], first[m + 1])
  std::vector<std::uint32_t> arrivals;  // messages that member m waits for
  std::uint32_t repeat = 1;
  std::uint32_t fused_steps = 0;  // > 0: ring steps that each flow stands for
};

struct Pattern {
  int members = 0;
  std::vector<PatternRound> rounds;
  int chunks = 0;  // > 0: one pipelined round in this many chunks
};

struct PatternOptions {
  bool fused = false;
  int chunks = 1;  // of pipelined rounds
};

// Throws ConfigError where a send names a member outside 0 .. members-1 or itself, or has bytes that are no amount.
Pattern make_pattern(const Schedule& schedule, int members, const PatternOptions& options = {});

double messages_of(const Pattern& pattern) noexcept;

}  // namespace dts

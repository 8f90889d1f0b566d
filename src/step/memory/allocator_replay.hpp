// A rank's allocations through the caching allocator: what it reserves for them.
#pragma once

#include "memory/caching_allocator.hpp"
#include "schedule/rank_tape.hpp"

namespace dts {

struct AllocatorReplay {
  double peak_allocated_bytes = 0, peak_reserved_bytes = 0;
  int retries = 0;
  bool fits = true;
};

// Over `steps` steps; reduction and update come last in each, and the first update makes the optimizer's states. Of the
// micro-batches only the first run that fill the rank as all do, and as many again: those after them repeat the same
// allocations.
AllocatorReplay replay(const RankTape& tape, const CachingAllocator::Options& options, int steps = 2);

}  // namespace dts

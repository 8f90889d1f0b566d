// What the memory of a step's ranks looks like over time, from the same plan as the timeline of its tasks. Order is the
// host's; the device's times label the axis.
#pragma once

#include <vector>

#include "engine/timeline.hpp"
#include "memory/caching_allocator.hpp"
#include "step/step_memory.hpp"

namespace dts {

struct MemoryMoment {
  double time_s = 0;
  CategoryBytes bytes{};
};

struct MemoryTimeline {  // of one pipeline rank
  std::vector<MemoryMoment> moments;  // fullest moment of each block of each pass, and what is left after it
  TapePeak peak;
  double peak_time_s = 0;
  std::vector<LiveTensor> live;  // at the peak, largest first
};

// `step` and `timeline` are the folded program and its times.
std::vector<MemoryTimeline> memory_timelines(const StepPlan& plan, const StepProgram& step, const Timeline& timeline,
                                             const StepTapes& tapes);

struct AllocatorReplay {
  double peak_allocated_bytes = 0, peak_reserved_bytes = 0;
  int retries = 0;
  bool fits = true;
};

// A rank's allocations through the caching allocator, over `steps` steps; the update's come last in each.
AllocatorReplay replay(const RankTape& tape, const CachingAllocator::Options& options, int steps = 2);

}  // namespace dts

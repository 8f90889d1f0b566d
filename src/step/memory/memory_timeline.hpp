// What the memory of a step's ranks looks like over time, from the same plan as the timeline of its tasks. Order is the
// host's; the device's times label the axis.
#pragma once

#include <map>
#include <tuple>
#include <vector>

#include "engine/spread.hpp"
#include "step/memory/step_memory.hpp"

namespace dts {

struct MemoryMoment {
  double time_s = 0;
  CategoryBytes bytes{};
};

struct MemoryTimeline {               // of one pipeline rank
  std::vector<MemoryMoment> moments;  // fullest moment of each block of each pass, and what is left after it
  TapePeak peak;
  double peak_time_s = 0;
  std::vector<LiveTensor> live;  // at the peak, largest first
};

struct TimeSpan {
  double start_s = 0, end_s = 0;
};

// When passes and updates run, of the first replica; a recorder of a run of the step.
class PassSpans {
 public:
  PassSpans(const StepPlan& plan, const StepProgram& step) : plan_(plan), step_(step) {}
  void visit(TaskId task, const Instances& instances);

  TimeSpan update(int rank) const;
  TimeSpan block(int rank, const Pass& pass, std::size_t position) const;  // by its share of the pass's kernels

 private:
  using Key = std::tuple<int, int, int, int>;  // rank, kind, chunk, micro-batch
  const StepPlan& plan_;
  const StepProgram& step_;
  std::map<Key, TimeSpan> passes_;
  std::map<int, TimeSpan> updates_;
};

std::vector<MemoryTimeline> memory_timelines(const PassSpans& spans, const StepTapes& tapes);

}  // namespace dts

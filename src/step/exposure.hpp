// How much of each axis' communication hides. Inside passes the pricing knows (pricing/op_passes.cpp); between tasks
// the timeline does: what runs while the rank's compute stream stands still is exposed, the rest is overlapped.
#pragma once

#include <array>
#include <vector>

#include "step/pass_counts.hpp"
#include "step/rank_prices.hpp"

namespace dts {

enum class CommAxis { TP, CP, EP, DP, PP };
inline constexpr std::size_t kCommAxes = 5;

struct AxisTime {
  double total_s = 0, exposed_s = 0;  // collectives or transfers; the part beside which the rank computes nothing
};
using StageTraffic = std::array<AxisTime, kCommAxes>;

// What runs when, in order of time. Kept from step to step, so that its memory is.
struct ExposureLists {
  struct Interval {
    double start_s, end_s;
    bool repeats;  // it belongs to the windows that skipped ones repeat
  };
  struct Busy {  // a stretch of compute, and the compute before it
    double start_s, end_s, before_s;
  };
  std::vector<std::vector<Busy>> busy;           // per pipeline rank
  std::vector<std::vector<Interval>> intervals;  // per pipeline rank, stream and direction

  void clear(std::size_t ranks);
};

// Of the first rank of every pipeline rank. A transfer counts where it arrives.
class ExposureRecorder {
 public:
  using Interval = ExposureLists::Interval;
  using Busy = ExposureLists::Busy;

  ExposureRecorder(const std::vector<const StepPlan*>& plans, const RankPrices& prices, ExposureLists& lists);

  void visit(const TaskInfo& info, const Instances& instances);
  std::vector<StageTraffic> finish(const PassCounts& counts, const std::vector<const std::vector<TaskInfo>*>& classes,
                                   const SkippedWindows& skipped);
  // Whether everything that arrives at a pipeline rank and repeats lies between these times.
  bool repeats_within(std::size_t rank, double from_s, double to_s) const;

  const std::vector<Busy>& computes(std::size_t rank) const { return lists_.busy[rank]; }
  void add_compute(std::size_t rank, double start_s, double end_s);
  // Of what one stream sends to a rank: in order of time.
  std::vector<Interval>& arriving(std::size_t rank, StreamKind stream, bool mirrored = false) {
    return lists_.intervals[2 * (rank * kStreamsPerRank + static_cast<std::size_t>(stream)) + (mirrored ? 1 : 0)];
  }
  // Of what a pipeline rank sends to another. A wave turns the direction of a chunk, so one stream may send to both
  // neighbours.
  std::vector<Interval>& arriving_by(bool forward, std::size_t from, std::size_t to) {
    return arriving(to, forward ? StreamKind::SendForward : StreamKind::SendBackward, to > from);
  }
  void add_collectives(std::size_t rank, const AxisTime& time, bool repeats);  // of data parallelism, hidden or not

 private:
  void add_outside(const TaskInfo& info, const Interval& interval);
  void add_inside(const PassCounts& counts, const std::vector<const std::vector<TaskInfo>*>& classes, double windows);
  void add_intervals(std::size_t rank, const std::vector<Interval>& list, AxisTime& time, double windows) const;

  const std::vector<const StepPlan*>& plans_;
  const RankPrices& prices_;
  StagePlacement placement_;
  std::vector<StageTraffic> stages_;
  std::vector<AxisTime> repeating_;  // per pipeline rank, of add_collectives
  ExposureLists& lists_;
};

}  // namespace dts

// How much of each axis' communication hides. Inside passes the pricing knows (pricing/op_passes.cpp); between tasks the
// timeline does: what runs while the rank's compute stream stands still is exposed, the rest is overlapped.
#pragma once

#include <array>
#include <vector>

#include "step/rank_prices.hpp"

namespace dts {

enum class CommAxis { TP, CP, EP, DP, PP };
inline constexpr std::size_t kCommAxes = 5;

struct AxisTime {
  double total_s = 0, exposed_s = 0;  // collectives or transfers; the part beside which the rank computes nothing
};
using StageTraffic = std::array<AxisTime, kCommAxes>;

// Of the first rank of every pipeline rank. A transfer counts where it arrives.
class ExposureRecorder {
 public:
  ExposureRecorder(const std::vector<const StepPlan*>& plans, const StepProgram& step, const RankPrices& prices);

  void visit(TaskId task, const Instances& instances);
  std::vector<StageTraffic> finish();

 private:
  struct Interval {
    std::size_t stage;
    CommAxis axis;
    double start_s, end_s;
  };
  struct Busy {  // a stretch of compute, and the compute before it
    double start_s, end_s, before_s;
  };
  void add_inside(const TaskInfo& info);
  void add_outside(const TaskInfo& info, double start_s, double end_s);
  double computed_until(std::size_t stage, double time_s) const;

  const std::vector<const StepPlan*>& plans_;
  const StepProgram& step_;
  const RankPrices& prices_;
  StagePlacement placement_;
  std::vector<StageTraffic> stages_;
  std::vector<std::vector<Busy>> busy_;  // per pipeline rank, in time order
  std::vector<Interval> intervals_;
};

}  // namespace dts

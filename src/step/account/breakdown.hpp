// Where a rank's step goes. Every second of the step belongs to exactly one cause: what the compute stream did, or what
// it waited for. The parts of one stage sum to the step time.
#pragma once

#include <vector>

#include "engine/timeline.hpp"
#include "step/account/pass_counts.hpp"
#include "step/plan/rank_prices.hpp"
#include "step/tasks/step_program.hpp"

namespace dts {

struct Breakdown {
  double forward_s = 0, backward_s = 0, recompute_s = 0, optimizer_s = 0;  // kernels
  double exposed_tp_s = 0, exposed_cp_s = 0, exposed_ep_s = 0, exposed_dp_s = 0;
  double offload_s = 0;       // waiting for copies between device and host
  double pipeline_s = 0;      // bubble: waiting for other stages and their transfers
  double interference_s = 0;  // compute slowed by collectives beside it
  double contention_s = 0;    // collectives inside passes slowed by others on their links
  double straggler_s = 0;     // the whole pipeline of this rank is done, a slower one is not
  double host_s = 0;          // the device waits for kernel launches
  double fixed_s = 0;         // data loading, logging, scheduler

  double total_s() const noexcept;
  void add(const Breakdown& other, double weight);
};

// What came of a run, beside the times.
struct RunEnd {
  SpreadEnd end;
  TaskInfo last;  // the task that ends last
};

// Adds up the mean over the ranks of each pipeline rank.
class BreakdownRecorder {
 public:
  // `plans`: one per variant. All must outlive the recorder.
  BreakdownRecorder(const std::vector<const StepPlan*>& plans, const RankPrices& prices, const RankClasses& classes);

  struct Waits {
    double dp_s = 0, offload_s = 0, pipeline_s = 0, straggler_s = 0, interference_s = 0, contention_s = 0, began_s = -1,
           busy_until_s = 0;

    double& ended_by(TaskKind cause);  // a wait belongs to what ended it
    void add(const Waits& more, double times);
    Waits since(const Waits& before) const;  // what was waited for since then
  };
  Waits& of_rank(std::size_t stage) { return waits(stage, 0); }
  const Waits& of_rank(std::size_t stage) const { return waits_[stage * units_]; }

  void visit(const TaskInfo& info, const Instances& instances, const TaskKind* kinds);  // `kinds`: of the tasks so far
  // `classes`: pass classes under each variant; `period_s`: of the step (step/run/period.hpp).
  std::vector<Breakdown> finish(const PassCounts& counts, const std::vector<const std::vector<TaskInfo>*>& classes,
                                const RunEnd& run, double period_s, double fixed_s);

 private:
  struct Share {  // of a stage's ranks
    std::size_t variant;
    double ranks, stretched;  // the second: times their slowdown
  };
  Waits& waits(std::size_t stage, std::uint32_t unit) { return waits_[stage * units_ + unit]; }
  void meet(TaskKind cause, double meeting_s);
  void add_passes(const PassCounts& counts, const std::vector<const std::vector<TaskInfo>*>& classes);
  void add_update(Breakdown& b, const Share& share, const TaskInfo& info) const;
  double pipeline_done_s(std::uint32_t unit);
  void add_mean_waits(std::size_t stage, Breakdown& b);

  const std::vector<const StepPlan*>& plans_;
  const RankClasses& classes_;
  bool slows_;
  std::uint32_t units_;
  double all_units_ = 0;
  std::vector<std::vector<Share>> shares_;  // per pipeline rank
  std::vector<Waits> waits_;
  std::vector<Breakdown> stages_;
};

}  // namespace dts

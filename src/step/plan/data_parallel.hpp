// What data parallelism adds to a stage: its units, with the price of their collectives, of their copies to and from
// the host, and of the update.
//
// Buckets are filled from the stage's last parameter to its first, each parameter whole, so a bucket may begin inside a
// block: its gradients are complete at that share of the block's backward. torch DDP (c10d/reducer.cpp) and
// Megatron-Core (distributed/param_and_grad_buffer.py) close a bucket with the parameter that fills it.
#pragma once

#include <vector>

#include "pricing/group_pricer.hpp"
#include "step/plan/job.hpp"
#include "step/tasks/step_program.hpp"

namespace dts {

class DataParallel {
 public:
  DataParallel(const Job& job, const GroupPricer& groups);

  // `first`: the first chunk of pipeline rank 0.
  std::vector<StageComm::Unit> units(const StageCost& stage, bool first) const;
  // Parameters that one rank updates, of those that a rank holds.
  double owned(double dense, double expert) const noexcept { return dense / dense_shards_ + expert / expert_shards_; }
  double gradient_bytes() const noexcept;  // per element, as reduced
  void set_rules(StepPlan& plan) const;    // what gathers, reduces and waits when

 private:
  struct Sums {
    double dense = 0, expert = 0;                    // parameters with gradients
    double dense_gathered = 0, expert_gathered = 0;  // bytes
    double trained() const noexcept { return dense + expert; }
    void add(const OpCost& op);
    void add(const BlockCost& block);
    bool operator==(const Sums& o) const noexcept;
  };
  // The parameters of a bucket lie from here to the next start.
  struct Start {
    std::size_t block = 0, op = 0;
    bool communicates = false;  // otherwise it is a cut for copies alone
    Sums sums;
  };
  std::vector<Start> starts(const StageCost& stage, bool first) const;  // in forward order
  double bucket_size(bool first_stage) const;
  StageComm::Unit unit(const Sums& sums, double stage_dense) const;
  // Dense weights are replicated over dp * cp, experts over edp: one collective each, where more than one rank takes
  // part.
  std::vector<CollectiveCall> calls(CollectiveKind kind, Axis dense_axis, double dense, Axis expert_axis,
                                    double expert) const;
  bool communicates(const StageComm::Unit& unit) const;
  void set_seconds(StageComm::Unit& unit) const;
  void add_copies(StageComm::Unit& unit, const Sums& sums) const;
  double seconds(const std::vector<CollectiveCall>& calls) const;

  const Job& job_;
  const Strategy& s_;
  const GroupPricer& groups_;
  double dense_shards_ = 1, expert_shards_ = 1;
  Axis dense_axis_, expert_axis_;  // of the groups that shard states
};

}  // namespace dts

#include "step/state_memory.hpp"

#include <algorithm>

#include "memory/static_bytes.hpp"

namespace dts {

namespace {

class States {
 public:
  States(const Job& job, const PlannedStep& step, const RankGrid& grid, int rank)
      : job_(job), s_(job.strategy), p_(job.profile), step_(step), grid_(grid), placement_(step.plan.placement()), rank_(rank) {}

  void add_to(MemoryReport& r) const {
    LocalParameters all, trained;
    for_blocks([&](const BlockCost& block) {
      all.dense += block.dense_parameters, all.expert += block.expert_parameters;
      trained.dense += block.dense_trainable, trained.expert += block.expert_trainable;
    });
    all.dense_shards = trained.dense_shards = grid_.size(Axis::DP_SHARD);
    all.expert_shards = trained.expert_shards = grid_.size(Axis::EDP_SHARD);
    StateFacts facts;
    facts.gradients = p_.main_grad_bytes >= 4 ? GradientStorage::Fp32 : GradientStorage::Working;
    facts.fp32_shards = s_.zero == 3 && p_.fp32_shards;
    const Optimizer rule = s_.optimizer == Optimizer::Muon ? Optimizer::Adam : s_.optimizer;
    const StateRecipe recipe = state_recipe(s_.precision, rule, facts);
    const StateBytes held = state_bytes(all, recipe, s_.zero), owned = state_bytes(trained, recipe, s_.zero);
    (s_.offload_parameters ? r.host_bytes : r.weights) += held.weights;
    for_blocks([&](const BlockCost& block) { r.weights += block.cast_bytes; });
    r.gradients = owned.gradients + owned.buckets;
    double& optimizer = s_.offload_optimizer ? r.host_bytes : r.optimizer;
    optimizer += owned.optimizer;
    if (s_.optimizer == Optimizer::Muon) optimizer -= unkept_moments(trained);
    if (s_.offload_optimizer) gradients_on_host(owned, r);
  }

 private:
  template <class Visit>
  void for_blocks(Visit visit) const {
    for (int chunk = 0; chunk < placement_.chunks; ++chunk) {
      const auto stage = static_cast<std::size_t>(placement_.stage_of(rank_, chunk));
      for (const BlockCost* block : step_.plan.stages[stage].blocks) visit(*block);
    }
  }

  // The host keeps what it updates with; on the device a sharded gradient lives until it has left.
  void gradients_on_host(const StateBytes& owned, MemoryReport& r) const {
    double largest = 0;
    for (int chunk = 0; chunk < placement_.chunks; ++chunk) {
      const auto stage = static_cast<std::size_t>(placement_.stage_of(rank_, chunk));
      for (const StageComm::Unit& unit : step_.plan.comm[stage].units) {
        if (unit.grad_offload_s < 0) continue;
        const double bytes = unit.grad_offload_s * job_.host.copy_Bps;
        r.host_bytes += bytes;
        largest = std::max(largest, bytes);
      }
    }
    if (s_.zero >= 2) r.gradients = owned.buckets + std::min(largest, owned.gradients);
  }

  // What Adam would keep of the matrices that Muon updates: a second moment.
  double unkept_moments(const LocalParameters& shards) const {
    double bytes = 0;
    for_blocks([&](const BlockCost& block) {
      for (const WeightMatrix& m : block.matrices) {
        const double ranks = s_.zero > 0 ? (m.expert ? shards.expert_shards : shards.dense_shards) : 1;
        bytes += m.count * m.gram * m.summed / ranks * (moment_bytes(Optimizer::Adam) - moment_bytes(Optimizer::Muon));
      }
    });
    return bytes;
  }

  const Job& job_;
  const Strategy& s_;
  const FrameworkProfile& p_;
  const PlannedStep& step_;
  const RankGrid& grid_;
  StagePlacement placement_;
  int rank_;
};

}  // namespace

void add_states(const Job& job, const PlannedStep& step, const RankGrid& grid, int rank, MemoryReport& report) {
  States(job, step, grid, rank).add_to(report);
}

}  // namespace dts

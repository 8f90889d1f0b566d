#include "step/rank_states.hpp"

#include <algorithm>

#include "compute/gemm.hpp"
#include "compute/quantise.hpp"
#include "memory/static_bytes.hpp"
#include "pricing/op_cost.hpp"

namespace dts {

namespace {

// What Adam would keep of the matrices that Muon updates: a second moment.
double unkept_moments(const Job& job, const StepPlan& plan, int rank, const LocalParameters& shards) {
  double bytes = 0;
  for_rank_blocks(plan, rank, [&](const BlockCost& block) {
    for (const WeightMatrix& m : block.matrices) {
      const double ranks = job.strategy.zero > 0 ? (m.expert ? shards.expert_shards : shards.dense_shards) : 1;
      bytes += m.count * m.gram * m.summed / ranks * (moment_bytes(Optimizer::Adam) - moment_bytes(Optimizer::Muon));
    }
  });
  return bytes;
}

// The host keeps what it updates with; on the device a sharded gradient lives until it has left.
void gradients_on_host(const Job& job, const StepPlan& plan, int rank, const StateBytes& owned, RankStates& r) {
  double largest = 0;
  const StagePlacement placement = plan.placement();
  for (int chunk = 0; chunk < placement.chunks; ++chunk) {
    for (const StageComm::Unit& unit : plan.comm[static_cast<std::size_t>(placement.stage_of(rank, chunk))].units) {
      if (unit.grad_offload_s < 0) continue;
      const double bytes = unit.grad_offload_s * job.host.copy_Bps;
      r.host += bytes;
      largest = std::max(largest, bytes);
    }
  }
  if (job.strategy.zero >= 2) r.gradients = owned.buckets + std::min(largest, owned.gradients);
}

}  // namespace

RankStates rank_states(const Job& job, const PlannedStep& step, const RankGrid& grid, int rank) {
  const Strategy& s = job.strategy;
  const FrameworkProfile& p = job.profile;
  LocalParameters all, trained;
  double cast = 0;
  for_rank_blocks(step.plan, rank, [&](const BlockCost& block) {
    all.dense += block.dense_parameters, all.expert += block.expert_parameters;
    trained.dense += block.dense_trainable, trained.expert += block.expert_trainable;
    cast += block.cast_bytes;
  });
  all.dense_shards = trained.dense_shards = grid.size(Axis::DP_SHARD);
  all.expert_shards = trained.expert_shards = grid.size(Axis::EDP_SHARD);
  StateFacts facts;
  facts.gradients = p.main_grad_bytes >= 4 ? GradientStorage::Fp32 : GradientStorage::Working;
  facts.fp32_shards = s.zero == 3 && p.fp32_shards;
  facts.dp_buckets = p.gradient_buckets;
  const Optimizer rule = s.optimizer == Optimizer::Muon ? Optimizer::Adam : s.optimizer;
  const StateRecipe recipe = state_recipe(s.precision, rule, facts);
  const StateBytes held = state_bytes(all, recipe, s.zero), owned = state_bytes(trained, recipe, s.zero);
  RankStates r;
  (s.offload_parameters ? r.host : r.weights) += held.weights;
  r.weights += cast;
  if (p.narrow_parameters && cast > 0) {  // nothing lies beside the narrow copies
    const double copies = stored_directions(quantise_recipe(s.precision, s.fp8_recipe, s.int8_recipe)) * operand_bytes(s.precision);
    r.weights -= cast / copies * recipe.weight_bytes;
  }
  r.gradients = owned.gradients + owned.buckets;
  double& optimizer = s.offload_optimizer ? r.host : r.optimizer;
  optimizer += owned.optimizer;
  if (s.optimizer == Optimizer::Muon) optimizer -= unkept_moments(job, step.plan, rank, trained);
  if (s.offload_optimizer) gradients_on_host(job, step.plan, rank, owned, r);
  return r;
}

}  // namespace dts

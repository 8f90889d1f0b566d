#include "step/rank_states.hpp"

#include <algorithm>

#include "compute/gemm.hpp"
#include "compute/quantise.hpp"
#include "memory/static_bytes.hpp"
#include "pricing/op_cost.hpp"

namespace dts {

namespace {

LeavingGradients leaving_gradients(const Job& job, const StepPlan& plan, int rank) {
  LeavingGradients leaving;
  const StagePlacement placement = plan.placement();
  for (int chunk = 0; chunk < placement.chunks; ++chunk) {
    for (const StageComm::Unit& unit : plan.comm[static_cast<std::size_t>(placement.stage_of(rank, chunk))].units) {
      if (unit.grad_offload_s < 0) continue;
      const double bytes = unit.grad_offload_s * job.host.copy_Bps;
      leaving.all += bytes;
      leaving.largest = std::max(leaving.largest, bytes);
    }
  }
  return leaving;
}

}  // namespace

RankParameters::RankParameters(const RankGrid& grid) {
  all.dense_shards = trained.dense_shards = grid.size(Axis::DP_SHARD);
  all.expert_shards = trained.expert_shards = grid.size(Axis::EDP_SHARD);
}

void RankParameters::add(const BlockCost& block, const Strategy& s, double times) {
  all.dense += times * block.dense_parameters, all.expert += times * block.expert_parameters;
  trained.dense += times * block.dense_trainable, trained.expert += times * block.expert_trainable;
  cast_bytes += times * block.cast_bytes;
  if (s.optimizer != Optimizer::Muon) return;
  for (const WeightMatrix& m : block.matrices) {
    const double ranks = s.zero > 0 ? (m.expert ? trained.expert_shards : trained.dense_shards) : 1;
    unkept_moments += times * (m.count * m.gram * m.summed / ranks * (moment_bytes(Optimizer::Adam) - moment_bytes(Optimizer::Muon)));
  }
}

RankStates rank_states(const Job& job, const RankParameters& parameters, const LeavingGradients& leaving) {
  const Strategy& s = job.strategy;
  const FrameworkProfile& p = job.profile;
  const double cast = parameters.cast_bytes;
  StateFacts facts;
  facts.gradients = p.main_grad_bytes >= 4 ? GradientStorage::Fp32 : GradientStorage::Working;
  facts.fp32_shards = s.zero == 3 && p.fp32_shards;
  facts.dp_buckets = p.gradient_buckets;
  const Optimizer rule = s.optimizer == Optimizer::Muon ? Optimizer::Adam : s.optimizer;
  const StateRecipe recipe = state_recipe(s.precision, rule, facts);
  const StateBytes held = state_bytes(parameters.all, recipe, s.zero), owned = state_bytes(parameters.trained, recipe, s.zero);
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
  if (s.optimizer == Optimizer::Muon) optimizer -= parameters.unkept_moments;
  if (!s.offload_optimizer) {
    const double master = recipe.optimizer_bytes > 0 ? owned.optimizer * (1 - recipe.moment_bytes / recipe.optimizer_bytes) : 0;
    r.made_by_update = p.states_before_training ? 0 : std::max(0.0, r.optimizer - master);
    return r;
  }
  // The host keeps what it updates with; on the device a sharded gradient lives until it has left.
  r.host += leaving.all;
  if (s.zero >= 2) r.gradients = owned.buckets + std::min(leaving.largest, owned.gradients);
  return r;
}

RankStates rank_states(const Job& job, const PlannedStep& step, const RankGrid& grid, int rank) {
  RankParameters parameters(grid);
  for_rank_blocks(step.plan, rank, [&](const BlockCost& block) { parameters.add(block, job.strategy); });
  return rank_states(job, parameters, job.strategy.offload_optimizer ? leaving_gradients(job, step.plan, rank) : LeavingGradients{});
}

}  // namespace dts

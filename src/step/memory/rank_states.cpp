#include "step/memory/rank_states.hpp"

#include <algorithm>

#include "compute/gemm.hpp"
#include "compute/quantise.hpp"
#include "memory/static_bytes.hpp"
#include "pricing/op_cost.hpp"

namespace dts {

namespace {

LeavingStates leaving_states(const Job& job, const StepPlan& plan, int rank) {
  LeavingStates leaving;
  const StagePlacement placement = plan.placement();
  const double copy_Bps = job.host.copy_Bps;
  const bool parameters = job.strategy.offload_parameters != OffloadTier::None;
  for (int chunk = 0; chunk < placement.chunks; ++chunk) {
    for (const StageComm::Unit& unit : plan.comm[static_cast<std::size_t>(placement.stage_of(rank, chunk))].units) {
      if (unit.update_s < 0) continue;
      const double gradients = std::max(unit.grad_offload_s, 0.0) * copy_Bps;
      leaving.all_gradients += gradients;
      leaving.gradients = std::max(leaving.gradients, gradients);
      leaving.states = std::max(leaving.states, unit.state_bytes);
      if (parameters) leaving.weights = std::max(leaving.weights, unit.param_upload_s * copy_Bps);
    }
  }
  return leaving;
}

// The host keeps what it updates with; on the device a sharded gradient lives until it has left. Behind the host three
// units are on their way: one is read, one updated, one written (ZeRO-Infinity, arXiv:2104.07857 §6.3); of parameters
// two.
void offload_states(const Job& job, const LeavingStates& leaving, const StateBytes& owned, RankStates& r) {
  const Strategy& s = job.strategy;
  const auto tier = [&](OffloadTier t) -> double& { return r.tiers[static_cast<std::size_t>(t)]; };
  tier(s.offload_optimizer) += leaving.all_gradients;
  if (job.host.behind(s.offload_optimizer)) tier(OffloadTier::Host) += 3 * (leaving.states + leaving.gradients);
  if (job.host.behind(s.offload_parameters)) tier(OffloadTier::Host) += 2 * leaving.weights;
  if (s.offload_update == OffloadUpdate::Device) {
    r.staged = 2 * leaving.states;
  } else if (s.zero >= 2) {
    r.gradients = owned.buckets + std::min(leaving.gradients, owned.gradients);
  }
}

}  // namespace

StateRecipe state_recipe_of(const Job& job) {
  const Strategy& s = job.strategy;
  StateFacts facts;
  facts.gradients = job.profile.main_grad_bytes >= 4 ? GradientStorage::Fp32 : GradientStorage::Working;
  facts.fp32_shards = s.zero == 3 && job.profile.fp32_shards;
  facts.dp_buckets = job.profile.gradient_buckets;
  return state_recipe(s.precision, s.optimizer == Optimizer::Muon ? Optimizer::Adam : s.optimizer, facts);
}

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
    unkept_moments +=
        times * (m.count * m.gram * m.summed / ranks * (moment_bytes(Optimizer::Adam) - moment_bytes(Optimizer::Muon)));
  }
}

RankStates rank_states(const Job& job, const RankParameters& parameters, const LeavingStates& leaving) {
  const Strategy& s = job.strategy;
  const FrameworkProfile& p = job.profile;
  const double cast = parameters.cast_bytes;
  const StateRecipe recipe = state_recipe_of(job);
  const StateBytes held = state_bytes(parameters.all, recipe, s.zero),
                   owned = state_bytes(parameters.trained, recipe, s.zero);
  RankStates r;
  const auto place = [&](OffloadTier tier, double& device) -> double& {
    return tier == OffloadTier::None ? device : r.tiers[static_cast<std::size_t>(tier)];
  };
  place(s.offload_parameters, r.weights) += held.weights;
  r.weights += cast;
  if (p.narrow_parameters && cast > 0) {  // nothing lies beside the narrow copies
    const double copies =
        stored_directions(quantise_recipe(s.precision, s.fp8_recipe, s.int8_recipe)) * operand_bytes(s.precision);
    r.weights -= cast / copies * recipe.weight_bytes;
  }
  r.gradients = owned.gradients + owned.buckets;
  double& optimizer = place(s.offload_optimizer, r.optimizer);
  optimizer += owned.optimizer;
  if (s.optimizer == Optimizer::Muon) optimizer -= parameters.unkept_moments;
  if (s.offload_optimizer != OffloadTier::None) {
    offload_states(job, leaving, owned, r);
    return r;
  }
  const double master =
      recipe.optimizer_bytes > 0 ? owned.optimizer * (1 - recipe.moment_bytes / recipe.optimizer_bytes) : 0;
  r.made_by_update = p.states_before_training ? 0 : std::max(0.0, r.optimizer - master);
  return r;
}

RankStates rank_states(const Job& job, const PlannedStep& step, const RankGrid& grid, int rank) {
  RankParameters parameters(grid);
  for_rank_blocks(step.plan, rank, [&](const BlockCost& block) { parameters.add(block, job.strategy); });
  return rank_states(
      job, parameters,
      job.strategy.offload_optimizer != OffloadTier::None ? leaving_states(job, step.plan, rank) : LeavingStates{});
}

}  // namespace dts

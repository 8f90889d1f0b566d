// Weights, gradients and optimizer states of one pipeline rank, on the device and in other tiers.
#pragma once

#include "memory/memory_report.hpp"
#include "memory/static_bytes.hpp"
#include "step/plan/job.hpp"
#include "step/plan/step_plan.hpp"

namespace dts {

struct RankStates {  // bytes
  double weights = 0, gradients = 0, optimizer = 0;
  double made_by_update = 0;  // of the optimizer's: by the first one
  TierBytes tiers{};          // what lies elsewhere; buffers that stage it count to the host
  double staged = 0;          // of optimizer states on the device while it updates them
};

// Bytes per parameter by the strategy's recipe.
StateRecipe state_recipe_of(const Job& job);

// Parameters of a rank's blocks, added up block by block.
struct RankParameters {
  LocalParameters all, trained;
  double cast_bytes = 0;      // of narrow copies
  double unkept_moments = 0;  // bytes that Adam would keep of the matrices that Muon updates: a second moment

  explicit RankParameters(const RankGrid& grid);
  void add(const BlockCost& block, const Strategy& strategy, double times = 1);
};

// Bytes of what is offloaded: all gradients, and of the largest unit that is updated by itself.
struct LeavingStates {
  double all_gradients = 0, gradients = 0, states = 0, weights = 0;
};

RankStates rank_states(const Job& job, const RankParameters& parameters, const LeavingStates& leaving = {});
RankStates rank_states(const Job& job, const PlannedStep& step, const RankGrid& grid, int rank);

// Blocks that stand on a pipeline rank.
template <class Visit>
void for_rank_blocks(const StepPlan& plan, int rank, Visit visit) {
  const StagePlacement placement = plan.placement();
  for (int chunk = 0; chunk < placement.chunks; ++chunk) {
    for (const BlockCost* block : plan.stages[static_cast<std::size_t>(placement.stage_of(rank, chunk))].blocks)
      visit(*block);
  }
}

}  // namespace dts

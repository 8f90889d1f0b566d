#include "step/gathered_bytes.hpp"

#include <algorithm>

#include "memory/temporaries.hpp"
#include "step/gather_order.hpp"

namespace dts {

namespace {

double parameters_of(const StepPlan& plan, int stage) {
  double parameters = 0;
  for (const BlockCost* block : plan.stages[static_cast<std::size_t>(stage)].blocks) {
    parameters += block->dense_parameters + block->expert_parameters;
  }
  return parameters;
}

double parameters_of_rank(const StepPlan& plan, int rank) {
  const StagePlacement placement = plan.placement();
  double parameters = 0;
  for (int chunk = 0; chunk < placement.chunks; ++chunk) parameters += parameters_of(plan, placement.stage_of(rank, chunk));
  return parameters;
}

// Parameters that stay between passes, and the gradients of all stages, which accumulate until the last backward.
double kept(const GatheredSizes& sizes, const StepPlan& plan, int rank) {
  double weights = 0;
  for (const std::vector<int>& stages : gathered_stages(plan, rank)) {
    double held = 0;
    for (int stage : stages) held += parameters_of(plan, stage);
    weights = std::max(weights, held);
  }
  return weights * sizes.width + parameters_of_rank(plan, rank) * sizes.gradient_bytes;
}

}  // namespace

double gathered_bytes(const GatheredSizes& sizes, const StepPlan& plan, int rank, int reshard) {
  if (plan.keeps_gathered) return kept(sizes, plan, rank);
  const double parameters = parameters_of_rank(plan, rank);
  if (!plan.reshard_after_forward || plan.gather_ahead == 0) {
    return fsdp_unsharded_bytes(parameters, sizes.largest_block, sizes.width);
  }
  const double between = reshard > 1 ? parameters * sizes.width / reshard : 0;
  return between + fsdp_live_bytes(sizes.largest_block, sizes.root, sizes.width, plan.gather_ahead);
}

}  // namespace dts

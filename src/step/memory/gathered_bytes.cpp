#include "step/memory/gathered_bytes.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "memory/temporaries.hpp"
#include "step/tasks/gather_order.hpp"

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
  for (int chunk = 0; chunk < placement.chunks; ++chunk)
    parameters += parameters_of(plan, placement.stage_of(rank, chunk));
  return parameters;
}

// Parameters that stay between passes.
double kept(const GatheredSizes& sizes, const StepPlan& plan, int rank) {
  double weights = 0;
  for (const std::vector<int>& stages : gathered_stages(plan, rank)) {
    double held = 0;
    for (int stage : stages) held += parameters_of(plan, stage);
    weights = std::max(weights, held);
  }
  return weights * sizes.width;
}

}  // namespace

std::vector<TapeTensor> accumulated_gradients(const StepPlan& plan, int rank, double gradient_bytes) {
  std::vector<TapeTensor> made;
  const StagePlacement placement = plan.placement();
  for (int chunk = 0; plan.keeps_gathered && chunk < placement.chunks; ++chunk) {
    const int stage = placement.stage_of(rank, chunk);
    const double bytes = parameters_of(plan, stage) * gradient_bytes;
    const auto pieces = static_cast<int>(plan.stages[static_cast<std::size_t>(stage)].blocks.size());
    made.push_back({"chunk " + std::to_string(chunk), "unsharded gradients", std::round(bytes),
                    MemoryCategory::Gradients, false, std::max(1, pieces)});
  }
  return made;
}

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

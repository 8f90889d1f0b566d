#include "step/account/step_totals.hpp"

#include <algorithm>

namespace dts {

double hardware_flops(const StepPlan& plan, double ranks_per_stage) {
  double per_rank = 0;
  for (const StageCost& stage : plan.stages) {
    for (const BlockCost* block : stage.blocks) {
      per_rank += block->forward_flops + block->backward_flops + block->recompute_flops;
    }
  }
  return per_rank * plan.micro_batches_per_stage() * ranks_per_stage;
}

double communication_s(const std::vector<StageTraffic>& stages) {
  double busiest = 0;
  for (const StageTraffic& stage : stages) {
    double total_s = 0;
    for (const AxisTime& axis : stage) total_s += axis.total_s;
    busiest = std::max(busiest, total_s);
  }
  return busiest;
}

StageTraffic mean_of(const std::vector<StageTraffic>& stages) {
  StageTraffic mean{};
  const auto count = static_cast<double>(stages.size());
  for (std::size_t axis = 0; axis < kCommAxes; ++axis) {
    for (const StageTraffic& stage : stages)
      mean[axis].total_s += stage[axis].total_s, mean[axis].exposed_s += stage[axis].exposed_s;
    mean[axis].total_s /= count, mean[axis].exposed_s /= count;
  }
  return mean;
}

}  // namespace dts

#include "step/stage_cost.hpp"

namespace dts {

double StageCost::forward_s() const {
  double total = 0;
  for (const BlockCost* block : blocks) total += block->forward.total_s;
  return total;
}

double StageCost::backward_s() const {
  double total = 0;
  for (const BlockCost* block : blocks) total += block->recompute.total_s + block->backward.total_s;
  return total;
}

}  // namespace dts

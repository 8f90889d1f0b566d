// What one virtual pipeline stage costs: its blocks in order, already priced.
#pragma once

#include <vector>

#include "pricing/block_cost.hpp"

namespace dts {

struct StageCost {
  std::vector<const BlockCost*> blocks;  // forward order; stem first and head last where the stage holds them

  double forward_s() const;
  double backward_s() const;  // recomputation included
};

}  // namespace dts

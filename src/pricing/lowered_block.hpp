// A block as one rank runs it: its lowered ops, how they are priced, and which of them run again before backward.
#pragma once

#include <vector>

#include "pricing/block_cost.hpp"
#include "pricing/op_cost.hpp"

namespace dts {

struct LoweredBlock {
  LoweredBlock(const Block& block, const BlockContext& context, BlockRole role);
  LoweredBlock(const LoweredBlock&) = delete;  // the timer refers to the sizes beside it
  LoweredBlock& operator=(const LoweredBlock&) = delete;

  bool narrow;  // matmuls run in 8 or 4 bits
  LocalSizes sizes;
  OpTimer timer;
  std::vector<double> again;  // of each op, the share of its forward that is recomputed
  std::vector<LocalOp> ops;
};

}  // namespace dts

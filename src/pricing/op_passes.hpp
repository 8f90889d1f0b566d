// Forward and backward of one op on one rank: its kernels, its collectives, and what overlaps what. A framework's way
// with tensor-parallel collectives (TpOverlap) decides which of them run beside a matmul, and which matmuls are cut
// into chunks; context-parallel transfers run beside attention's own steps.
#pragma once

#include "pricing/block_cost.hpp"
#include "pricing/op_cost.hpp"

namespace dts {

struct OpPasses {
  PassCost forward, backward;
  PassCost data_grad, weight_grad;  // backward as two passes; left empty unless the context splits it
  int more_forward_kernels = 0, more_backward_kernels = 0;  // launches that chunks add
};

// `splits`: whether its matmuls may be cut into chunks at all (not those of the LM head).
OpPasses price_passes(const LocalOp& op, const BlockContext& context, const OpTimer& timer, bool splits);

}  // namespace dts

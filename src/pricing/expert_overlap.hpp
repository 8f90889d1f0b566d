// What hides the expert exchange. While an exchange of x seconds runs it holds a share q of the multiprocessors, so
// compute beside it goes on at 1 - q: of compute w, min(w, (1 - q) x) is done when it ends. What is exposed is the
// rest, x - min(w, (1 - q) x): the longer of both at q = 0.
//
//   shared experts    all but their last product beside dispatch, that product beside combine; the same backward
//                     (Megatron-Core shared_experts.py, moe_shared_expert_overlap)
//   pairs of passes   the exchanges of a forward beside the backward it is paired with and the other way round: the
//                     order pairs them (schedule/pass.hpp), the timeline hides them (step/plan/stage_cost.hpp)
//
// Left out: memory bandwidth taken by the exchange.
#pragma once

#include <vector>

#include "parallel/local_op.hpp"
#include "pricing/block_cost.hpp"

namespace dts {

// Seconds of compute done beside an exchange.
double hidden_s(double exchange_s, double compute_s, double sm_share) noexcept;

// Takes what sizes.routing lets overlap out of the exposed exchange. `kernels`: the prices of `ops`, in their order;
// `dispatch_again`: whether the recomputation sends tokens again.
void overlap_exchange(BlockCost& cost, const std::vector<LocalOp>& ops, const BlockContext& context,
                      bool dispatch_again);

}  // namespace dts

// Whether an order can run: every pass of every stage once, forward before backward before weight gradient, and no
// rank waits for ever. Nothing flows but activations to the next stage and gradients to the previous one.
#pragma once

#include "parallel/stage_map.hpp"
#include "schedule/pass.hpp"

namespace dts {

// Throws ConfigError that lists the violations (at most ten of them), or, for a deadlock, each stuck rank with the pass
// it stands before and what that waits for.
void check_order(const PipelineOrder& order, const StagePlacement& placement, int micro_batches);

}  // namespace dts

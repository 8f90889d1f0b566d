// Unsharded parameters that a rank holds under ZeRO-3 at the fullest moment, and unsharded gradients.
#pragma once

#include <vector>

#include "memory/block_tape.hpp"
#include "step/tasks/step_program.hpp"

namespace dts {

struct GatheredSizes {
  double largest_block = 0, root = 0;  // parameters; root: embedding and head, never resharded
  double width = 2;                    // bytes of a gathered parameter
};

// `reshard`: Strategy::reshard_after_forward.
double gathered_bytes(const GatheredSizes& sizes, const StepPlan& plan, int rank, int reshard);

// Where parameters stay gathered under pipeline stages, gradients of a chunk accumulate unsharded until its last
// backward reduces them (torch/distributed/pipelining/stage.py backward_maybe_with_nosync).
std::vector<TapeTensor> accumulated_gradients(const StepPlan& plan, int rank, double gradient_bytes);

}  // namespace dts

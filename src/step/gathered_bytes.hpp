// Unsharded parameters that a rank holds under ZeRO-3 at the fullest moment, with the gradients that lie beside them.
#pragma once

#include "step/step_program.hpp"

namespace dts {

struct GatheredSizes {
  double largest_block = 0, root = 0;  // parameters; root: embedding and head, never resharded
  double width = 2;                    // bytes of a gathered parameter
  double gradient_bytes = 4;           // of an accumulating one
};

// `reshard`: Strategy::reshard_after_forward.
double gathered_bytes(const GatheredSizes& sizes, const StepPlan& plan, int rank, int reshard);

}  // namespace dts

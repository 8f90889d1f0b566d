// Activation memory that an order of passes holds: a forward takes a chunk's tape; a backward gives it back, but an
// input gradient alone leaves what the weight gradient still needs, until that has run.
#pragma once

#include <vector>

#include "schedule/pass.hpp"

namespace dts {

struct ChunkTape {           // bytes of one micro-batch
  double forward_bytes = 0;  // from the forward to the input gradient
  double weight_bytes = 0;   // from the input gradient to a delayed weight gradient
};

// Most bytes held at once; `tapes` per chunk of the rank. Inside the input gradient both are not held in full: the tape
// shrinks as the inputs and output gradients of matmuls remain.
double peak_tape_bytes(const std::vector<Pass>& passes, const std::vector<ChunkTape>& tapes);

}  // namespace dts

// Model FLOPs: what the mathematics needs, independent of layout. Matmul 2mnk; causal attention counted half by
// default (the full variant is kept beside it); logits in, embedding lookup and recomputation out.
#pragma once

#include "workload/model.hpp"

namespace dts {

struct Flops {
  double causal = 0;  // attention counts the unmasked half only
  double full = 0;    // attention counts the whole square
};

// Forward FLOPs of one sample of `seq_len` tokens.
Flops forward_flops(const Op& op, double seq_len);
Flops forward_flops(const Block& block, double seq_len);

// Forward and backward FLOPs over forward FLOPs: 3; 2 where there is no weight gradient (frozen weights, custom ops
// without weights). Attention has two gradients.
double training_passes(const Op& op);

// Forward and backward FLOPs of one sample.
Flops training_flops(const ModelSpec& model, double seq_len);

// Mean keys that one query sees: the causal half, the window, or within its chunk.
double mean_keys(double seq_len, bool causal, double window, double chunk = 0);

}  // namespace dts

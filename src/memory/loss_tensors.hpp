// Tensors of the vocabulary's size that a loss makes, in the order it makes them. Bytes are per local logit. The peak,
// what waits for backward and the sizes of the single blocks, which decide what an allocator can use again, follow from
// it.
#pragma once

#include <vector>

#include "parallel/profile.hpp"

namespace dts {

struct LossTensor {
  const char* what;
  double bytes = 0;
};

struct LossTensors {
  static constexpr int kLogits = 0;
  struct Event {
    int tensor = kLogits;
    bool frees = false;
  };
  std::vector<LossTensor> tensors;       // [0]: the logits, allocated by the LM head
  std::vector<Event> forward, backward;  // what is left after forward waits for backward
  int gradient = kLogits;                // of the logits, which the head's backward reads and frees
};

LossTensors loss_tensors(LossKernel kernel, double activation_bytes);

// Most bytes of them at once.
double loss_peak_bytes(const LossTensors& loss);

}  // namespace dts

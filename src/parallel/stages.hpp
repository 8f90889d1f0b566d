// Which layers stand on which pipeline chunk. Virtual stage s (of pp * vpp) runs on pipeline rank s mod pp.
#pragma once

#include <vector>

#include "parallel/strategy.hpp"
#include "workload/model.hpp"

namespace dts {

struct ChunkLayers {            // layers [first, first + count) of the model, in run-length form
  int first = 0, count = 0;
  bool has_stem = false, has_head = false;
};

// Layers per virtual stage: `layers_per_stage` if given; else even, and where the division leaves a remainder the
// stages that hold the head and the stem get the fewer layers first (Llama 3 405B: 126 layers on 16 stages = 7, 8 x 14, 7).
std::vector<int> layers_per_virtual_stage(int layers, const Strategy& strategy);
std::vector<ChunkLayers> partition(const ModelSpec& model, const Strategy& strategy);

}  // namespace dts

// Which layers stand on which virtual stage. Where a stage runs: parallel/stage_map.hpp.
#pragma once

#include <vector>

#include "error.hpp"
#include "parallel/strategy.hpp"
#include "workload/model.hpp"

namespace dts {

struct ChunkLayers {  // layers [first, first + count) of the model, in run-length form
  int first = 0, count = 0;
  bool has_stem = false, has_head = false;
};

// Layers per virtual stage: `layers_per_stage` if given; or by sizes of the ends (Strategy); else even, and where the
// division leaves a remainder the stages that hold the head and the stem get the fewer layers first (Llama 3 405B: 126
// layers on 16 stages = 7, 8 x 14, 7).
std::vector<int> layers_per_virtual_stage(int layers, const Strategy& strategy);
// Adds a violation for each size of the ends that the layers cannot be divided by.
void check_stage_sizes(Checker& check, int layers, const Strategy& strategy);
// One entry per virtual stage; a bidirectional pipeline lists both of its copies.
std::vector<ChunkLayers> partition(const ModelSpec& model, const Strategy& strategy);

}  // namespace dts

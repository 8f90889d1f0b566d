// Which layers run again before their backward. Full recomputation takes all of them, or a part
// (Strategy::recompute_method); other kinds take every layer. Megatron-LM counts a block's layers in each virtual stage
// (transformer_block.py), torchtitan every n-th layer of a rank (parallelize_llama.py).
#pragma once

#include <vector>

#include "parallel/strategy.hpp"
#include "workload/model.hpp"

namespace dts {

// Layers that keep one input together; 1 unless Full and Uniform say more.
int recompute_unit(const Strategy& strategy) noexcept;
// Whether full recomputation treats layers differently by where they stand.
bool recomputes_by_place(const Strategy& strategy) noexcept;
std::vector<char> recomputed_layers(const ModelSpec& model, const Strategy& strategy);
// Modules that predict further tokens follow the layers, but not a block of them (Megatron-Core
// multi_token_prediction.py).
bool recomputes_prediction(const Strategy& strategy) noexcept;

}  // namespace dts

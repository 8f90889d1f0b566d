// The model as a framework lays it on tensor-parallel ranks: the vocabulary is padded, and where there are fewer key
// and value heads than ranks they are copied, with the weights that make them or without (KvHeads). What a job is worth
// in FLOPs and parameters is counted on the model itself. Left out: the reduction of copied weights' gradients between
// the ranks that share a head.
#pragma once

#include "parallel/profile.hpp"
#include "parallel/strategy.hpp"
#include "workload/model.hpp"

namespace dts {

ModelSpec placed_model(const ModelSpec& model, const Strategy& strategy, const FrameworkProfile& profile);

}  // namespace dts

// The blocks of a model as a step runs them: the role of each, what of it is recomputed, and on how many layers it
// runs.
#pragma once

#include <functional>

#include "pricing/block_cost.hpp"
#include "step/plan/job.hpp"

namespace dts {

struct BlockUse {
  enum class Part { Stem, Layer, Head, Prediction, Encoder };
  Part part;
  const Block& block;
  const BlockContext& context;
  BlockRole role;
  int layers = 1;             // equal ones
  int recomputed_layers = 1;  // of these: those that the context's recomputation is for
  bool backward = true;       // gradients flow through it
};

BlockContext block_context(const Job& job, const GroupPricer& groups, const LocalSizes& sizes);
// In the order of the model, encoders last.
void visit_blocks(const Job& job, const GroupPricer& groups, const LocalSizes& sizes,
                  const std::function<void(const BlockUse&)>& visit);

}  // namespace dts

// Every block of a model priced once under a strategy; stages, schedules and searches refer to these prices.
#pragma once

#include <memory>
#include <vector>

#include "parallel/stages.hpp"
#include "pricing/block_cost.hpp"
#include "step/plan/job.hpp"
#include "step/plan/stage_cost.hpp"

namespace dts {

struct PricedModel {
  std::vector<std::unique_ptr<BlockCost>> blocks;               // stem, one per layer run, head
  std::vector<std::unique_ptr<BlockCost>> encoder, prediction;  // one per run
  std::vector<std::unique_ptr<BlockCost>>
      kept;                              // one per run, of layers that are not recomputed; empty if all are alike
  std::vector<const BlockCost*> layers;  // of each layer of the model
  LocalSizes sizes;
};

// Parameters of the embedding's table alone, on one rank.
double embedding_parameters(const ModelSpec& model, const Strategy& strategy);

PricedModel price_model(const Job& job, const GroupPricer& groups, ProductTimes& products);

// The blocks of a virtual stage.
StageCost stage_of(const ModelSpec& model, const PricedModel& priced, const ChunkLayers& chunk);

}  // namespace dts

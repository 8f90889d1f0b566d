// From a job to a plan: blocks priced once, spread over stages, with the collectives of data and pipeline parallelism.
#pragma once

#include <memory>
#include <vector>

#include "step/job.hpp"
#include "step/step_program.hpp"

namespace dts {

// Where each priced block of the model stands in `blocks`.
struct PricedModel {
  std::vector<std::unique_ptr<BlockCost>> blocks;  // stem, one per layer run, head
  std::vector<std::unique_ptr<BlockCost>> encoder, prediction;  // one per run
  LocalSizes sizes;
};

struct PlannedStep {
  PricedModel priced;
  StepPlan plan;  // refers into priced
};

PlannedStep plan_step(const Job& job, const RankGrid& grid);

}  // namespace dts

// From a job to a plan: blocks priced once, spread over stages, with the collectives of data and pipeline parallelism.
#pragma once

#include <memory>
#include <vector>

#include "step/price_book.hpp"
#include "step/step_program.hpp"

namespace dts {

struct PlannedStep {
  std::shared_ptr<const PricedModel> priced;
  std::shared_ptr<const ModelTapes> tapes;
  StepPlan plan;  // refers into priced
};

// What the book knows already is taken from it.
PlannedStep plan_step(const Job& job, const RankGrid& grid, PriceBook& book);

}  // namespace dts

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

// What the book knows already is taken from it. `windows` > 0: the order may leave out micro-batches that repeat, as long
// as it keeps so many windows that are alike (schedule/windows.hpp); 0 = every micro-batch.
PlannedStep plan_step(const Job& job, const RankGrid& grid, PriceBook& book, int windows = 0);
// Another order for a planned step.
void order_passes(const Job& job, PlannedStep& step, const RankGrid& grid, PriceBook& book, int windows);

}  // namespace dts

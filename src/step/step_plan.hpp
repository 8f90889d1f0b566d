// From a job to a plan: blocks priced once, spread over stages, with the collectives of data and pipeline parallelism.
#pragma once

#include <memory>
#include <vector>

#include "step/price_book.hpp"
#include "step/step_program.hpp"

namespace dts {

struct PlannedStep {
  std::shared_ptr<const GroupPricer> groups;
  std::shared_ptr<const PricedModel> priced;
  std::shared_ptr<const ModelTapes> tapes;
  StepPlan plan;                           // refers into priced
  std::shared_ptr<const RepeatedOps> ops;  // of an order that leaves micro-batches out, else null
};

// What the book knows already is taken from it. `shortens`: the order may leave out micro-batches that repeat.
PlannedStep plan_step(const Job& job, const RankGrid& grid, PriceBook& book, bool shortens = false);
// Another order for a planned step.
void order_passes(const Job& job, PlannedStep& step, const RankGrid& grid, PriceBook& book, bool shortens);

}  // namespace dts

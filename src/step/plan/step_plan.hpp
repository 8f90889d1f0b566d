// From a job to a plan: blocks priced once, spread over stages, with the collectives of data and pipeline parallelism.
#pragma once

#include <memory>
#include <vector>

#include "step/plan/price_book.hpp"
#include "step/tasks/step_program.hpp"

namespace dts {

struct PlannedStep {
  std::shared_ptr<const GroupPricer> groups;
  std::shared_ptr<const PricedModel> priced;
  std::shared_ptr<const ModelTapes> tapes;
  StepPlan plan;                           // refers into priced
  std::shared_ptr<const RepeatedOps> ops;  // of the order, where they were asked for and the book keeps them; else null
};

// The operations of the order: no matter, all, or without micro-batches that repeat.
enum class WantedOps { None, All, Repeated };

// What the book knows already is taken from it.
PlannedStep plan_step(const Job& job, const RankGrid& grid, PriceBook& book, WantedOps ops = WantedOps::None);
// Another order for a planned step.
void order_passes(const Job& job, PlannedStep& step, const RankGrid& grid, PriceBook& book, WantedOps ops);

}  // namespace dts

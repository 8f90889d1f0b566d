// The same step under every price that ranks of a job see. Ranks differ by the kind of node they stand on, so by
// device, and by the kinds that their groups touch; each combination is planned once. Without differences there is one
// variant.
#pragma once

#include <vector>

#include "step/plan/job.hpp"
#include "step/plan/rank_prices.hpp"
#include "step/plan/step_plan.hpp"

namespace dts {

struct Variants {
  std::vector<PlannedStep> planned;  // the first sets the order of passes
  std::vector<StepProgram> steps;    // of the same tasks

  std::vector<const StepPlan*> plans() const;
  std::vector<const std::vector<TaskInfo>*> pass_classes() const;
};

// Plans every variant and says in `prices` which one prices what. A unit that spans several devices is priced on the
// one that takes longest for its stage. `view` may be null where all nodes are alike.
Variants plan_variants(const Job& job, const RankGrid& grid, const RankView* view, RankPrices& prices, PriceBook& book);

}  // namespace dts

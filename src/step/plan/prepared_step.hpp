// A job with its programs, ready to run with any slowdowns.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "step/links/flow_step.hpp"
#include "step/plan/variants.hpp"
#include "step/run/period.hpp"

namespace dts {

struct PreparedStep {
  PreparedStep(const Job& j, bool needs_view, PriceBook& book, const std::optional<FlowStepOptions>& options = {})
      : job(j), grid(j.strategy), view(make_view(grid, needs_view || options || j.network.node_kinds() > 1)),
        prices(static_cast<std::size_t>(j.strategy.pp), view ? &*view : nullptr),
        variants(plan_variants(j, grid, view ? &*view : nullptr, prices, book)) {
    if (options) flow = std::make_unique<FlowStep>(j, grid, *view, plan(), variants.steps.front(), *options);
  }

  static std::optional<RankView> make_view(const RankGrid& grid, bool needed) {
    return needed ? std::optional<RankView>(grid) : std::nullopt;
  }
  const StepPlan& plan() const { return variants.planned.front().plan; }
  RankPrices slowed(const std::vector<double>& slowdown) const {
    RankPrices slow = prices;
    if (!slowdown.empty()) slow_down(slow, *view, slowdown);
    return slow;
  }
  RankClasses classes(const RankPrices& slow) const {
    if (flow) return flow->classes(slow);
    return view ? slow.classes(*view) : RankClasses::one();
  }
  template <class Visit>
  SpreadEnd run(const RankPrices& slow, const RankClasses& classes, Visit visit) const {
    return flow ? flow->run(slow, classes, visit) : run_alone(slow, classes, visit);
  }
  template <class Visit>
  SpreadEnd run_alone(const RankPrices& slow, const RankClasses& classes, Visit visit) const {
    return run_step(variants.steps, plan().placement(), slow, classes, visit);
  }
  double step_time_s(const std::vector<double>& slowdown) const {
    const RankPrices slow = slowed(slowdown);
    PeriodRecorder period(plan());
    const std::vector<TaskInfo>& tasks = variants.steps.front().tasks;
    const SpreadEnd end = run(slow, classes(slow),
                              [&](TaskId task, const Instances& instances) { period.visit(tasks[task], instances); });
    return period.finish(end) + job.profile.step_cost_s;
  }
  double uncontended_s(const RankPrices& slow) const {
    const RankClasses alike = slow.classes(*view);
    PeriodRecorder period(plan());
    const std::vector<TaskInfo>& tasks = variants.steps.front().tasks;
    const SpreadEnd end =
        run_alone(slow, alike, [&](TaskId task, const Instances& instances) { period.visit(tasks[task], instances); });
    return period.finish(end) + job.profile.step_cost_s;
  }

  const Job& job;
  RankGrid grid;
  std::optional<RankView> view;
  RankPrices prices;
  Variants variants;
  std::unique_ptr<FlowStep> flow;
};

}  // namespace dts

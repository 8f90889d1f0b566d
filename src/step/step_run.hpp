// Runs a step whose ranks are alike: every task is executed as it is issued and recorded at once, no program is kept.
//
// Long schedules repeat. The order then holds fewer micro-batches than the step, and where consecutive windows of it
// (schedule/windows.hpp) turn out to take the same time, task by task, the windows that were left out take that time
// too: a window's tasks wait only for tasks a few windows back, so once that many windows in a row are copies of each
// other, shifted by one duration, every further window is. Times lie on a grid (engine/time_grid.hpp), where shifting is
// exact: the result has the same bits as the whole step's.
#pragma once

#include <optional>

#include "step/breakdown.hpp"
#include "step/exposure.hpp"
#include "step/period.hpp"

namespace dts {

struct StepRun {
  RunEnd end;  // times of the whole step
  double period_s = 0;
  std::vector<Breakdown> stages;
  std::vector<StageTraffic> communication;
};

// Adds the tasks that were executed to `tasks`. `period`: of the order (order_period), where the plan leaves out
// micro-batches. `remembers`: passes that go as one before did are taken over (step/pass_memo.hpp). Nothing where the windows
// of the order do not repeat, or the step is too long for exact times: then the whole order has to run, pass by pass.
std::optional<StepRun> run_alike(const StepPlan& plan, int period, double fixed_s, bool remembers, double& tasks);

}  // namespace dts

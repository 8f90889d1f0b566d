// Runs a step whose ranks are alike: every operation is executed as it comes and recorded at once, no program is kept.
//
// Long schedules repeat. The order then holds fewer micro-batches than the step, and one window of it is run again for
// those that were left out (schedule/repeated_ops.hpp, step/run/lockstep_run.hpp), or leapt over where its times follow
// from those before (step/run/steady_state.hpp). Times lie on a grid (engine/time_grid.hpp), where that is exact: the
// result has the same bits as the whole step's.
#pragma once

#include <optional>

#include "schedule/repeated_ops.hpp"
#include "step/account/breakdown.hpp"
#include "step/account/exposure.hpp"
#include "step/run/period.hpp"
#include "step/run/run_memory.hpp"

namespace dts {

struct StepRun {
  RunEnd end;  // times of the whole step
  double period_s = 0;
  std::vector<Breakdown> stages;
  std::vector<StageTraffic> communication;
};

// Adds the operations and tasks that were executed to `tasks`. `ops`: of the plan's order, which may leave
// micro-batches out; null: they are found on the way. `remembers`: passes that go as one before did are taken over
// (step/run/pass_memo.hpp). Nothing where windows do not repeat, or the step is too long for exact times: then the
// whole order has to run, pass by pass.
std::optional<StepRun> run_alike(const StepPlan& plan, const RepeatedOps* ops, double fixed_s, bool remembers,
                                 RunMemory& memory, double& tasks);

}  // namespace dts

#include "step/run/step_run.hpp"

#include <utility>

#include "engine/time_grid.hpp"
#include "step/run/lockstep_run.hpp"
#include "step/run/run_pass.hpp"
#include "step/run/steady_state.hpp"

namespace dts {

namespace {

class WindowedRun {
 public:
  WindowedRun(const StepPlan& plan, const RepeatedOps& ops, PassRunner& runner)
      : ops_(ops), runner_(runner), micro_batches_(static_cast<std::size_t>(plan.micro_batches)),
        left_(plan.skipped_micro_batches > 0
                  ? static_cast<std::size_t>(plan.skipped_micro_batches / plan.placement().copies() / ops.later)
                  : 0),
        steady_(std::in_place, ops.pending, ops.later, runner) {}

  // Whether the window repeats; else nothing is of use.
  bool run() {
    for (const RepeatedOps::Ops& ops : ops_.before) runner_.run(ops, later());
    if (left_ > 0) steady_->begin();
    for (const PassOp& op : ops_.window) {
      const Bound& bound = runner_.bind(op);
      if (left_ > 0 && op.op == PassOpKind::Pass && !runner_.may_repeat(bound)) return false;
      bound_.push_back(&bound);
      runner_.run_op(op, bound, 0);
    }
    while (left_ > 0 && (left_ -= steady_->leap(left_, later())) > 0) {
      ++done_, --left_;
      runner_.run(ops_.window, bound_, later());
    }
    steady_.reset();
    for (const RepeatedOps::Ops& ops : ops_.after) runner_.run(ops, later());
    return true;
  }

 private:
  std::size_t later() const { return done_ * static_cast<std::size_t>(ops_.later) % micro_batches_; }

  const RepeatedOps& ops_;
  PassRunner& runner_;
  std::size_t micro_batches_;
  std::size_t left_, done_ = 0;        // windows beyond those of the order; those run again
  std::vector<const Bound*> bound_;    // per operation of the window that repeats
  std::optional<SteadyState> steady_;  // until the last window
};

}  // namespace

std::optional<StepRun> run_alike(const StepPlan& plan, const RepeatedOps* ops, double fixed_s, bool remembers,
                                 RunMemory& memory, double& tasks) {
  PassRunner runner(plan, remembers, memory);
  bool repeats = true;
  const bool leaps = plan.skipped_micro_batches > 0;
  if (plan.lockstep) {
    repeats = LockstepRun(plan, runner).run();
  } else if (ops) {
    repeats = WindowedRun(plan, *ops, runner).run();
  } else {
    walk_ops(plan.order, plan.placement(), plan.micro_batches, plan.blocking_p2p,
             [&](const PassOp& op) { runner.run_op(op, runner.bind(op), 0); });
  }
  if (repeats) runner.tail();
  tasks += runner.tasks();
  if (!repeats) return std::nullopt;
  StepRun run = runner.finish(fixed_s);
  if ((leaps || remembers) && run.end.end.makespan_s > kExactTimes_s) return std::nullopt;
  return run;
}

}  // namespace dts

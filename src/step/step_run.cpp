#include "step/step_run.hpp"

#include <algorithm>

#include "engine/time_grid.hpp"
#include "interrupt.hpp"
#include "step/pass_runner.hpp"
#include "step/steady_state.hpp"

namespace dts {

namespace {

class WindowedRun {
 public:
  WindowedRun(const StepPlan& plan, const RepeatedOps& ops, PassRunner& runner)
      : ops_(ops), runner_(runner), ranks_(plan.order.size()), micro_batches_(static_cast<std::size_t>(plan.micro_batches)),
        further_(static_cast<std::size_t>(plan.skipped_micro_batches / plan.placement().copies() / ops.later)), steady_(ops) {}

  // What was skipped; nothing where the window does not repeat.
  std::optional<SkippedWindows> run() {
    run_once(0, ops_.begin);
    bound_.reserve(ops_.end - ops_.begin);
    for (std::size_t i = ops_.begin; i < ops_.end; ++i) {
      bound_.push_back(runner_.bind(ops_.ops[i]));
      if (ops_.ops[i].op == PassOpKind::Pass && !runner_.may_repeat(bound_.back())) return std::nullopt;
      runner_.run(ops_.ops[i], bound_.back());
    }
    SkippedWindows skipped;
    while (left() > 0 && skipped.count <= 0) {
      repeat();
      if (steady_.came_back(runner_, later())) {
        skipped = skip();
        break;
      }
    }
    while (left() > 0) repeat();
    run_once(ops_.end, ops_.ops.size());
    return skipped;
  }

 private:
  std::size_t left() const { return further_ - done_; }
  std::size_t later() const { return done_ * static_cast<std::size_t>(ops_.later) % micro_batches_; }

  void run_once(std::size_t begin, std::size_t end) {
    poll_interrupt(static_cast<std::int64_t>(end - begin));
    const std::size_t now = later();
    for (std::size_t i = begin; i < end; ++i) runner_.run(ops_.ops[i], runner_.bind(ops_.ops[i]), now);
  }

  void repeat() {
    poll_interrupt(static_cast<std::int64_t>(ops_.end - ops_.begin));
    ++done_;
    const std::size_t now = later();
    for (std::size_t i = ops_.begin; i < ops_.end; ++i) runner_.run(ops_.ops[i], bound_[i - ops_.begin], now);
  }

  // One period, of windows like those before and after it, stands for as many as fit between. Transfers of it may run
  // beside compute of windows around it, which must repeat as well.
  SkippedWindows skip() {
    const std::size_t period = steady_.windows(), guard = static_cast<std::size_t>(ops_.reach) + 1;
    const std::size_t before = guard > period ? guard - period : 0;
    if (left() < before + 2 * period + guard) return {};
    for (std::size_t i = 0; i < before; ++i) repeat();
    runner_.mark_repeating(true);
    for (std::size_t i = 0; i < period; ++i) repeat();
    runner_.mark_repeating(false);
    const std::size_t periods = (left() - guard) / period;
    for (std::size_t i = (left() - guard) % period + guard; i > 0; --i) repeat();
    for (std::size_t rank = 0; rank < ranks_; ++rank) {
      if (!runner_.exposure().repeats_within(rank, steady_.since_s(rank), runner_.ranks()[rank].free_s)) return {};
    }
    further_ -= periods * period;
    return {static_cast<double>(periods), steady_.seconds()};
  }

  const RepeatedOps& ops_;
  PassRunner& runner_;
  std::size_t ranks_, micro_batches_;
  std::size_t further_, done_ = 0;  // windows beyond those of the order; of them run
  SteadyState steady_;
  std::vector<PassRunner::Bound> bound_;  // per operation of the window that repeats
};

}  // namespace

std::optional<StepRun> run_alike(const StepPlan& plan, const RepeatedOps* ops, double fixed_s, bool remembers, double& tasks) {
  PassRunner runner(plan, remembers);
  SkippedWindows skipped;
  if (ops) {
    const std::optional<SkippedWindows> windows = WindowedRun(plan, *ops, runner).run();
    if (!windows) return std::nullopt;
    skipped = *windows;
  } else {
    walk_ops(plan.order, plan.placement(), plan.micro_batches, plan.blocking_p2p, [&](const PassOp& op) { runner.run(op, runner.bind(op)); });
  }
  runner.tail();
  tasks += runner.tasks();
  StepRun run = runner.finish(skipped, fixed_s);
  if ((skipped.count > 0 || remembers) && run.end.end.makespan_s + skipped.seconds() > kExactTimes_s) return std::nullopt;
  return run;
}

}  // namespace dts

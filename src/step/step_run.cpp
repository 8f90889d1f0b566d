#include "step/step_run.hpp"

#include "engine/time_grid.hpp"
#include "interrupt.hpp"
#include "step/pass_runner.hpp"
#include "step/steady_state.hpp"

namespace dts {

namespace {

class WindowedRun {
 public:
  WindowedRun(const StepPlan& plan, const RepeatedOps& ops, PassRunner& runner)
      : ops_(ops), runner_(runner), ranks_(plan.order.size()),
        micro_batches_(static_cast<std::size_t>(plan.micro_batches)),
        further_(static_cast<std::size_t>(plan.skipped_micro_batches / plan.placement().copies() / ops.later)),
        steady_(ops) {}

  // What was skipped; nothing where the window does not repeat.
  std::optional<SkippedWindows> run() {
    for (const RepeatedOps::Ops& ops : ops_.before) run_once(ops);
    for (const PassOp& op : ops_.window) {
      bound_.push_back(runner_.bind(op));
      if (op.op == PassOpKind::Pass && !runner_.may_repeat(bound_.back())) return std::nullopt;
      runner_.run(op, bound_.back());
    }
    SkippedWindows skipped;
    while (left() > 0) {
      repeat();
      if (steady_.came_back(runner_, later())) {  // once: what does not fit between its guards then never will
        skipped = skip();
        break;
      }
    }
    while (left() > 0) repeat();
    for (const RepeatedOps::Ops& ops : ops_.after) run_once(ops);
    return skipped;
  }

 private:
  std::size_t left() const { return further_ - done_; }
  std::size_t later() const { return done_ * static_cast<std::size_t>(ops_.later) % micro_batches_; }

  void run_once(const RepeatedOps::Ops& ops) {
    poll_interrupt(static_cast<std::int64_t>(ops.size()));
    const std::size_t now = later();
    for (const PassOp& op : ops) runner_.run(op, runner_.bind(op), now);
  }

  void repeat() {
    poll_interrupt(static_cast<std::int64_t>(ops_.window.size()));
    ++done_;
    const std::size_t now = later();
    for (std::size_t i = 0; i < bound_.size(); ++i) runner_.run(ops_.window[i], bound_[i], now);
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

std::optional<StepRun> run_alike(const StepPlan& plan, const RepeatedOps* ops, double fixed_s, bool remembers,
                                 ExposureLists& lists, double& tasks) {
  PassRunner runner(plan, remembers, lists);
  SkippedWindows skipped;
  if (ops) {
    const std::optional<SkippedWindows> windows = WindowedRun(plan, *ops, runner).run();
    if (!windows) {
      tasks += runner.tasks();
      return std::nullopt;
    }
    skipped = *windows;
  } else {
    walk_ops(plan.order, plan.placement(), plan.micro_batches, plan.blocking_p2p,
             [&](const PassOp& op) { runner.run(op, runner.bind(op)); });
  }
  runner.tail();
  tasks += runner.tasks();
  StepRun run = runner.finish(skipped, fixed_s);
  if ((skipped.count > 0 || remembers) && run.end.end.makespan_s + skipped.seconds() > kExactTimes_s)
    return std::nullopt;
  return run;
}

}  // namespace dts

#include "step/step_run.hpp"

#include <utility>

#include "engine/time_grid.hpp"
#include "step/pass_memo.hpp"
#include "step/steady_state.hpp"
#include "step/step_tasks.hpp"

namespace dts {

namespace {

class RunSink final : public TaskSink {
 public:
  RunSink(const StepPlan& plan, std::optional<SteadyState>& steady, bool remembers)
      : plans_{&plan}, prices_(plan.order.size()), classes_(RankClasses::one()), streams_(static_cast<StreamId>(plan.order.size()) * kStreamsPerRank),
        path_(streams_, plan.interference ? kStreamsPerRank : 0), shares_devices_(plan.interference), steady_(steady), remembers_(remembers),
        breakdown(plans_, prices_, classes_), exposure(plans_, prices_), period(plan) {}

  void expect(std::size_t passes) {  // each with a transfer
    path_.reserve(2 * passes), kinds_.reserve(2 * passes);
  }

  TaskId add(const IssuedTask& task) override {
    const double seconds = on_grid(task.seconds);
    const TaskId id = path_.add(seconds, task.streams, task.stream_count, task.deps, task.dep_count, shares_devices_ ? task.use : DeviceUse{});
    const double start_s = path_.start_s(), end_s = path_.end_s(id);
    const Instances one{&start_s, &end_s, &seconds, &path_.cause(), 1};
    kinds_.push_back(task.info.kind);
    const bool repeats = steady_ && window_ == steady_->repeating();
    if (steady_) {
      note_dependencies(task);
      windows_.push_back(window_);
      steady_->add(window_, task, start_s, end_s);
    }
    if (task.info.pass_class >= 0) counts.add(task.info.pass_class, repeats);
    breakdown.visit(task.info, one, kinds_.data(), repeats);
    exposure.visit(task.info, one, repeats);
    period.visit(task.info, one);
    if (path_.last() == id) last_ = task.info;
    if (memo_) memo_->saw(task.info, end_s);
    ++executed_;
    return id;
  }

  PassMemo* memo(const KeptTasks& kept) override {
    if (remembers_) memo_.emplace(PassMemo::Run{path_, kinds_, last_, breakdown, exposure}, plans_.front()->order.size(), kept);
    return memo_ ? &*memo_ : nullptr;
  }

  int at_pass(int rank, std::size_t index) override {
    if (steady_) window_ = steady_->window_at(rank, index);
    return window_;
  }
  void at_mark(int mark) override { window_ = mark; }
  void at_tail() override { window_ = steady_ ? steady_->after() : 0; }

  RunEnd end(const SkippedWindows& skipped) const { return {{path_.makespan_s(), path_.last()}, last_, skipped}; }
  double tasks() const noexcept { return executed_ + (memo_ ? memo_->repeated() : 0); }
  void finish_memo() {
    if (memo_) memo_->finish(counts);
  }

 private:
  // Streams run in order: the task before on each is a dependency where it sets the start; a collective beside it as well.
  void note_dependencies(const IssuedTask& task) {
    if (path_.cause() != kNoTask) steady_->depends(window_, windows_[path_.cause()]);
    for (std::size_t i = 0; i < task.dep_count; ++i) steady_->depends(window_, windows_[task.deps[i]]);
    if (!shares_devices_ || task.use.work <= 0) return;
    for (std::size_t i = 0; i < task.stream_count; ++i) {
      for (const Held& held : path_.held_beside(task.streams[i])) steady_->depends(window_, windows_[held.task]);
    }
  }

  std::vector<const StepPlan*> plans_;
  RankPrices prices_;
  RankClasses classes_;
  StreamId streams_;
  LongestPath path_;
  bool shares_devices_;
  std::optional<SteadyState>& steady_;
  bool remembers_;
  std::optional<PassMemo> memo_;
  double executed_ = 0;
  int window_ = 0;
  std::vector<int> windows_;      // per task
  std::vector<TaskKind> kinds_;
  TaskInfo last_;

 public:
  BreakdownRecorder breakdown;
  ExposureRecorder exposure;
  PeriodRecorder period;
  PassCounts counts;
};

}  // namespace

std::optional<StepRun> run_alike(const StepPlan& plan, int period, double fixed_s, bool remembers, double& tasks) {
  std::optional<SteadyState> steady;
  if (plan.skipped_micro_batches > 0) {
    steady.emplace(windows_of(plan.order, period / plan.placement().copies()));
    if (steady->repeating() < 1) return std::nullopt;
  }
  RunSink sink(plan, steady, remembers && !steady && plan.ranks_meet);
  std::size_t passes = 0;
  for (const std::vector<Pass>& order : plan.order) passes += order.size();
  sink.expect(passes);
  const std::vector<TaskInfo> classes = emit_step(plan, sink);
  tasks += sink.tasks();
  sink.finish_memo();
  SkippedWindows skipped;
  if (steady) {
    skipped = {static_cast<double>(plan.skipped_micro_batches / period), steady->window_s()};
    if (skipped.window_s < 0) return std::nullopt;
    for (std::size_t rank = 0; rank < plan.order.size(); ++rank) {
      if (!sink.exposure.repeats_within(rank, steady->computes_from_s(rank), steady->computes_until_s(rank))) return std::nullopt;
    }
  }
  StepRun run;
  run.end = sink.end(skipped);
  if ((skipped.count > 0 || remembers) && run.end.end.makespan_s + skipped.seconds() > kExactTimes_s) return std::nullopt;
  run.period_s = sink.period.finish(run.end.end, skipped);
  run.stages = sink.breakdown.finish(sink.counts, {&classes}, run.end, run.period_s, fixed_s);
  run.communication = sink.exposure.finish(sink.counts, {&classes}, skipped);
  return run;
}

}  // namespace dts

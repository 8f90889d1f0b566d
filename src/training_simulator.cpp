#include "training_simulator.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>

#include "error.hpp"
#include "step/account/step_totals.hpp"
#include "step/links/step_traffic.hpp"
#include "step/plan/prepared_step.hpp"
#include "step/plan/step_size.hpp"
#include "step/plan/variants.hpp"
#include "step/run/step_run.hpp"
#include "workload/flops.hpp"

namespace dts {

namespace {

double over_time(const StepResult& r, double flops) {
  const double available = r.step_time_s * static_cast<double>(r.devices) * r.peak_flops;
  return available > 0 ? flops / available : 0;
}

// Empty where all ranks are alike.
std::vector<double> checked_slowdown(const SimulateOptions& options, int world) {
  Checker check;
  const auto given = static_cast<long long>(options.slowdown.size());
  check.require(given == 0 || given == world, "slowdown", std::to_string(given) + " values",
                "one per rank (" + std::to_string(world) + ")");
  for (double value : options.slowdown) {
    if (!check.positive("slowdown", value)) break;
  }
  check.throw_if_any();
  if (!options.stragglers) return options.slowdown;
  check_stragglers(*options.stragglers, world);
  std::vector<double> drawn = slowdown_of(*options.stragglers, world, options.step);
  for (std::size_t rank = 0; rank < options.slowdown.size(); ++rank) drawn[rank] *= options.slowdown[rank];
  return drawn;
}

// A job as its framework runs it: the model placed, what the strategy decides in the profile's place.
struct JobAsRun {
  JobAsRun(const Job& asked, PriceBook& book)
      : job{book.placed(asked.model, asked.strategy, asked.profile),
            asked.device,
            asked.network,
            asked.strategy,
            effective_profile(asked),
            asked.seq_len,
            asked.other_devices,
            asked.kinds,
            asked.host} {}
  JobAsRun(const JobAsRun&) = delete;
  JobAsRun& operator=(const JobAsRun&) = delete;

  Job job;
};

// Mean peak, and the smallest memory of each pipeline rank's devices.
void fill_devices(StepResult& r, const Job& job, const RankGrid& grid) {
  r.capacity_bytes.assign(static_cast<std::size_t>(job.strategy.pp), job.device.hbm_bytes);
  r.peak_flops = job.device.rate(job.strategy.precision).peak_flops;
  if (job.network.node_kinds() == 1) return;
  std::vector<double> ranks(static_cast<std::size_t>(job.network.node_kinds()), 0);
  std::vector<bool> seen(r.capacity_bytes.size(), false);
  for (int rank = 0; rank < grid.world(); ++rank) {
    const int kind = job.network.node_kind(rank);
    const auto stage = static_cast<std::size_t>(grid.coordinate(rank, Axis::PP));
    const double bytes = job.device_of(kind).hbm_bytes;
    r.capacity_bytes[stage] = seen[stage] ? std::min(r.capacity_bytes[stage], bytes) : bytes;
    seen[stage] = true;
    ranks[static_cast<std::size_t>(kind)] += 1;
  }
  r.peak_flops = 0;
  for (std::size_t kind = 0; kind < ranks.size(); ++kind) {
    r.peak_flops +=
        ranks[kind] / grid.world() * job.device_of(static_cast<int>(kind)).rate(job.strategy.precision).peak_flops;
  }
}

// Of the model as it was described.
void fill_rates(StepResult& r, const Job& job) {
  const Flops flops = training_flops(job.model, job.seq_len);
  r.samples_per_step = job.strategy.global_batch;
  r.tokens_per_step = r.samples_per_step * job.tokens_per_sample();
  r.devices = world_size(job.strategy);
  r.parameters = parameter_count(job.model);
  r.model_flops = flops.causal * r.samples_per_step;
  r.model_flops_full = flops.full * r.samples_per_step;
}

struct Timed {  // what a run of a step gives
  double period_s = 0;
  std::vector<Breakdown> stages;
  std::vector<StageTraffic> communication;
  double tasks = 0;
};

StepResult result_of(const Job& job, const PlannedStep& step, const RankGrid& grid, Timed timed) {
  StepResult r;
  const StepPlan& plan = step.plan;
  r.step_time_s = timed.period_s + job.profile.step_cost_s;
  r.even_step_time_s = r.uncontended_step_time_s = r.step_time_s;
  fill_devices(r, job, grid);
  r.hardware_flops = hardware_flops(plan, static_cast<double>(grid.world()) / job.strategy.pp);
  r.micro_batches = plan.all_micro_batches();
  r.tasks = timed.tasks;
  r.stages = std::move(timed.stages);
  for (const Breakdown& stage : r.stages) r.mean.add(stage, 1.0 / static_cast<double>(r.stages.size()));
  r.communication = std::move(timed.communication);
  r.mean_communication = mean_of(r.communication);
  r.communication_s = communication_s(r.communication);
  r.memory = memory_of_step(job, step, tapes_of_step(job, step, grid));
  for (const StageCost& stage : plan.stages) {
    r.forward_s.push_back(stage.forward_s());
    r.backward_s.push_back(stage.backward_s());
  }
  return r;
}

// Sharded gradients and parameters, and activations on the host, cut nearly every pass of a step into many tasks.
bool cuts_most_passes(const StepPlan& plan) {
  return plan.has_units() && (plan.zero >= 2 || plan.offloads_activations);
}

// One rank per pipeline stage, nothing kept but the result.
StepResult simulate_alike(const Job& job, PriceBook& book) {
  const RankGrid grid(job.strategy);
  PlannedStep step =
      plan_step(job, grid, book, job.strategy.offload_activations == 0 ? WantedOps::Repeated : WantedOps::All);
  const bool cut = cuts_most_passes(step.plan);
  double tasks = 0;
  const auto run_with = [&](bool remembers) {
    return run_alike(step.plan, step.ops.get(), job.profile.step_cost_s, remembers, book.memory(), tasks);
  };
  std::optional<StepRun> run = run_with(cut);
  if (!run && step.plan.skipped_micro_batches > 0) {
    order_passes(job, step, grid, book, WantedOps::None);
    run = run_with(cut);
  }
  if (!run) run = run_with(false);
  return result_of(job, step, grid, {run->period_s, std::move(run->stages), std::move(run->communication), tasks});
}

// Ranks that differ, or events and traffic that name them: a program, executed for every class of ranks.
StepResult simulate_classes(const Job& job, const SimulateOptions& options, const std::vector<double>& slowdown,
                            PriceBook& book) {
  const PreparedStep ready(job, options.expand || !slowdown.empty(), book, options.flow);
  const StepProgram& step = ready.variants.steps.front();
  const RankView* view = ready.view ? &*ready.view : nullptr;
  const RankPrices prices = ready.slowed(slowdown);
  const RankClasses classes = options.expand ? RankClasses::each(*view) : ready.classes(prices);

  const std::vector<const StepPlan*> plans = ready.variants.plans();
  PassCounts counts;
  BreakdownRecorder breakdown(plans, prices, classes);
  ExposureRecorder exposure(plans, prices, book.memory().lists);
  PeriodRecorder period(ready.plan());
  EventRecorder events(step, ready.plan(), ready.grid, classes, view,
                       options.expand ? EventRanks::All : EventRanks::First);
  const std::vector<TaskKind> kinds = kinds_of(step);
  const SpreadEnd end = ready.run(prices, classes, [&](TaskId task, const Instances& instances) {
    const TaskInfo& info = step.tasks[task];
    if (info.pass_class >= 0) counts.add(info.pass_class);
    breakdown.visit(info, instances, kinds.data());
    exposure.visit(info, instances);
    period.visit(info, instances);
    if (options.keep_events) events.visit(task, instances);
  });

  const double period_s = period.finish(end);
  const std::vector<const std::vector<TaskInfo>*> pass_classes = ready.variants.pass_classes();
  const RunEnd run{end, end.last == kNoTask ? TaskInfo{} : step.tasks[end.last]};
  StepResult r = result_of(job, ready.variants.planned.front(), ready.grid,
                           {period_s, breakdown.finish(counts, pass_classes, run, period_s, job.profile.step_cost_s),
                            exposure.finish(counts, pass_classes), static_cast<double>(step.tasks.size())});
  r.uncontended_step_time_s = ready.flow ? ready.uncontended_s(prices) : r.step_time_s;
  if (ready.flow) r.links = ready.flow->links();
  if (!slowdown.empty()) r.even_step_time_s = ready.step_time_s({});
  r.rank_classes = static_cast<int>(classes.spread.units);
  if (options.keep_traffic) r.traffic_bytes = traffic_of_step(ready.plan(), step, ready.grid, job.network);
  r.events = events.finish();
  return r;
}

}  // namespace

double StepResult::mfu() const noexcept { return over_time(*this, model_flops); }
double StepResult::mfu_full() const noexcept { return over_time(*this, model_flops_full); }
double StepResult::hfu() const noexcept { return over_time(*this, hardware_flops); }

StepResult simulate(const Job& job, const SimulateOptions& options) {
  PriceBook book;
  return simulate(job, options, book);
}

StepResult simulate(const Job& asked, const SimulateOptions& options, PriceBook& book) {
  const JobAsRun run(asked, book);
  const Job& job = run.job;
  book.check(job);
  const std::vector<double> slowdown = checked_slowdown(options, static_cast<int>(world_size(job.strategy)));
  const bool alike =
      slowdown.empty() && !options.expand && !options.flow && job.network.node_kinds() == 1 && options.skip_repeats;
  check_step_size(step_size(job, options.expand, options.keep_events));
  StepResult r = alike && !options.keep_events && !options.keep_traffic
                     ? simulate_alike(job, book)
                     : simulate_classes(job, options, slowdown, book);
  fill_rates(r, asked);
  return r;
}

MemoryDetails memory_details(const Job& asked, const CachingAllocator::Options& allocator) {
  PriceBook book;
  const JobAsRun run(asked, book);
  const Job& job = run.job;
  book.check(job);
  check_step_size(memory_timeline_size(job));
  const PreparedStep ready(job, false, book);
  PassSpans spans(ready.plan(), ready.variants.steps.front());
  const RankPrices prices = ready.slowed({});
  ready.run(prices, ready.classes(prices),
            [&](TaskId task, const Instances& instances) { spans.visit(task, instances); });
  const StepTapes tapes = replayed_tapes(job, ready.variants.planned.front(), ready.grid);
  MemoryDetails details;
  details.timelines = memory_timelines(spans, tapes);
  for (const RankTape& tape : tapes.ranks) details.replays.push_back(replay(tape, allocator));
  return details;
}

std::vector<AllocatorReplay> allocator_replays(const Job& asked, const CachingAllocator::Options& allocator) {
  PriceBook book;
  const JobAsRun run(asked, book);
  book.check(run.job);
  check_step_size(step_size(run.job, false, false));
  const PreparedStep ready(run.job, false, book);
  const StepTapes tapes = replayed_tapes(run.job, ready.variants.planned.front(), ready.grid);
  std::vector<AllocatorReplay> replays;
  replays.reserve(tapes.ranks.size());
  for (const RankTape& tape : tapes.ranks) replays.push_back(replay(tape, allocator));
  return replays;
}

std::vector<double> step_times(const Job& asked, const StragglerSpec& stragglers, std::int64_t first, int count,
                               const std::optional<FlowStepOptions>& flow) {
  Checker check;
  check.at_least("first", first, 0);
  check.at_least("count", count, 0);
  check.throw_if_any();
  PriceBook book;
  const JobAsRun run(asked, book);
  const Job& job = run.job;
  book.check(job);
  const int world = static_cast<int>(world_size(job.strategy));
  check_stragglers(stragglers, world);
  check_step_size(step_size(job, true, false));
  const PreparedStep ready(job, true, book, flow);
  std::vector<double> seconds;
  seconds.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) seconds.push_back(ready.step_time_s(slowdown_of(stragglers, world, first + i)));
  return seconds;
}

}  // namespace dts

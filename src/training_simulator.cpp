#include "training_simulator.hpp"

#include <algorithm>
#include <string>

#include "error.hpp"
#include "step/step_plan.hpp"
#include "step/step_traffic.hpp"
#include "workload/flops.hpp"

namespace dts {

namespace {

double over_time(const StepResult& r, double flops) {
  const double available = r.step_time_s * static_cast<double>(r.devices) * r.peak_flops;
  return available > 0 ? flops / available : 0;
}

// FLOPs that all ranks execute: forward, data gradient, weight gradient and recomputation.
double hardware_flops(const StepPlan& plan, double ranks_per_stage) {
  double per_rank = 0;
  for (const StageCost& stage : plan.stages) {
    for (const BlockCost* block : stage.blocks) {
      per_rank += block->forward_flops + block->backward_flops + block->recompute_flops;
    }
  }
  return per_rank * plan.micro_batches_per_stage() * ranks_per_stage;
}

// Collectives inside passes, plus the busy time of the data-parallel and transfer streams, of the busiest rank.
double communication_s(const StepPlan& plan, const StepProgram& step, const Timeline& timeline) {
  const StagePlacement placement = plan.placement();
  std::vector<double> per_rank(static_cast<std::size_t>(step.ranks), 0), inside(plan.order.size(), 0);
  for (std::size_t v = 0; v < plan.stages.size(); ++v) {
    for (const BlockCost* block : plan.stages[v].blocks) {
      for (const PassCost* pass : {&block->forward, &block->recompute, &block->backward}) {
        double& rank_s = inside[static_cast<std::size_t>(placement.rank_of(static_cast<int>(v)))];
        for (double s : pass->comm_s) rank_s += s * plan.micro_batches_per_stage();
      }
    }
  }
  for (TaskId task = 0; task < step.tasks.size(); ++task) {
    if (step.tasks[task].stream == StreamKind::Compute) continue;
    step.program.for_streams(task, [&](StreamId stream) {
      per_rank[stream / kStreamsPerRank] += timeline.end_s[task] - timeline.start_s[task];
    });
  }
  const double outside = *std::max_element(per_rank.begin(), per_rank.end());
  return outside + *std::max_element(inside.begin(), inside.end());
}

const std::vector<double>& checked_slowdown(const SimulateOptions& options, int world) {
  Checker check;
  const auto given = static_cast<long long>(options.slowdown.size());
  check.require(given == 0 || (given == world && options.expand), "slowdown", std::to_string(given) + " values",
                "one per rank (" + std::to_string(world) + "), with expand");
  for (double value : options.slowdown) {
    if (!check.positive("slowdown", value)) break;
  }
  check.throw_if_any();
  return options.slowdown;
}

// One event per task and member rank; meetings of no length are left out.
EventTable events_of(const StepProgram& step, const Timeline& timeline) {
  EventTable events;
  for (TaskId task = 0; task < step.tasks.size(); ++task) {
    if (timeline.end_s[task] <= timeline.start_s[task]) continue;
    step.program.for_streams(task, [&](StreamId stream) {
      TaskInfo info = step.tasks[task];
      info.rank = static_cast<std::int32_t>(stream / kStreamsPerRank);
      events.tasks.push_back(info);
      events.start_s.push_back(timeline.start_s[task]);
      events.end_s.push_back(timeline.end_s[task]);
    });
  }
  return events;
}

void fill_rates(StepResult& r, const Job& job, const StepPlan& plan) {
  const Flops flops = training_flops(job.model, job.seq_len);
  r.samples_per_step = job.strategy.global_batch;
  r.tokens_per_step = r.samples_per_step * job.tokens_per_sample();
  r.devices = world_size(job.strategy);
  r.parameters = parameter_count(job.model);
  r.model_flops = flops.causal * r.samples_per_step;
  r.model_flops_full = flops.full * r.samples_per_step;
  r.hardware_flops = hardware_flops(plan, static_cast<double>(r.devices) / job.strategy.pp);
  r.peak_flops = job.device.rate(job.strategy.precision).peak_flops;
  r.micro_batches = plan.micro_batches;
}

}  // namespace

double StepResult::mfu() const noexcept { return over_time(*this, model_flops); }
double StepResult::mfu_full() const noexcept { return over_time(*this, model_flops_full); }
double StepResult::hfu() const noexcept { return over_time(*this, hardware_flops); }

StepResult simulate(const Job& job, const SimulateOptions& options) {
  check_job(job);
  const RankGrid grid(job.strategy);
  PlannedStep planned = plan_step(job, grid);
  planned.plan.slowdown = checked_slowdown(options, grid.world());
  const StepPlan& plan = planned.plan;
  StepProgram step = options.expand ? build_expanded(plan, grid) : build_folded(plan);
  Timeline timeline = execute(step.program);

  StepResult r;
  r.step_time_s = step_period_s(plan, step, timeline) + job.profile.step_cost_s;
  fill_rates(r, job, plan);
  r.stages = break_down(plan, step, timeline, job.profile.step_cost_s);
  for (const Breakdown& stage : r.stages) r.mean.add(stage, 1.0 / static_cast<double>(r.stages.size()));
  r.memory = memory_of_step(job, tapes_of_step(job, planned, grid));
  for (const StageCost& stage : plan.stages) {
    r.forward_s.push_back(stage.forward_s());
    r.backward_s.push_back(stage.backward_s());
  }
  r.communication_s = communication_s(plan, step, timeline);
  if (options.keep_traffic) {
    r.traffic_bytes = traffic_of_step(plan, options.expand ? build_folded(plan) : step, grid, job.network);
  }
  if (options.keep_events) r.events = events_of(step, timeline);
  return r;
}

MemoryDetails memory_details(const Job& job, const CachingAllocator::Options& allocator) {
  check_job(job);
  const RankGrid grid(job.strategy);
  const PlannedStep planned = plan_step(job, grid);
  const StepProgram step = build_folded(planned.plan);
  const Timeline timeline = execute(step.program);
  const StepTapes tapes = tapes_of_step(job, planned, grid);
  MemoryDetails details;
  details.timelines = memory_timelines(planned.plan, step, timeline, tapes);
  for (const RankTape& tape : tapes.ranks) details.replays.push_back(replay(tape, allocator));
  details.step_time_s = step_period_s(planned.plan, step, timeline);
  return details;
}

}  // namespace dts

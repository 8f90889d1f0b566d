#include "step/account/breakdown.hpp"

#include <algorithm>

#include "engine/time_grid.hpp"

namespace dts {

namespace {

double exposed(const PassCost& cost, Axis axis) { return cost.exposed_s[static_cast<std::size_t>(axis)]; }

// What a task spends of a block: `ranks` share the collectives, `stretched` its kernels and host waits.
void add_pass(Breakdown& b, const PassCost& cost, double hidden, double ranks, double stretched, double& kernel_s) {
  kernel_s += stretched * cost.compute_s;
  b.exposed_tp_s += ranks * exposed(cost, Axis::TP);
  b.exposed_cp_s += ranks * exposed(cost, Axis::CP);
  b.exposed_ep_s += ranks * ((1 - hidden) * (exposed(cost, Axis::EP) + exposed(cost, Axis::ETP)));
  b.host_s += stretched * cost.host_s;
}

// One pass of a stage, or one piece of it, on the grid.
Breakdown of_pass(const StepPlan& plan, const TaskInfo& info, double ranks, double stretched) {
  Breakdown b;
  for_pass_blocks(plan, info, [&](const BlockCost& block, double share) {
    const PassParts parts = parts_of(block, pass_of(info.kind));
    if (parts.again) add_pass(b, *parts.again, info.hidden, share * ranks, share * stretched, b.recompute_s);
    double& kernel_s = info.kind == TaskKind::Forward ? b.forward_s : b.backward_s;
    add_pass(b, *parts.cost, info.hidden, share * ranks, share * stretched, kernel_s);
  });
  for (double* seconds :
       {&b.forward_s, &b.backward_s, &b.recompute_s, &b.exposed_tp_s, &b.exposed_cp_s, &b.exposed_ep_s, &b.host_s}) {
    *seconds = on_grid(*seconds);
  }
  return b;
}

}  // namespace

double Breakdown::total_s() const noexcept {
  return forward_s + backward_s + recompute_s + optimizer_s + exposed_tp_s + exposed_cp_s + exposed_ep_s +
         exposed_dp_s + offload_s + pipeline_s + interference_s + contention_s + straggler_s + host_s + fixed_s;
}

void Breakdown::add(const Breakdown& o, double weight) {
  forward_s += weight * o.forward_s, backward_s += weight * o.backward_s, recompute_s += weight * o.recompute_s;
  optimizer_s += weight * o.optimizer_s, exposed_tp_s += weight * o.exposed_tp_s,
      exposed_cp_s += weight * o.exposed_cp_s;
  exposed_ep_s += weight * o.exposed_ep_s, exposed_dp_s += weight * o.exposed_dp_s, pipeline_s += weight * o.pipeline_s;
  offload_s += weight * o.offload_s, straggler_s += weight * o.straggler_s, interference_s += weight * o.interference_s,
      contention_s += weight * o.contention_s, host_s += weight * o.host_s, fixed_s += weight * o.fixed_s;
}

// A collective of the data-parallel axis, a copy to or from the host, or the pipeline.
double& BreakdownRecorder::Waits::ended_by(TaskKind cause) {
  switch (cause) {
    case TaskKind::ParamGather:
    case TaskKind::GradReduce:
    case TaskKind::TiedReduce:
    case TaskKind::CopyReduce:
    case TaskKind::ReplicaReduce: return dp_s;
    case TaskKind::GradOffload:
    case TaskKind::ParamUpload:
    case TaskKind::ActivationOffload:
    case TaskKind::ActivationReload:
    case TaskKind::StateUpload:
    case TaskKind::StateDownload:
    case TaskKind::TierRead:
    case TaskKind::TierWrite: return offload_s;
    default: return pipeline_s;
  }
}

void BreakdownRecorder::Waits::add(const Waits& more, double times) {
  dp_s += times * more.dp_s, offload_s += times * more.offload_s;
  pipeline_s += times * more.pipeline_s, interference_s += times * more.interference_s;
}

BreakdownRecorder::Waits BreakdownRecorder::Waits::since(const Waits& before) const {
  Waits more;
  more.dp_s = dp_s - before.dp_s, more.offload_s = offload_s - before.offload_s;
  more.pipeline_s = pipeline_s - before.pipeline_s, more.interference_s = interference_s - before.interference_s;
  return more;
}

BreakdownRecorder::BreakdownRecorder(const std::vector<const StepPlan*>& plans, const RankPrices& prices,
                                     const RankClasses& classes)
    : plans_(plans), classes_(classes), slows_(plans.front()->interference), units_(classes.spread.units),
      shares_(prices.pp), waits_(prices.pp * units_), stages_(prices.pp) {
  for (double units : classes.units_in) all_units_ += units;
  for (std::size_t stage = 0; stage < prices.pp; ++stage) {
    std::vector<Share> sums(plans.size(), {0, 0, 0});  // whole counts first: exact where all are alike
    for (std::uint32_t u = 0; u < units_; ++u) {
      const RankPrice& price = prices.of_unit(stage, classes.first_unit[u]);
      sums[price.variant].ranks += classes.units_in[u];
      sums[price.variant].stretched += classes.units_in[u] * price.slowdown;
    }
    for (std::size_t variant = 0; variant < sums.size(); ++variant) {
      if (sums[variant].ranks > 0) {
        shares_[stage].push_back({variant, sums[variant].ranks / all_units_, sums[variant].stretched / all_units_});
      }
    }
  }
}

void BreakdownRecorder::visit(const TaskInfo& info, const Instances& instances, const TaskKind* kinds) {
  if (info.stream != StreamKind::Compute) return;
  if (info.kind == TaskKind::Sync) {
    const TaskId cause = instances.cause[0];
    return meet(cause == kNoTask ? TaskKind::Sync : kinds[cause], instances.end_s[0]);
  }
  const auto stage = static_cast<std::size_t>(info.rank);
  for (std::uint32_t u = 0; u < instances.count; ++u) {
    Waits& w = waits(stage, u);
    if (w.began_s < 0) {
      w.began_s = plans_.front()->ranks_meet ? 0 : instances.start_s[u];  // else it was still in the step before
      w.busy_until_s = w.began_s;
    }
    const double wait_s = instances.start_s[u] - w.busy_until_s;
    if (wait_s > 0) w.ended_by(kinds[instances.cause[u]]) += wait_s;
    const double contended_s = instances.contended_s ? instances.contended_s[u] : 0;
    w.contention_s += contended_s;
    if (slows_) {
      w.interference_s +=
          std::max(0.0, instances.end_s[u] - instances.start_s[u] - instances.planned_s[u] - contended_s);
    }
    w.busy_until_s = instances.end_s[u];
  }
  if (info.kind != TaskKind::Optimizer) return;
  for (const Share& share : shares_[stage]) add_update(stages_[stage], share, info);
}

void BreakdownRecorder::add_passes(const PassCounts& counts, const std::vector<const std::vector<TaskInfo>*>& classes) {
  for (std::size_t c = 0; c < counts.classes(); ++c) {
    const auto stage = static_cast<std::size_t>((*classes.front())[c].rank);
    for (const Share& share : shares_[stage]) {
      const TaskInfo& info = (*classes[share.variant])[c];
      stages_[stage].add(of_pass(*plans_[share.variant], info, share.ranks, share.stretched), counts.of(c));
    }
  }
}

void BreakdownRecorder::add_update(Breakdown& b, const Share& share, const TaskInfo& info) const {
  const StepPlan& plan = *plans_[share.variant];
  if (info.piece < 0) {
    b.optimizer_s += share.stretched * plan.optimizer_s[static_cast<std::size_t>(info.rank)];
  } else {  // unit by unit
    const auto& units = plan.comm[static_cast<std::size_t>(info.stage)].units;
    b.optimizer_s += share.ranks * units[static_cast<std::size_t>(info.piece)].update_s;
  }
}

// When the last stage of a unit's own pipeline has computed.
double BreakdownRecorder::pipeline_done_s(std::uint32_t unit) {
  double done_s = 0;
  for (std::size_t stage = 0; stage < stages_.size(); ++stage)
    done_s = std::max(done_s, waits(stage, unit).busy_until_s);
  return done_s;
}

// Every rank waits here: for stages that still compute, for slower pipelines, then for the last reduction
// or copy.
void BreakdownRecorder::meet(TaskKind cause, double meeting_s) {
  double computed_s = 0;
  for (const Waits& w : waits_) computed_s = std::max(computed_s, w.busy_until_s);
  for (std::uint32_t u = 0; u < units_; ++u) {
    const double done_s = pipeline_done_s(u);
    for (std::size_t stage = 0; stage < stages_.size(); ++stage) {
      Waits& w = waits(stage, u);
      w.pipeline_s += done_s - w.busy_until_s;
      w.straggler_s += computed_s - done_s;
      if (meeting_s > computed_s) w.ended_by(cause) += meeting_s - computed_s;
      w.busy_until_s = meeting_s;
    }
  }
}

// As the first unit's plus the mean difference to it: exact where all are alike.
void BreakdownRecorder::add_mean_waits(std::size_t stage, Breakdown& b) {
  Waits mean = waits(stage, 0);
  const Waits first = mean;
  for (std::uint32_t u = 1; u < units_; ++u) {
    const double share = classes_.units_in[u] / all_units_;
    const Waits& w = waits(stage, u);
    mean.dp_s += share * (w.dp_s - first.dp_s);
    mean.offload_s += share * (w.offload_s - first.offload_s);
    mean.pipeline_s += share * (w.pipeline_s - first.pipeline_s);
    mean.straggler_s += share * (w.straggler_s - first.straggler_s);
    mean.interference_s += share * (w.interference_s - first.interference_s);
    mean.contention_s += share * (w.contention_s - first.contention_s);
  }
  b.exposed_dp_s += mean.dp_s, b.offload_s += mean.offload_s;
  b.pipeline_s += mean.pipeline_s, b.straggler_s += mean.straggler_s, b.interference_s += mean.interference_s;
  b.contention_s += mean.contention_s;
}

std::vector<Breakdown> BreakdownRecorder::finish(const PassCounts& counts,
                                                 const std::vector<const std::vector<TaskInfo>*>& classes,
                                                 const RunEnd& run, double period_s, double fixed_s) {
  add_passes(counts, classes);
  // After the update: parameters gathered or copied back, or a slower rank's update.
  const bool moves = run.end.last != kNoTask && run.last.stream != StreamKind::Compute;
  for (std::uint32_t u = 0; u < units_; ++u) {
    const double done_s = moves ? 0 : pipeline_done_s(u);
    for (std::size_t stage = 0; stage < stages_.size(); ++stage) {
      Waits& w = waits(stage, u);
      if (!plans_.front()->ranks_meet) {
        w.pipeline_s += period_s - (w.busy_until_s - w.began_s);
      } else if (moves) {
        w.ended_by(run.last.kind) += run.end.makespan_s - w.busy_until_s;
      } else {
        w.pipeline_s += done_s - w.busy_until_s;
        w.straggler_s += run.end.makespan_s - done_s;
      }
    }
  }
  for (std::size_t stage = 0; stage < stages_.size(); ++stage) {
    add_mean_waits(stage, stages_[stage]);
    stages_[stage].fixed_s = fixed_s;
  }
  return std::move(stages_);
}

}  // namespace dts

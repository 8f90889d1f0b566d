#include "step/breakdown.hpp"

#include <algorithm>

namespace dts {

namespace {

double exposed(const PassCost& cost, Axis axis) { return cost.exposed_s[static_cast<std::size_t>(axis)]; }

void add_pass(Breakdown& b, const PassCost& cost, double share, double hidden, double& kernel_s) {
  kernel_s += share * cost.compute_s;
  b.exposed_tp_s += share * exposed(cost, Axis::TP);
  b.exposed_cp_s += share * exposed(cost, Axis::CP);
  b.exposed_ep_s += share * (1 - hidden) * (exposed(cost, Axis::EP) + exposed(cost, Axis::ETP));
  b.host_s += share * cost.host_s;
}

// The blocks of one forward or backward pass of a stage, all of them or one piece.
void add_blocks(Breakdown& b, const StepPlan& plan, const TaskInfo& info) {
  const auto v = static_cast<std::size_t>(info.stage);
  const StageCost& stage = plan.stages[v];
  const StageComm& comm = plan.comm[v];
  const bool forward = info.kind == TaskKind::Forward;
  const auto add = [&](std::size_t block, double share) {
    const PassParts parts = parts_of(*stage.blocks[block], pass_of(info.kind));
    if (parts.again) add_pass(b, *parts.again, share, info.hidden, b.recompute_s);
    add_pass(b, *parts.cost, share, info.hidden, forward ? b.forward_s : b.backward_s);
  };
  if (info.piece >= 0) return for_unit_blocks(comm, static_cast<std::size_t>(info.piece), forward, add);
  for (std::size_t i = 0; i < stage.blocks.size(); ++i) add(i, 1);
}

// A wait belongs to what ended it: a collective of the data-parallel axis, a copy to or from the host, or the pipeline.
double& waited(Breakdown& b, TaskKind cause) {
  switch (cause) {
    case TaskKind::ParamGather:
    case TaskKind::GradReduce:
    case TaskKind::TiedReduce:
    case TaskKind::CopyReduce:
    case TaskKind::ReplicaReduce: return b.exposed_dp_s;
    case TaskKind::GradOffload:
    case TaskKind::ParamUpload:
    case TaskKind::ActivationOffload:
    case TaskKind::ActivationReload: return b.offload_s;
    default: return b.pipeline_s;
  }
}

// Every rank waits here: for stages that still compute, then for the last reduction or copy.
void meet(std::vector<Breakdown>& stages, std::vector<double>& busy_until, TaskKind cause, double meeting_s) {
  const double computed_s = *std::max_element(busy_until.begin(), busy_until.end());
  for (std::size_t s = 0; s < stages.size(); ++s) {
    stages[s].pipeline_s += computed_s - busy_until[s];
    if (meeting_s > computed_s) waited(stages[s], cause) += meeting_s - computed_s;
    busy_until[s] = meeting_s;
  }
}

}  // namespace

double Breakdown::total_s() const noexcept {
  return forward_s + backward_s + recompute_s + optimizer_s + exposed_tp_s + exposed_cp_s + exposed_ep_s + exposed_dp_s +
         offload_s + pipeline_s + host_s + fixed_s;
}

void Breakdown::add(const Breakdown& o, double weight) {
  forward_s += weight * o.forward_s, backward_s += weight * o.backward_s, recompute_s += weight * o.recompute_s;
  optimizer_s += weight * o.optimizer_s, exposed_tp_s += weight * o.exposed_tp_s, exposed_cp_s += weight * o.exposed_cp_s;
  exposed_ep_s += weight * o.exposed_ep_s, exposed_dp_s += weight * o.exposed_dp_s, pipeline_s += weight * o.pipeline_s;
  host_s += weight * o.host_s, fixed_s += weight * o.fixed_s, offload_s += weight * o.offload_s;
}

std::vector<Breakdown> break_down(const StepPlan& plan, const StepProgram& step, const Timeline& timeline, double fixed_s) {
  const StagePlacement placement = plan.placement();
  const std::size_t pp = plan.order.size();
  std::vector<Breakdown> stages(pp);
  std::vector<std::int32_t> first_rank(pp, -1);  // the representative whose compute stream is followed
  std::vector<double> busy_until(pp, 0);
  for (TaskId task = 0; task < step.tasks.size(); ++task) {
    const TaskInfo& info = step.tasks[task];
    if (info.stream != StreamKind::Compute) continue;
    if (info.kind == TaskKind::Sync) {
      const TaskId cause = timeline.cause[task];
      meet(stages, busy_until, cause == kNoTask ? TaskKind::Sync : step.tasks[cause].kind, timeline.end_s[task]);
      continue;
    }
    const auto s = static_cast<std::size_t>(placement.rank_of(info.stage));
    if (first_rank[s] < 0) first_rank[s] = info.rank;
    if (info.rank != first_rank[s]) continue;
    const double wait = timeline.start_s[task] - busy_until[s];
    if (wait > 0) waited(stages[s], step.tasks[timeline.cause[task]].kind) += wait;
    busy_until[s] = timeline.end_s[task];
    if (info.kind == TaskKind::Optimizer) {
      stages[s].optimizer_s += timeline.end_s[task] - timeline.start_s[task];
    } else {
      Breakdown part;
      add_blocks(part, plan, info);
      const double planned = part.total_s();  // a slow rank takes longer, every part alike
      if (planned > 0) stages[s].add(part, (timeline.end_s[task] - timeline.start_s[task]) / planned);
    }
  }
  for (std::size_t s = 0; s < pp; ++s) {  // after the update: parameters gathered, or a slower stage's update
    const double wait = timeline.makespan_s - busy_until[s];
    if (wait > 0) waited(stages[s], step.tasks[timeline.last].kind) += wait;
    stages[s].fixed_s = fixed_s;
  }
  return stages;
}

}  // namespace dts

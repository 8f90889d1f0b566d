#include "step/breakdown.hpp"

#include <algorithm>

namespace dts {

namespace {

double exposed(const PassCost& cost, Axis axis) { return cost.exposed_s[static_cast<std::size_t>(axis)]; }

void add_pass(Breakdown& b, const PassCost& cost, double hidden, double& kernel_s) {
  kernel_s += cost.compute_s;
  b.exposed_tp_s += exposed(cost, Axis::TP);
  b.exposed_cp_s += exposed(cost, Axis::CP);
  b.exposed_ep_s += (1 - hidden) * (exposed(cost, Axis::EP) + exposed(cost, Axis::ETP));
  b.host_s += cost.host_s;
}

// The blocks of one forward or backward pass of a stage, all of them or one piece.
void add_blocks(Breakdown& b, const StepPlan& plan, const TaskInfo& info) {
  const auto v = static_cast<std::size_t>(info.stage);
  const StageCost& stage = plan.stages[v];
  const StageComm& comm = plan.comm[v];
  std::size_t first = 0, end = stage.blocks.size();
  if (info.piece >= 0) {
    const auto piece = static_cast<std::size_t>(info.piece);
    first = piece == 0 ? 0 : comm.units[piece - 1].end;
    end = comm.units[piece].end;
  }
  for (std::size_t i = first; i < end; ++i) {
    const PassParts parts = parts_of(*stage.blocks[i], pass_of(info.kind));
    if (parts.again) add_pass(b, *parts.again, info.hidden, b.recompute_s);
    add_pass(b, *parts.cost, info.hidden, info.kind == TaskKind::Forward ? b.forward_s : b.backward_s);
  }
}

// A wait belongs to the data-parallel axis if a collective of that axis ended it, to the pipeline otherwise.
void add_wait(Breakdown& b, TaskKind cause, double seconds) {
  const bool data_parallel = cause == TaskKind::ParamGather || cause == TaskKind::GradReduce || cause == TaskKind::TiedReduce ||
                             cause == TaskKind::CopyReduce;
  (data_parallel ? b.exposed_dp_s : b.pipeline_s) += seconds;
}

// Every rank waits here: for stages that still compute, then for the last reduction.
void meet(std::vector<Breakdown>& stages, std::vector<double>& busy_until, double meeting_s) {
  const double computed_s = *std::max_element(busy_until.begin(), busy_until.end());
  for (std::size_t s = 0; s < stages.size(); ++s) {
    stages[s].pipeline_s += computed_s - busy_until[s];
    stages[s].exposed_dp_s += meeting_s - computed_s;
    busy_until[s] = meeting_s;
  }
}

}  // namespace

double Breakdown::total_s() const noexcept {
  return forward_s + backward_s + recompute_s + optimizer_s + exposed_tp_s + exposed_cp_s + exposed_ep_s + exposed_dp_s +
         pipeline_s + host_s + fixed_s;
}

void Breakdown::add(const Breakdown& o, double weight) {
  forward_s += weight * o.forward_s, backward_s += weight * o.backward_s, recompute_s += weight * o.recompute_s;
  optimizer_s += weight * o.optimizer_s, exposed_tp_s += weight * o.exposed_tp_s, exposed_cp_s += weight * o.exposed_cp_s;
  exposed_ep_s += weight * o.exposed_ep_s, exposed_dp_s += weight * o.exposed_dp_s, pipeline_s += weight * o.pipeline_s;
  host_s += weight * o.host_s, fixed_s += weight * o.fixed_s;
}

std::vector<Breakdown> break_down(const StepPlan& plan, const StepProgram& step, const Timeline& timeline, double fixed_s) {
  const StagePlacement placement = plan.placement();
  const std::size_t pp = plan.order.size();
  std::vector<Breakdown> stages(pp);
  std::vector<std::int32_t> first_rank(pp, -1);  // the representative whose compute stream is followed
  std::vector<double> busy_until(pp, 0), began(pp, 0);
  const double period_s = step_period_s(plan, step, timeline);
  for (TaskId task = 0; task < step.tasks.size(); ++task) {
    const TaskInfo& info = step.tasks[task];
    if (info.stream != StreamKind::Compute) continue;
    if (info.kind == TaskKind::Sync) {
      meet(stages, busy_until, timeline.end_s[task]);
      continue;
    }
    const auto s = static_cast<std::size_t>(placement.rank_of(info.stage));
    if (first_rank[s] < 0) {
      first_rank[s] = info.rank;
      if (!plan.ranks_meet) began[s] = busy_until[s] = timeline.start_s[task];  // it was still in the step before
    }
    if (info.rank != first_rank[s]) continue;
    const double wait = timeline.start_s[task] - busy_until[s];
    if (wait > 0) add_wait(stages[s], step.tasks[timeline.cause[task]].kind, wait);
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
    const double wait = period_s - (busy_until[s] - began[s]);
    if (wait > 0) add_wait(stages[s], step.tasks[timeline.last].kind, wait);
    stages[s].fixed_s = fixed_s;
  }
  return stages;
}

}  // namespace dts

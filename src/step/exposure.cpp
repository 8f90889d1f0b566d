#include "step/exposure.hpp"

#include <algorithm>
#include <utility>

namespace dts {

namespace {

AxisTime& at(StageTraffic& stage, CommAxis axis) { return stage[static_cast<std::size_t>(axis)]; }

void add_pass(StageTraffic& stage, const PassCost& cost, double hidden, double share) {
  const std::pair<Axis, CommAxis> axes[] = {{Axis::TP, CommAxis::TP}, {Axis::CP, CommAxis::CP}, {Axis::EP, CommAxis::EP},
                                            {Axis::ETP, CommAxis::EP}};
  for (const auto& [from, to] : axes) {
    at(stage, to).total_s += share * cost.comm_s[static_cast<std::size_t>(from)];
    at(stage, to).exposed_s += share * (to == CommAxis::EP ? 1 - hidden : 1) * cost.exposed_s[static_cast<std::size_t>(from)];
  }
}

}  // namespace

ExposureRecorder::ExposureRecorder(const std::vector<const StepPlan*>& plans, const StepProgram& step, const RankPrices& prices)
    : plans_(plans), step_(step), prices_(prices), placement_(plans.front()->placement()), stages_(prices.pp), busy_(prices.pp) {}

void ExposureRecorder::visit(TaskId task, const Instances& instances) {
  const TaskInfo& info = step_.tasks[task];
  if (info.kind == TaskKind::Sync || is_host_copy(info.stream)) return;  // copies are no communication between ranks
  if (info.stream != StreamKind::Compute) return add_outside(info, instances.start_s[0], instances.end_s[0]);
  std::vector<Busy>& busy = busy_[static_cast<std::size_t>(info.rank)];
  const double before_s = busy.empty() ? 0 : busy.back().before_s + (busy.back().end_s - busy.back().start_s);
  busy.push_back({instances.start_s[0], instances.end_s[0], before_s});
  if (info.kind != TaskKind::Optimizer) add_inside(info);
}

void ExposureRecorder::add_inside(const TaskInfo& info) {
  const auto stage = static_cast<std::size_t>(info.rank);
  for_pass_blocks(*plans_[prices_.of_unit(stage, 0).variant], info, [&](const BlockCost& block, double share) {
    const PassParts parts = parts_of(block, pass_of(info.kind));
    if (parts.again) add_pass(stages_[stage], *parts.again, info.hidden, share);
    add_pass(stages_[stage], *parts.cost, info.hidden, share);
  });
}

void ExposureRecorder::add_outside(const TaskInfo& info, double start_s, double end_s) {
  if (info.kind == TaskKind::PipelineSend) {
    const int to = info.stream == StreamKind::SendForward ? placement_.next(info.stage) : placement_.previous(info.stage);
    intervals_.push_back({static_cast<std::size_t>(placement_.rank_of(to)), CommAxis::PP, start_s, end_s});
    return;
  }
  const auto stage = static_cast<std::size_t>(info.rank);
  intervals_.push_back({stage, CommAxis::DP, start_s, end_s});
  if (space_of(info.kind) == Space::Unit) intervals_.push_back({stages_.size() - 1 - stage, CommAxis::DP, start_s, end_s});
}

double ExposureRecorder::computed_until(std::size_t stage, double time_s) const {
  const std::vector<Busy>& busy = busy_[stage];
  const auto after = std::upper_bound(busy.begin(), busy.end(), time_s, [](double t, const Busy& b) { return t < b.start_s; });
  if (after == busy.begin()) return 0;
  const Busy& last = *(after - 1);
  return last.before_s + (std::min(time_s, last.end_s) - last.start_s);
}

std::vector<StageTraffic> ExposureRecorder::finish() {
  for (const Interval& i : intervals_) {
    AxisTime& time = at(stages_[i.stage], i.axis);
    const double length_s = i.end_s - i.start_s;
    const double overlapped_s = computed_until(i.stage, i.end_s) - computed_until(i.stage, i.start_s);
    time.total_s += length_s;
    time.exposed_s += std::max(length_s - overlapped_s, 0.0);
  }
  return std::move(stages_);
}

}  // namespace dts

#include "step/account/exposure.hpp"

#include <algorithm>
#include <utility>

#include "engine/time_grid.hpp"

namespace dts {

namespace {

constexpr std::size_t kMostKept = 4'000'000;  // entries, 100 MB

AxisTime& at(StageTraffic& stage, CommAxis axis) { return stage[static_cast<std::size_t>(axis)]; }

CommAxis axis_of(StreamKind stream) {
  return stream == StreamKind::SendForward || stream == StreamKind::SendBackward ? CommAxis::PP : CommAxis::DP;
}

void add_pass(StageTraffic& stage, const PassCost& cost, double hidden, double share) {
  const std::pair<Axis, CommAxis> axes[] = {
      {Axis::TP, CommAxis::TP}, {Axis::CP, CommAxis::CP}, {Axis::EP, CommAxis::EP}, {Axis::ETP, CommAxis::EP}};
  for (const auto& [from, to] : axes) {
    at(stage, to).total_s += share * cost.comm_s[static_cast<std::size_t>(from)];
    at(stage, to).exposed_s +=
        share * (to == CommAxis::EP ? 1 - hidden : 1) * cost.exposed_s[static_cast<std::size_t>(from)];
  }
}

using Interval = ExposureLists::Interval;

void add_repeat(const BusyTime& busy, const ExposureLists::Repeat& repeat, BusyTime::Place& place, AxisTime& time) {
  const Interval& first = repeat.first;
  time.total_s += repeat.times * (first.end_s - first.start_s);
  const double before_s = first.start_s - repeat.step_s, ended_s = first.end_s - repeat.step_s;
  double n = std::min(repeat.times, busy.again(before_s, ended_s, repeat.step_s));
  if (n > 0) time.exposed_s += n * busy.idle_s(before_s, ended_s, place);
  for (double alike = 1; n < repeat.times; n += alike) {
    const double start_s = first.start_s + n * repeat.step_s, end_s = first.end_s + n * repeat.step_s;
    const double once_s = busy.idle_s(start_s, end_s, place);
    alike = std::min(busy.alike(start_s, end_s, repeat.step_s, place), repeat.times - n);
    time.exposed_s += alike * once_s;
  }
}

}  // namespace

ExposureRecorder::ExposureRecorder(const std::vector<const StepPlan*>& plans, const RankPrices& prices,
                                   ExposureLists& lists)
    : plans_(plans), prices_(prices), placement_(plans.front()->placement()), stages_(prices.pp), lists_(lists) {
  lists_.clear(prices.pp);
}

std::size_t ExposureLists::entries() const {
  std::size_t kept = 0;
  for (const BusyTime& list : busy) kept += list.stretches().capacity();
  for (const std::vector<Interval>& list : intervals) kept += list.capacity();
  for (const std::vector<Repeat>& list : repeats) kept += list.capacity();
  for (const std::vector<Interval>& list : arrived) kept += list.capacity();
  return kept;
}

void ExposureLists::clear(std::size_t ranks) {
  for (BusyTime& list : busy) list.clear();
  for (std::vector<Interval>& list : intervals) list.clear();
  for (std::vector<Repeat>& list : repeats) list.clear();
  for (std::vector<Interval>& list : arrived) list.clear();
  if (entries() > kMostKept) busy.clear(), intervals.clear(), repeats.clear(), arrived.clear();
  used.clear(), is_used.assign(2 * std::max(ranks, busy.size()) * kStreamsPerRank, 0);
  if (busy.size() >= ranks) return;
  busy.resize(ranks), arrived.resize(ranks), intervals.resize(2 * ranks * kStreamsPerRank),
      repeats.resize(intervals.size());
}

void ExposureRecorder::visit(const TaskInfo& info, const Instances& instances) {
  if (info.kind == TaskKind::Sync || is_host_copy(info.stream)) return;  // copies are no communication between ranks
  if (info.stream != StreamKind::Compute) return add_outside(info, {instances.start_s[0], instances.end_s[0]});
  computes(static_cast<std::size_t>(info.rank)).add(instances.start_s[0], instances.end_s[0]);
}

void ExposureRecorder::lengths(std::vector<std::size_t>& found) const {
  const std::size_t ranks = stages_.size();
  found.resize(ranks + lists_.used.size());
  for (std::size_t rank = 0; rank < ranks; ++rank) found[rank] = lists_.arrived[rank].size();
  for (std::size_t u = 0; u < lists_.used.size(); ++u) found[ranks + u] = lists_.intervals[lists_.used[u]].size();
}

void ExposureRecorder::repeat(const std::vector<std::size_t>& lengths, double times, double step_s) {
  const std::size_t ranks = stages_.size();
  for (std::size_t rank = 0; step_s == 0 && rank < ranks; ++rank) {
    repeat(rank, lists_.arrived[rank], lengths[rank], times, step_s, transfers(rank), nullptr);
  }
  for (std::size_t u = 0; u < lists_.used.size(); ++u) {
    const std::size_t l = lists_.used[u], before = ranks + u < lengths.size() ? lengths[ranks + u] : 0;
    const std::size_t rank = l / (2 * kStreamsPerRank);
    AxisTime& time = at(stages_[rank], axis_of(static_cast<StreamKind>(l / 2 % kStreamsPerRank)));
    repeat(rank, lists_.intervals[l], before, times, step_s, time, &lists_.repeats[l]);
  }
}

void ExposureRecorder::repeat(std::size_t rank, const std::vector<Interval>& list, std::size_t before, double times,
                              double step_s, AxisTime& time, std::vector<ExposureLists::Repeat>* unknown) {
  const BusyTime& busy = lists_.busy[rank];
  const double until_s = busy.stretches().empty() ? 0 : busy.stretches().back().end_s;
  BusyTime::Place place{busy.stretches().size()};
  const std::size_t fresh = list.size() - before;
  for (std::size_t i = before; i < list.size(); ++i) {
    const double step = step_s > 0 ? step_s : list[i].start_s - list[i - fresh].start_s;
    const ExposureLists::Repeat repeat{{list[i].start_s + step, list[i].end_s + step}, step, times};
    if (unknown && list[i].end_s + times * step > until_s) {
      unknown->push_back(repeat);
    } else {
      add_repeat(busy, repeat, place, time);
    }
  }
}

void ExposureRecorder::add_inside(const PassCounts& counts, const std::vector<const std::vector<TaskInfo>*>& classes) {
  for (std::size_t c = 0; c < counts.classes(); ++c) {
    const auto stage = static_cast<std::size_t>((*classes.front())[c].rank);
    const std::size_t variant = prices_.of_unit(stage, 0).variant;
    const TaskInfo& info = (*classes[variant])[c];  // a pair hides as much as its own devices let it
    StageTraffic once{};
    for_pass_blocks(*plans_[variant], info, [&](const BlockCost& block, double share) {
      const PassParts parts = parts_of(block, pass_of(info.kind));
      if (parts.again) add_pass(once, *parts.again, info.hidden, share);
      add_pass(once, *parts.cost, info.hidden, share);
    });
    for (std::size_t axis = 0; axis < kCommAxes; ++axis) {
      stages_[stage][axis].total_s += counts.of(c) * on_grid(once[axis].total_s);
      stages_[stage][axis].exposed_s += counts.of(c) * on_grid(once[axis].exposed_s);
    }
  }
}

void ExposureRecorder::add_outside(const TaskInfo& info, const Interval& interval) {
  if (info.kind == TaskKind::PipelineSend) {
    const bool forward = info.stream == StreamKind::SendForward;
    const int to = forward ? placement_.next(info.stage) : placement_.previous(info.stage);
    if (plans_.front()->blocking_p2p) return add_blocking(placement_.rank_of(to), interval.end_s - interval.start_s);
    return arriving_by(forward, static_cast<std::size_t>(info.rank), static_cast<std::size_t>(placement_.rank_of(to)))
        .push_back(interval);
  }
  const auto rank = static_cast<std::size_t>(info.rank);
  arriving(rank, info.stream).push_back(interval);
  if (space_of(info.kind) == Space::Unit) arriving(stages_.size() - 1 - rank, info.stream, true).push_back(interval);
}

void ExposureRecorder::add_blocking(int to, double seconds) {
  at(stages_[static_cast<std::size_t>(to)], CommAxis::PP).add({seconds, seconds}, 1);
}

void ExposureRecorder::add_blocking_transfers() {
  const StepPlan& plan = *plans_.front();
  const double times = plan.micro_batches_per_stage();
  for (int stage = 0; stage < placement_.stages(); ++stage) {
    const int next = placement_.next(stage);
    if (next < 0 || placement_.rank_of(next) == placement_.rank_of(stage)) continue;
    add_blocking(placement_.rank_of(next), times * on_grid(plan.comm[static_cast<std::size_t>(stage)].send_forward_s));
    add_blocking(placement_.rank_of(stage), times * on_grid(plan.comm[static_cast<std::size_t>(next)].send_backward_s));
  }
}

void ExposureRecorder::add_intervals(std::size_t rank, std::size_t list, AxisTime& time) const {
  const BusyTime& busy = lists_.busy[rank];
  BusyTime::Place place;
  for (const Interval& interval : lists_.intervals[list]) {
    time.total_s += interval.end_s - interval.start_s;
    time.exposed_s += busy.idle_s(interval.start_s, interval.end_s, place);
  }
  for (const ExposureLists::Repeat& repeat : lists_.repeats[list]) add_repeat(busy, repeat, place, time);
}

std::vector<StageTraffic> ExposureRecorder::finish(const PassCounts& counts,
                                                   const std::vector<const std::vector<TaskInfo>*>& classes) {
  add_inside(counts, classes);
  for (std::size_t rank = 0; rank < stages_.size(); ++rank) {
    for (std::size_t stream = 0; stream < kStreamsPerRank; ++stream) {
      const auto kind = static_cast<StreamKind>(stream);
      for (bool mirrored : {false, true})
        add_intervals(rank, list_of(rank, kind, mirrored), at(stages_[rank], axis_of(kind)));
    }
  }
  return std::move(stages_);
}

}  // namespace dts

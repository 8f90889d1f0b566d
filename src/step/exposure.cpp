#include "step/exposure.hpp"

#include <algorithm>
#include <utility>

#include "engine/time_grid.hpp"

namespace dts {

namespace {

constexpr std::size_t kMostKept = 4'000'000;  // entries, 100 MB

AxisTime& at(StageTraffic& stage, CommAxis axis) { return stage[static_cast<std::size_t>(axis)]; }

void add_pass(StageTraffic& stage, const PassCost& cost, double hidden, double share) {
  const std::pair<Axis, CommAxis> axes[] = {
      {Axis::TP, CommAxis::TP}, {Axis::CP, CommAxis::CP}, {Axis::EP, CommAxis::EP}, {Axis::ETP, CommAxis::EP}};
  for (const auto& [from, to] : axes) {
    at(stage, to).total_s += share * cost.comm_s[static_cast<std::size_t>(from)];
    at(stage, to).exposed_s +=
        share * (to == CommAxis::EP ? 1 - hidden : 1) * cost.exposed_s[static_cast<std::size_t>(from)];
  }
}

}  // namespace

ExposureRecorder::ExposureRecorder(const std::vector<const StepPlan*>& plans, const RankPrices& prices,
                                   ExposureLists& lists)
    : plans_(plans), prices_(prices), placement_(plans.front()->placement()), stages_(prices.pp), repeating_(prices.pp),
      lists_(lists) {
  lists_.clear(prices.pp);
}

void ExposureLists::clear(std::size_t ranks) {
  std::size_t kept = 0;
  for (std::vector<Busy>& list : busy) list.clear(), kept += list.capacity();
  for (std::vector<Interval>& list : intervals) list.clear(), kept += list.capacity();
  if (kept > kMostKept) busy.clear(), intervals.clear();
  if (busy.size() < ranks) busy.resize(ranks), intervals.resize(2 * ranks * kStreamsPerRank);
}

void ExposureRecorder::visit(const TaskInfo& info, const Instances& instances) {
  if (info.kind == TaskKind::Sync || is_host_copy(info.stream)) return;  // copies are no communication between ranks
  if (info.stream != StreamKind::Compute) return add_outside(info, {instances.start_s[0], instances.end_s[0], false});
  add_compute(static_cast<std::size_t>(info.rank), instances.start_s[0], instances.end_s[0]);
}

void ExposureRecorder::add_compute(std::size_t rank, double start_s, double end_s) {
  std::vector<Busy>& busy = lists_.busy[rank];
  if (!busy.empty() && busy.back().end_s == start_s) {
    busy.back().end_s = end_s;
  } else {
    busy.push_back(
        {start_s, end_s, busy.empty() ? 0 : busy.back().before_s + (busy.back().end_s - busy.back().start_s)});
  }
}

void ExposureRecorder::add_collectives(std::size_t rank, const AxisTime& time, bool repeats) {
  const auto add = [&](AxisTime& sum) { sum.total_s += time.total_s, sum.exposed_s += time.exposed_s; };
  add(at(stages_[rank], CommAxis::DP));
  if (repeats) add(repeating_[rank]);
}

void ExposureRecorder::add_inside(const PassCounts& counts, const std::vector<const std::vector<TaskInfo>*>& classes,
                                  double windows) {
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
      stages_[stage][axis].total_s += counts.of(c, windows) * on_grid(once[axis].total_s);
      stages_[stage][axis].exposed_s += counts.of(c, windows) * on_grid(once[axis].exposed_s);
    }
  }
}

void ExposureRecorder::add_outside(const TaskInfo& info, const Interval& interval) {
  if (info.kind == TaskKind::PipelineSend) {
    const bool forward = info.stream == StreamKind::SendForward;
    const int to = forward ? placement_.next(info.stage) : placement_.previous(info.stage);
    return arriving_by(forward, static_cast<std::size_t>(info.rank), static_cast<std::size_t>(placement_.rank_of(to)))
        .push_back(interval);
  }
  const auto rank = static_cast<std::size_t>(info.rank);
  arriving(rank, info.stream).push_back(interval);
  if (space_of(info.kind) == Space::Unit) arriving(stages_.size() - 1 - rank, info.stream, true).push_back(interval);
}

bool ExposureRecorder::repeats_within(std::size_t rank, double from_s, double to_s) const {
  const auto first = lists_.intervals.begin() + static_cast<std::ptrdiff_t>(2 * rank * kStreamsPerRank);
  return std::all_of(
      first, first + 2 * static_cast<std::ptrdiff_t>(kStreamsPerRank), [&](const std::vector<Interval>& list) {
        return std::all_of(list.begin(), list.end(),
                           [&](const Interval& i) { return !i.repeats || (i.start_s >= from_s && i.end_s <= to_s); });
      });
}

// Both the intervals and the stretches of compute are in order of time.
void ExposureRecorder::add_intervals(std::size_t rank, const std::vector<Interval>& list, AxisTime& time,
                                     double windows) const {
  const std::vector<Busy>& busy = lists_.busy[rank];
  std::size_t at[2] = {0, 0};  // stretches that begin by the start, by the end
  const auto computed_until = [&](double time_s, std::size_t& begun) {
    while (begun < busy.size() && busy[begun].start_s <= time_s) ++begun;
    if (begun == 0) return 0.0;
    const Busy& last = busy[begun - 1];
    return last.before_s + (std::min(time_s, last.end_s) - last.start_s);
  };
  for (const Interval& i : list) {
    const double length_s = i.end_s - i.start_s, weight = i.repeats ? 1 + windows : 1;
    const double started_s = computed_until(i.start_s, at[0]),
                 overlapped_s = computed_until(i.end_s, at[1]) - started_s;
    time.total_s += weight * length_s;
    time.exposed_s += weight * std::max(length_s - overlapped_s, 0.0);
  }
}

std::vector<StageTraffic> ExposureRecorder::finish(const PassCounts& counts,
                                                   const std::vector<const std::vector<TaskInfo>*>& classes,
                                                   const SkippedWindows& skipped) {
  add_inside(counts, classes, skipped.count);
  for (std::size_t rank = 0; rank < stages_.size(); ++rank) {
    at(stages_[rank], CommAxis::DP).total_s += skipped.count * repeating_[rank].total_s;
    at(stages_[rank], CommAxis::DP).exposed_s += skipped.count * repeating_[rank].exposed_s;
    for (std::size_t stream = 0; stream < kStreamsPerRank; ++stream) {
      const auto kind = static_cast<StreamKind>(stream);
      const bool pipeline = kind == StreamKind::SendForward || kind == StreamKind::SendBackward;
      for (bool mirrored : {false, true}) {
        add_intervals(rank, arriving(rank, kind, mirrored), at(stages_[rank], pipeline ? CommAxis::PP : CommAxis::DP),
                      skipped.count);
      }
    }
  }
  return std::move(stages_);
}

}  // namespace dts

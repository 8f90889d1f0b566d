// Where a run stands between two windows, and how it leaps over windows that need no execution.
#include <algorithm>

#include "step/run/pass_runner.hpp"

namespace dts {

namespace {

AxisTime since(AxisTime now, const AxisTime& then) {  // first of all, so that sums stay where they are exact
  now.add(then, -1);
  return now;
}

}  // namespace

bool PassRunner::settled() const {
  return std::all_of(ranks_.begin(), ranks_.end(), [&](const RankTimes& r) {
    return memo_ ? PassMemo::is_known(r.state) : !waits_beside_ || r.busy_s <= r.free_s;
  });
}

void PassRunner::read(const Arrivals& pending, std::size_t later, RunMoment& moment) const {
  moment.times_s.resize(kRankTimes * ranks_.size() + pending.size());
  moment.states.resize(ranks_.size());
  double* at = moment.times_s.data();
  for (std::size_t rank = 0; rank < ranks_.size(); ++rank) {
    for_times(ranks_[rank], [&](double time_s) { *at++ = time_s; });
    moment.states[rank] = ranks_[rank].state;
  }
  for (const RepeatedOps::Arrival& a : pending) *at++ = arrival(a.forward, a.stage, a.micro_batch, later);
  moment.unknown_passes = unknown_passes_;
}

void PassRunner::sums(RunMoment& moment) const {
  moment.waits.clear(), moment.added.clear();
  for (std::size_t rank = 0; rank < ranks_.size(); ++rank) {
    moment.waits.push_back(breakdown_.of_rank(rank));
    moment.waits.back().pipeline_s += ranks_[rank].waited_s;
    moment.added.push_back({exposure_.collectives(rank), exposure_.transfers(rank)});
  }
  exposure_.lengths(moment.lengths);
  moment.counts = counts_;
}

bool PassRunner::hides_alike(const Arrivals& pending, const RunMoment& then, const RunMoment& now) {
  for (std::size_t i = 0; on_arrival_ && i < pending.size(); ++i) {
    const RepeatedOps::Arrival& a = pending[i];
    PassOp transfer;
    transfer.op = PassOpKind::Send, transfer.forward = a.forward, transfer.to = a.stage;
    transfer.stage = a.forward ? placement_.previous(a.stage) : placement_.next(a.stage);
    const double seconds = bound_.of(transfer).seconds;
    const auto rank = static_cast<std::size_t>(placement_.rank_of(a.stage));
    const auto idle_s = [&](const RunMoment& moment) {
      const double free_s = moment.times_s[rank * kRankTimes], in_s = moment.times_s[ranks_.size() * kRankTimes + i];
      return exposure_.computes(rank).idle_lately_s(std::min(in_s - seconds, free_s), std::min(in_s, free_s));
    };
    if (idle_s(then) != idle_s(now)) return false;
  }
  return true;
}

void PassRunner::leap(const Repetition& what, const Arrivals& pending, std::size_t later) {
  RunMoment now;
  read(pending, later, now), sums(now);
  const RunMoment& then = what.since;
  const auto times = static_cast<double>(what.times);
  const auto shift_s = [&](std::size_t i) {
    return now.times_s[i] == then.times_s[i] ? 0 : now.times_s[i] - then.times_s[i];
  };
  const std::vector<std::vector<std::size_t>> changing = what.of
                                                             ? what.of->where_waits_change(*what.before, ranks_.size())
                                                             : std::vector<std::vector<std::size_t>>(ranks_.size());
  std::size_t at = 0;
  const auto move = [&](double& time_s) { time_s += times * shift_s(at++); };
  for (std::size_t rank = 0; rank < ranks_.size(); ++rank) {
    const double moved_s = times * shift_s(at);
    for (std::size_t i = 0; i < recent_; ++i) ends_s_[rank * recent_ + i] += moved_s;
    repeat_compute(what, changing[rank], rank, shift_s(at));
    for_times(ranks_[rank], move);
    breakdown_.of_rank(rank).add(now.waits[rank].since(then.waits[rank]), times);
    exposure_.collectives(rank).add(since(now.added[rank].collectives, then.added[rank].collectives), times);
    if (!what.of) exposure_.transfers(rank).add(since(now.added[rank].transfers, then.added[rank].transfers), times);
  }
  for (const RepeatedOps::Arrival& a : pending) move(arrival(a.forward, a.stage, a.micro_batch, later));
  exposure_.repeat(then.lengths, times, what.of ? 0 : shift_s(0));
  counts_.repeat_since(then.counts, times);
}

// Where its passes wait alike they come again as one pattern, else one by one.
void PassRunner::repeat_compute(const Repetition& what, const std::vector<std::size_t>& starts, std::size_t rank,
                                double shift_s) {
  BusyTime& busy = exposure_.computes(rank);
  if (starts.empty()) return busy.repeat(shift_s, static_cast<double>(what.times));
  double free_s = ranks_[rank].free_s;
  for (std::size_t n = 1; n <= what.times; ++n) {
    for (std::size_t i : starts) {
      const Choices::Start& pass = what.of->starts()[i];
      const double wait_s =
          std::max(0.0, -pass.ahead_s) + static_cast<double>(n) * what.of->waits_longer_s(*what.before, i);
      if (pass.record < 0) {
        busy.add(free_s + wait_s, free_s + wait_s + pass.pass_s);
        free_s += wait_s + pass.pass_s;
      } else {  // whose wait may be part of the record
        const PassMemo::Record& record = memo_->record(pass.record);
        if (record.key.input_s == 0) free_s += wait_s;
        memo_->repeat_compute(record, rank, free_s);
        free_s += record.computed_s;
      }
    }
  }
}

}  // namespace dts

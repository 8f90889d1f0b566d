// The innermost loop of a run (step/run/pass_runner.hpp), inline where operations are run.
#pragma once

#include <algorithm>

#include "step/run/pass_runner.hpp"

namespace dts {

inline double PassRunner::input_s(PassKind kind, int stage, int micro_batch, std::size_t later) const {
  return kind == PassKind::BackwardWeight ? 0 : arrival(kind == PassKind::Forward, stage, micro_batch, later);
}

inline void PassRunner::run_op(const PassOp& op, const Bound& bound, std::size_t later) {
  RankTimes& r = ranks_[static_cast<std::size_t>(op.rank)];
  switch (op.op) {
    case PassOpKind::Pass: return pass(op, bound, later);
    case PassOpKind::Turn:
      if (!plan_.blocking_p2p) arrival(op.forward, op.to, op.micro_batch, later) = r.free_s;
      return;
    case PassOpKind::Send: return send(op, bound.seconds, *bound.arrivals, later);
    case PassOpKind::Meet: return meet(op, bound, later);
    case PassOpKind::Received: {
      const double done_s = arrival(op.forward, op.to, op.micro_batch, later);
      r.exchanged_s = op.first ? done_s : later_of(r.exchanged_s, done_s);
    }
  }
}

inline void PassRunner::send(const PassOp& op, double seconds, Intervals& arrivals, std::size_t later) {
  RankTimes& r = ranks_[static_cast<std::size_t>(op.rank)];
  double& sent_s = r.sent_s[op.forward ? 0 : 1];
  const double start_s = later_of(sent_s, r.free_s);
  sent_s = start_s + seconds;
  arrival(op.forward, op.to, op.micro_batch, later) = sent_s;
  ++executed_;
  if (on_arrival_) return;
  ExposureRecorder::Interval& carried = arrivals.emplace_back();  // in place: this is the innermost loop
  carried.start_s = start_s, carried.end_s = sent_s;
}

inline void PassRunner::pass(const PassOp& op, const Bound& bound, std::size_t later) {
  const auto rank = static_cast<std::size_t>(op.rank);
  RankTimes& r = ranks_[rank];
  double in_s = r.exchanged_s;  // a rank that waits for its transfers has its inputs by then
  if (!plan_.blocking_p2p) {
    in_s = input_s(op.kind, op.stage, op.micro_batch, later);
    if (op.first) {  // both passes of a pair start when the inputs of both are there
      const Pass& partner = plan_.order[rank][static_cast<std::size_t>(op.index) + 1];
      const int stage = placement_.stage_of(op.rank, partner.chunk);
      in_s = later_of(in_s, input_s(partner.kind, stage, partner.micro_batch, later));
    }
  }
  if (choices_) choices_->start(r.free_s - in_s, bound.seconds, op.rank);
  const double start_s = std::max(r.free_s, in_s);
  if (memo_) {
    known_pass(op, bound, in_s);
  } else if (bound.plain && (!waits_beside_ || r.busy_s <= r.free_s || in_s > r.busy_s)) {
    plain_pass(rank, bound, start_s);
  } else {
    issue(op, bound, in_s);
    ++unknown_passes_;
  }
  r.exchanged_s = r.free_s;
  if (op.to >= 0) send(op, bound.send_s, *bound.arrivals, later);
}

// `noted`: choices are.
template <bool noted>
bool PassRunner::run_plain(const PlainRank& rank, PlainPort& port, std::size_t at, int direction, double in_s) {
  RankTimes& r = *rank.times;
  if (waits_beside_ && r.busy_s > r.free_s && in_s <= r.busy_s) return false;
  if constexpr (noted) choices_->start(r.free_s - in_s, port.seconds, static_cast<std::int32_t>(rank.rank));
  const double start_s = std::max(r.free_s, in_s);
  r.waited_s += start_s - r.free_s;
  const double end_s = r.free_s = start_s + port.seconds;
  rank.ends_s[r.passes & (recent_ - 1)] = end_s;
  ++r.passes, ++port.runs;
  rank.computes->add(start_s, end_s);
  if (!port.out) return true;
  double& sent_s = r.sent_s[direction];
  if constexpr (noted) choices_->later_of(sent_s, end_s);
  port.out[at] = sent_s = std::max(sent_s, end_s) + port.send_s;
  return true;
}

template <bool noted>
void PassRunner::arrived(const PlainRank& rank, PlainPort& port, double in_s) {
  const ExposureRecorder::Interval transfer{in_s - port.fed_s, in_s};
  ++port.arrivals;
  port.exposed_s += rank.computes->idle_lately_s(transfer.start_s, transfer.end_s);
  if constexpr (noted) exposure_.keep_arrived(rank.rank, transfer);  // windows may come again
}

inline void PassRunner::plain_pass(std::size_t rank, const Bound& bound, double start_s) {
  RankTimes& r = ranks_[rank];
  if (r.passes == 0 && !plan_.ranks_meet) {  // till then it was still in the step before
    breakdown_.of_rank(rank).began_s = r.free_s = start_s;
    period_.begin(rank, start_s);
  }
  r.waited_s += start_s - r.free_s;
  r.free_s = start_s + bound.seconds;
  ends_s_[rank * recent_ + (r.passes & (recent_ - 1))] = r.free_s;
  ++r.passes, ++executed_;
  counts_.add(bound.pass_class);
  exposure_.computes(rank).add(start_s, r.free_s);
}

}  // namespace dts

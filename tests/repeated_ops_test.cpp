#include "schedule/repeated_ops.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <tuple>

#include "schedule/pipeline.hpp"
#include "schedule/windows.hpp"

namespace {

using namespace dts;

// Of an operation: kind, whether first of its group, forward, stages, micro-batch.
using Seen = std::tuple<PassOpKind, bool, bool, int, int, int>;

// Checks that each operation comes after all that it waits for.
class Checked {
 public:
  explicit Checked(const StagePlacement& placement)
      : placement_(placement), lists_(3 * static_cast<std::size_t>(placement.pp)) {}

  void run(const PassOp& op, int later) {
    const int m = op.micro_batch + later;
    if (op.op == PassOpKind::Pass) {
      const int from = op.forward ? placement_.previous(op.stage) : placement_.next(op.stage);
      EXPECT_TRUE(from < 0 || arrived_.count({op.forward, op.stage, m}))
          << "stage " << op.stage << " micro-batch " << m;
      EXPECT_EQ(placement_.rank_of(op.stage), op.rank);
      done_.insert({op.forward, op.stage, m});
      if (op.to >= 0) {
        EXPECT_TRUE(arrived_.insert({op.forward, op.to, m}).second);
      }
    } else if (op.op == PassOpKind::Received) {
      EXPECT_TRUE(arrived_.count({op.forward, op.to, m}));
    } else {
      EXPECT_TRUE(done_.count({op.forward, op.stage, m})) << "sent before it was there";
      EXPECT_TRUE(arrived_.insert({op.forward, op.to, m}).second);
    }
    const int list = op.op != PassOpKind::Meet ? 0
                     : op.forward              ? 1
                                               : 2;  // where two meet is no matter of one rank's order
    lists_[static_cast<std::size_t>(3 * op.rank + list)].push_back({op.op, op.first, op.forward, op.stage, op.to, m});
  }

  // Per rank, in order: what it runs and waits for; what it sends, each way.
  const std::vector<std::vector<Seen>>& lists() const { return lists_; }

 private:
  StagePlacement placement_;
  std::set<std::tuple<bool, int, int>> done_, arrived_;
  std::vector<std::vector<Seen>> lists_;
};

// Of one copy of the model: that a shorter order with its window run `more` times again is the longer order.
void expect_window_stands_for_more(const Strategy& s, bool blocking) {
  const int period = order_period(s), shortest = shortest_order(s, kept_windows(s) + 1);
  const StagePlacement place = placement(s);
  const PipelineOrder order = pipeline_order(s, shortest);
  const RepeatedOps ops = repeated_ops(order, place, shortest, blocking, period);
  ASSERT_TRUE(ops.repeats()) << "schedule " << static_cast<int>(s.schedule) << " pp " << s.pp << " vpp " << s.vpp
                             << " blocking " << blocking;
  for (int more : {0, 1, 5}) {
    Checked run(place);
    for (const auto& list : ops.before)
      for (const PassOp& op : list) run.run(op, 0);
    for (int i = 0; i <= more; ++i)
      for (const PassOp& op : ops.window) run.run(op, i * ops.later);
    for (const auto& list : ops.after)
      for (const PassOp& op : list) run.run(op, more * ops.later);
    Checked whole(place);
    const int m = shortest + more * period;
    walk_ops(pipeline_order(s, m), place, m, blocking, [&](const PassOp& op) { whole.run(op, 0); });
    for (std::size_t i = 0; i < whole.lists().size(); ++i) {
      EXPECT_EQ(run.lists()[i], whole.lists()[i])
          << "rank " << i / 3 << " of " << s.pp << " vpp " << s.vpp << " blocking " << blocking;
    }
  }
}

TEST(RepeatedOps, AWindowStandsForFurtherOnes) {
  for (bool blocking : {false, true}) {
    for (int pp : {1, 2, 3, 8}) {
      Strategy s;
      s.pp = pp;
      expect_window_stands_for_more(s, blocking && pp > 1);
      if (pp == 1) continue;
      for (int vpp : {2, 3}) {
        s.vpp = vpp;
        expect_window_stands_for_more(s, blocking);
      }
    }
  }
  for (PipelineSchedule schedule :
       {PipelineSchedule::ZbH1, PipelineSchedule::ZbH2, PipelineSchedule::ZbV, PipelineSchedule::VMin}) {
    Strategy s;
    s.schedule = schedule, s.pp = 4;
    s.vpp = schedule == PipelineSchedule::ZbV || schedule == PipelineSchedule::VMin ? 2 : 1;
    expect_window_stands_for_more(s, false);
  }
}

// Everything that is read after the window and was there before is pending, nothing else.
TEST(RepeatedOps, PendingIsWhatIsReadLater) {
  Strategy s;
  s.pp = 4, s.vpp = 2;
  const int m = shortest_order(s, kept_windows(s) + 1);
  const RepeatedOps ops = repeated_ops(pipeline_order(s, m), placement(s), m, false, order_period(s));
  std::set<std::tuple<bool, int, int>> carried, expected, pending;
  const auto carry = [&](const PassOp& op) {
    if (op.to >= 0) carried.insert({op.forward, op.to, op.micro_batch});
  };
  for (const auto& list : ops.before)
    for (const PassOp& op : list) carry(op);
  for (const PassOp& op : ops.window) carry(op);
  for (const auto& list : ops.after) {
    for (const PassOp& op : list) {
      if (op.op == PassOpKind::Pass && carried.count({op.forward, op.stage, op.micro_batch}))
        expected.insert({op.forward, op.stage, op.micro_batch});
    }
  }
  for (const RepeatedOps::Arrival& a : ops.pending) pending.insert({a.forward, a.stage, a.micro_batch});
  EXPECT_EQ(pending, expected);
  EXPECT_GT(pending.size(), 0u);
}

TEST(RepeatedOps, AWaveTurnsWithoutATransfer) {
  Strategy s;
  s.schedule = PipelineSchedule::ZbV, s.pp = 2, s.vpp = 2;
  std::map<PassOpKind, int> kinds;
  int sent = 0;
  walk_ops(pipeline_order(s, 4), placement(s), 4, false, [&](const PassOp& op) {
    ++kinds[op.op];
    sent += op.op == PassOpKind::Pass && op.to >= 0;
    if (op.op == PassOpKind::Turn) {
      EXPECT_EQ(op.rank, placement(s).rank_of(op.to));
    }
  });
  EXPECT_EQ(kinds[PassOpKind::Turn], 2 * 4);  // at the last rank, both ways
  EXPECT_EQ(sent, 2 * 2 * 4);                 // two further boundaries
  EXPECT_EQ(kinds[PassOpKind::Send], 0);      // no pair of passes runs as one
  EXPECT_EQ(kinds[PassOpKind::Meet], 0);
}

TEST(RepeatedOps, WhatHasNoPeriodDoesNotRepeat) {
  Strategy s;
  s.pp = 4, s.schedule = PipelineSchedule::GPipe;
  EXPECT_FALSE(repeated_ops(pipeline_order(s, 64), placement(s), 64, false, order_period(s)).repeats());
  s.schedule = PipelineSchedule::OneFOneB;
  EXPECT_FALSE(repeated_ops(pipeline_order(s, 4), placement(s), 4, false, order_period(s)).repeats());  // too short
}

}  // namespace

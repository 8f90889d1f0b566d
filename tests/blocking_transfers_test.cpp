#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "engine/timeline.hpp"
#include "error.hpp"
#include "schedule/blocking_walk.hpp"
#include "schedule/custom_order.hpp"
#include "step_plans.hpp"

namespace {

using namespace dts;
using test::even_pipeline;
using test::HandPlan;

double step_s(HandPlan& hand, double transfer_s, bool blocking) {
  for (StageComm& comm : hand.plan.comm) comm.send_forward_s = comm.send_backward_s = transfer_s;
  hand.plan.blocking_p2p = blocking;
  return execute(build_folded(hand.plan).program).makespan_s;
}

// Forward 1, backward 2, transfer 0.5.
//   rank 0   F0 0-1, sends to 1.5, F1 1.5-2.5, exchange 4.5-5, B0 5-7, receives at 8.5, B1 8.5-10.5
//   rank 1   F0 1.5-2.5, B0 2.5-4.5, exchange 4.5-5, F1 5-6, B1 6-8, sends to 8.5
TEST(BlockingTransfers, TwoStagesByHand) {
  HandPlan hand = even_pipeline(2, 1, 2);
  EXPECT_DOUBLE_EQ(step_s(hand, 0.5, true), 10.5);
  EXPECT_DOUBLE_EQ(step_s(hand, 0.5, false), 10);
}

// GPipe on two stages: rank 1 sends B0 before it computes B1, so B1 waits for the transfer.
//   rank 0   F0 0-1, to 1.5, F1 1.5-2.5, to 3, B0 6.5-8.5, B1 9-11
//   rank 1   F0 1.5-2.5, F1 3-4, B0 4-6, to 6.5, B1 6.5-8.5, to 9
TEST(BlockingTransfers, LikePassesMeetOneAfterTheOther) {
  HandPlan hand = even_pipeline(2, 1, 2);
  hand.plan.order = gpipe(2, 2);
  EXPECT_DOUBLE_EQ(step_s(hand, 0.5, true), 11);
}

// Weight gradients run beside no transfer, yet before the pass whose input has come: forward 1, input gradient 1,
// weight gradient 1, transfer 0.5.
//   rank 0   F0 0-1, to 1.5, F1 1.5-2.5, exchange 3.5-4, B0 4-5, W0 5-6, receives at 7.5, B1 7.5-8.5, W1 8.5-9.5
//   rank 1   F0 1.5-2.5, B0 2.5-3.5, exchange 3.5-4, W0 4-5, F1 5-6, B1 6-7, to 7.5, W1 7.5-8.5
TEST(BlockingTransfers, WeightGradientsFollowTheExchange) {
  HandPlan hand = even_pipeline(2, 1, 2);
  hand.plan.order = delay_weight_gradients(one_f_one_b(2, 2));
  EXPECT_DOUBLE_EQ(step_s(hand, 0.5, true), 9.5);
}

// What is exchanged, and when, is the same with weight gradients of their own: no order that runs comes to deadlock.
TEST(BlockingTransfers, DelayedWeightGradientsNeverDeadlock) {
  for (int pp = 2; pp <= 6; ++pp) {
    for (int vpp = 1; vpp <= 4; ++vpp) {
      for (int m = pp; m <= 3 * pp; m += pp) {
        HandPlan hand = even_pipeline(pp, vpp, m);
        const double whole_s = step_s(hand, 0.25, true);
        hand.plan.order = delay_weight_gradients(hand.plan.order);
        const double delayed_s = step_s(hand, 0.25, true);
        EXPECT_GE(delayed_s, step_s(hand, 0.25, false)) << pp << ' ' << vpp << ' ' << m;
        if (vpp > 1) continue;
        EXPECT_LE(delayed_s, whole_s) << pp << ' ' << m;
      }
    }
  }
}

TEST(BlockingTransfers, InterleavedExchangesAfterEachPair) {
  HandPlan hand = even_pipeline(2, 2, 4);
  BlockingWalk walk(hand.plan.order, hand.plan.placement(), 4);
  std::vector<std::size_t> sizes;
  walk.run([](int, int, const Pass&) {}, [](const Transfer&, const Released&) {},
           [&](int rank, const std::vector<Transfer>& group) {
             if (rank == 1) sizes.push_back(group.size());
           });
  EXPECT_EQ(*std::max_element(sizes.begin(), sizes.end()), 4u);  // a forward and a backward each way
}

TEST(BlockingTransfers, WholePassOrdersNeverDeadlockAndNeverGain) {
  for (int pp = 2; pp <= 6; ++pp) {
    for (int vpp = 1; vpp <= 3; ++vpp) {
      for (int m = pp; m <= 3 * pp; m += pp) {
        HandPlan hand = even_pipeline(pp, vpp, m);
        EXPECT_DOUBLE_EQ(step_s(hand, 0, true) >= step_s(hand, 0, false) - 1e-9, true);
        const double blocking = step_s(hand, 0.25, true), overlapped = step_s(hand, 0.25, false);
        EXPECT_GE(blocking, overlapped - 1e-9) << pp << ' ' << vpp << ' ' << m;
        if (vpp > 1) continue;
        hand.plan.order = gpipe(pp, m);
        EXPECT_GE(step_s(hand, 0.25, true), step_s(hand, 0.25, false) - 1e-9);
      }
    }
  }
}

TEST(BlockingTransfers, NothingLostWhereTransfersAreFree) {
  for (int pp = 2; pp <= 4; ++pp) {
    HandPlan hand = even_pipeline(pp, 1, 4 * pp);
    EXPECT_DOUBLE_EQ(step_s(hand, 0, true), step_s(hand, 0, false)) << pp;
  }
}

// Both ranks want to send first: rank 0 its second activation, rank 1 its first gradient.
TEST(BlockingTransfers, DeadlockNamesBothRanks) {
  HandPlan hand = even_pipeline(2, 1, 2);
  hand.plan.order = parse_order({"F0 F1 B0 B1", "F0 B0 F1 B1"});
  EXPECT_NO_THROW(step_s(hand, 0.5, true));
  hand.plan.order = parse_order({"F0 F1 B0 B1", "F0 B0 F1 B1"});
  hand.plan.order = parse_order({"F0 B0 F1 B1", "F0 F1 B0 B1"});
  try {
    step_s(hand, 0.5, true);
    FAIL();
  } catch (const ConfigError& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("pipeline rank 0: got stuck receiving the output of B0.0 from rank 1"), std::string::npos)
        << text;
    EXPECT_NE(text.find("pipeline rank 1: got stuck receiving the output of F1.0 from rank 0"), std::string::npos)
        << text;
  }
}

}  // namespace

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "engine/timeline.hpp"
#include "error.hpp"
#include "expanded.hpp"
#include "step_plans.hpp"

namespace {

using namespace dts;
using test::build_expanded;
using test::even_pipeline;
using test::HandPlan;
using test::sharded_stage;

double folded_s(const HandPlan& hand) { return execute(build_folded(hand.plan).program).makespan_s; }

RankGrid grid_of(int tp, int dp, int pp, int cp = 1, int ep = 1) {
  Strategy s;
  s.tp = tp, s.dp = dp, s.pp = pp, s.cp = cp, s.ep = ep;
  return RankGrid(s);
}

double expanded_s(const HandPlan& hand, const RankGrid& grid, std::vector<double> slowdown = {}) {
  return execute(build_expanded(hand.plan, grid, std::move(slowdown)).program).makespan_s;
}

template <class Step>
std::vector<double> ends(const Step& step, TaskKind kind) {
  const Timeline t = execute(step.program);
  std::vector<double> list;
  for (TaskId id = 0; id < step.tasks.size(); ++id) {
    if (step.tasks[id].kind == kind) list.push_back(t.end_s[id]);
  }
  return list;
}

TEST(StepProgram, EqualStagesTakeMPlusPMinusOneSlots) {
  // Narayanan et al. arXiv:2104.04473 §2.2: (m + p - 1)(F + B) for 1F1B and for GPipe.
  for (int pp = 1; pp <= 6; ++pp) {
    for (int m = 1; m <= 9; ++m) {
      HandPlan hand = even_pipeline(pp, 1, m);
      EXPECT_EQ(folded_s(hand), (m + pp - 1) * 3) << pp << " " << m;
      hand.plan.order = gpipe(pp, m);
      EXPECT_EQ(folded_s(hand), (m + pp - 1) * 3) << pp << " " << m;
    }
  }
}

TEST(StepProgram, InterleavingDividesTheBubble) {
  // m v chunk passes plus a bubble of (p - 1) chunk passes: the bubble time is (p - 1)(F + B) / v of a whole stage.
  for (int pp = 2; pp <= 4; ++pp) {
    for (int vpp = 2; vpp <= 4; ++vpp) {
      for (int m = pp; m <= 3 * pp; m += pp) {
        EXPECT_EQ(folded_s(even_pipeline(pp, vpp, m)), m * vpp * 3 + (pp - 1) * 3) << pp << " " << vpp << " " << m;
      }
    }
  }
}

TEST(StepProgram, TheSlowestStageSetsThePace) {
  // Three stages, the middle one twice as slow: F 1 2 1, B 2 4 2; m = 4. It starts at 1, waits once for the first
  // gradient (5-6: the last stage's F and B take 3, its own second F hides 2), works 4 x 6, and the first stage drains
  // in 2.
  HandPlan hand = even_pipeline(3, 1, 4);
  hand.plan.stages[1].blocks[0] = &hand.block(2, 4);
  EXPECT_EQ(folded_s(hand), 1 + 1 + 4 * 6 + 2);
}

TEST(StepProgram, TransfersDelayTheNextStage) {
  HandPlan hand = even_pipeline(2, 1, 1);
  hand.plan.comm[0].send_forward_s = 10;
  hand.plan.comm[1].send_backward_s = 100;
  EXPECT_EQ(folded_s(hand), 1 + 10 + 1 + 2 + 100 + 2);
  EXPECT_EQ(ends(build_folded(hand.plan), TaskKind::PipelineSend), (std::vector<double>{11, 114}));
}

TEST(StepProgram, TransfersRunBesideCompute) {
  // Stage 0 computes F1 while F0's output travels: 0-1 F0, 1-2 F1 | send 1-2, stage 1 F0 2-3 ...
  HandPlan hand = even_pipeline(2, 1, 2);
  hand.plan.comm[0].send_forward_s = 1;
  // Stage 1: F0 2-3, B0 3-5, F1 5-6, B1 6-8; stage 0: B0 5-7, B1 8-10.
  EXPECT_EQ(folded_s(hand), 10);
}

TEST(StepProgram, GradientsOverlapTheLastBackward) {
  // Three blocks, F 1 B 2, two micro-batches: compute 18, the last backward's pieces end at 14, 16, 18.
  HandPlan hand = sharded_stage(3, 2, 0, 1, 2, 0, 1);
  EXPECT_EQ(folded_s(hand), 19);  // all but the last reduction hides
  EXPECT_EQ(ends(build_folded(hand.plan), TaskKind::GradReduce), (std::vector<double>{15, 17, 19}));
  hand = sharded_stage(3, 2, 0, 1, 2, 0, 5);
  EXPECT_EQ(folded_s(hand), 14 + 15);  // back to back from the first gradient on
  hand.plan.overlap_grad_reduce = false;
  EXPECT_EQ(folded_s(hand), 18 + 15);
}

TEST(StepProgram, ZeroTwoReducesEveryMicroBatch) {
  HandPlan hand = sharded_stage(3, 2, 2, 1, 2, 0, 1);
  EXPECT_EQ(ends(build_folded(hand.plan), TaskKind::GradReduce).size(), 6u);
  hand.plan.zero = 1;
  EXPECT_EQ(ends(build_folded(hand.plan), TaskKind::GradReduce).size(), 3u);
}

TEST(StepProgram, ZeroOneGathersBeforeTheFirstForwardOrAfterTheUpdate) {
  HandPlan hand = sharded_stage(3, 1, 1, 2, 4, 1, 0);
  // Overlapped: only the first gather is waited for; 3 x 2 forward, 3 x 4 backward. Waiting for a bucket launches the
  // next one: the third starts when forward reaches the second, at 3.
  EXPECT_EQ(folded_s(hand), 1 + 6 + 12);
  EXPECT_EQ(ends(build_folded(hand.plan), TaskKind::ParamGather), (std::vector<double>{1, 2, 4}));
  hand.plan.gather_ahead = 0;
  EXPECT_EQ(ends(build_folded(hand.plan), TaskKind::ParamGather), (std::vector<double>{1, 2, 3}));
  hand.plan.overlap_param_gather = false;
  EXPECT_EQ(folded_s(hand), 6 + 12 + 3);
  EXPECT_EQ(ends(build_folded(hand.plan), TaskKind::ParamGather), (std::vector<double>{19, 20, 21}));
}

TEST(StepProgram, ZeroThreeGathersOneBlockAhead) {
  // Two blocks, F 1 B 2, gather 1. Gathers 0-1, 1-2; forward 1-2, 2-3. The last block is still there: backward 3-5
  // while the first is gathered again 3-4; backward 5-7.
  HandPlan hand = sharded_stage(2, 1, 3, 1, 2, 1, 0);
  EXPECT_EQ(folded_s(hand), 7);
  EXPECT_EQ(ends(build_folded(hand.plan), TaskKind::ParamGather), (std::vector<double>{1, 2, 4}));
  hand.plan.reshard_after_forward = false;
  EXPECT_EQ(ends(build_folded(hand.plan), TaskKind::ParamGather), (std::vector<double>{1, 2}));
  EXPECT_EQ(folded_s(hand), 7);
  // Three blocks, gather 10: each gather waits for the block before the last one to end, so every one is exposed.
  hand = sharded_stage(3, 1, 3, 1, 2, 10, 0);
  EXPECT_GE(folded_s(hand), 3 * 10 + 2 * 10);
}

TEST(StepProgram, ZeroThreeReducesOnceOrInEveryMicroBatch) {
  HandPlan hand = sharded_stage(2, 3, 3, 1, 2, 0, 1);
  hand.plan.reduce_every_micro_batch = true;
  EXPECT_EQ(ends(build_folded(hand.plan), TaskKind::GradReduce).size(), 6u);
  hand.plan.reduce_every_micro_batch = false;
  EXPECT_EQ(ends(build_folded(hand.plan), TaskKind::GradReduce).size(), 2u);
}

TEST(StepProgram, EveryStageMeetsBeforeTheUpdate) {
  HandPlan hand = even_pipeline(2, 1, 1);
  hand.plan.optimizer_s = {5, 7};
  // Stage 1 ends its backward at 4, stage 0 at 6; both update from 6 on.
  EXPECT_EQ(ends(build_folded(hand.plan), TaskKind::Optimizer), (std::vector<double>{11, 13}));
  EXPECT_EQ(folded_s(hand), 13);
}

TEST(StepProgram, TiedEmbeddingsAreReducedBetweenFirstAndLastStage) {
  HandPlan hand = even_pipeline(3, 1, 1);
  hand.plan.tied_reduce_s = 10;
  EXPECT_EQ(ends(build_folded(hand.plan), TaskKind::TiedReduce), (std::vector<double>{9 + 10}));
  EXPECT_EQ(folded_s(hand), 19);
}

TEST(StepProgram, AnOrderThatCannotRunIsADeadlock) {
  HandPlan hand = even_pipeline(2, 1, 2);
  const auto swap_at = [&](std::size_t rank) {
    hand.plan.order.change([&](PipelineOrder& order) { std::swap(order[rank][1], order[rank][2]); });
  };
  swap_at(0);  // F0 B0 F1 B1: waits for a gradient of stage 1
  swap_at(1);  // F0 F1 B0 B1: waits for an output of stage 0
  try {
    build_folded(hand.plan);
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("deadlock"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("rank 0"), std::string::npos) << error.what();
  }
}

TEST(StepProgram, ExpandedAgreesWithFolded) {
  for (int pp : {1, 2, 3}) {
    for (int vpp = 1; vpp <= (pp > 1 ? 2 : 1); ++vpp) {
      HandPlan hand = even_pipeline(pp, vpp, 2 * pp, 1.5, 2.25);
      for (StageComm& comm : hand.plan.comm) {
        comm.send_forward_s = comm.send_backward_s = 0.125;
        StageComm::Unit unit;
        unit.end = 1, unit.gather_s = 0.5, unit.reduce_s = 0.75;
        comm.units = {unit};
      }
      for (std::size_t r = 0; r < hand.plan.optimizer_s.size(); ++r)
        hand.plan.optimizer_s[r] = 0.25 * static_cast<double>(r + 1);
      hand.plan.tied_reduce_s = pp > 1 ? 1 : 0;
      for (int zero : {0, 1, 2, 3}) {
        hand.plan.zero = zero;
        const double folded = folded_s(hand);
        EXPECT_EQ(expanded_s(hand, grid_of(1, 4, pp)), folded);
        EXPECT_EQ(expanded_s(hand, grid_of(2, 2, pp, 2)), folded);
        EXPECT_EQ(expanded_s(hand, grid_of(1, 4, pp, 1, 2)), folded);
      }
    }
  }
}

TEST(StepProgram, ExpandedRanksEachHaveTheirStreams) {
  HandPlan hand = even_pipeline(2, 1, 1);
  const test::Expanded step = build_expanded(hand.plan, grid_of(2, 3, 2));
  EXPECT_EQ(step.program.streams(), 12u * kStreamsPerRank);
  // A forward and a backward per replica (tp ranks together) and stage.
  EXPECT_EQ(ends(step, TaskKind::Forward).size(), 6u);
  EXPECT_EQ(ends(step, TaskKind::Backward).size(), 6u);
  EXPECT_EQ(ends(step, TaskKind::Optimizer).size(), 6u);
  // Each rank sends its own share of the boundary tensor.
  EXPECT_EQ(ends(step, TaskKind::PipelineSend).size(), 2u * 6u);
}

TEST(StepProgram, ASlowRankHoldsUpItsReplicaAndTheReduction) {
  HandPlan hand = sharded_stage(1, 1, 0, 1, 2, 0, 1);
  const std::vector<double> slowdown{1, 1, 2, 1};  // rank 2 = first rank of replica 1 (tp 2)
  const test::Expanded step = build_expanded(hand.plan, grid_of(2, 2, 1), slowdown);
  EXPECT_EQ(ends(step, TaskKind::Backward), (std::vector<double>{3, 6}));
  EXPECT_EQ(ends(step, TaskKind::GradReduce), (std::vector<double>{7, 7}));
  // Replicas coupled by experts (ep 4 over tp 2 x dp 2) run their passes together.
  EXPECT_EQ(ends(build_expanded(hand.plan, grid_of(2, 2, 1, 1, 4), slowdown), TaskKind::Backward),
            (std::vector<double>{6}));
  // Experts over neighbouring replicas couple those, whatever the order of axes.
  Strategy s;
  s.dp = 4, s.ep = 2;
  EXPECT_EQ(ends(build_expanded(hand.plan, RankGrid(s), {1, 2, 1, 1}), TaskKind::Backward),
            (std::vector<double>{6, 3}));
}

TEST(StepProgram, SlowRanksStretchTheStepByAtMostTheirFactor) {
  for (int slow = 0; slow < 8; ++slow) {
    HandPlan hand = even_pipeline(2, 1, 4);
    for (StageComm& comm : hand.plan.comm) comm.send_forward_s = comm.send_backward_s = 0.5;
    const double even = expanded_s(hand, grid_of(2, 2, 2));
    std::vector<double> slowdown(8, 1);
    slowdown[static_cast<std::size_t>(slow)] = 1.5;
    const double uneven = expanded_s(hand, grid_of(2, 2, 2), slowdown);
    EXPECT_GT(uneven, even);
    EXPECT_LE(uneven, 1.5 * even);
    EXPECT_EQ(expanded_s(hand, grid_of(2, 2, 2), std::vector<double>(8, 1)), even);
  }
}

}  // namespace

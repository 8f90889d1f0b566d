#include "step/account/breakdown.hpp"

#include <gtest/gtest.h>

#include "engine/timeline.hpp"
#include "step_plans.hpp"

namespace {

using namespace dts;
using test::break_down;
using test::even_pipeline;
using test::HandPlan;
using test::sharded_stage;

std::vector<Breakdown> folded(const HandPlan& hand, double fixed_s = 0) {
  const StepProgram step = build_folded(hand.plan);
  return break_down(hand.plan, step, execute(step.program), fixed_s);
}

void expect_sums(const HandPlan& hand) {
  const StepProgram step = build_folded(hand.plan);
  const Timeline t = execute(step.program);
  for (const Breakdown& b : break_down(hand.plan, step, t, 0.5)) EXPECT_NEAR(b.total_s(), t.makespan_s + 0.5, 1e-12);
}

TEST(Breakdown, OneStage) {
  HandPlan hand = even_pipeline(1, 1, 3);
  hand.plan.optimizer_s = {4};
  const std::vector<Breakdown> b = folded(hand, 7);
  ASSERT_EQ(b.size(), 1u);
  EXPECT_EQ(b[0].forward_s, 3);
  EXPECT_EQ(b[0].backward_s, 6);
  EXPECT_EQ(b[0].optimizer_s, 4);
  EXPECT_EQ(b[0].fixed_s, 7);
  EXPECT_EQ(b[0].total_s(), 20);
}

TEST(Breakdown, TheBubbleOfAPipeline) {
  // (p - 1)(F + B) = 9 of each stage is bubble, wherever it falls.
  const std::vector<Breakdown> b = folded(even_pipeline(4, 1, 8));
  for (const Breakdown& stage : b) {
    EXPECT_EQ(stage.forward_s, 8);
    EXPECT_EQ(stage.backward_s, 16);
    EXPECT_EQ(stage.pipeline_s, 9);
  }
  for (const Breakdown& stage : folded(even_pipeline(4, 2, 8))) EXPECT_EQ(stage.pipeline_s, 9);  // of 48 instead of 24
}

TEST(Breakdown, TransfersCountAsPipeline) {
  HandPlan hand = even_pipeline(2, 1, 1);
  hand.plan.comm[0].send_forward_s = 10;
  const std::vector<Breakdown> b = folded(hand);
  EXPECT_EQ(b[0].pipeline_s, 10 + 1 + 2);  // waits for F1, B1 and the transfer
  EXPECT_EQ(b[1].pipeline_s, 1 + 10 + 2);
}

TEST(Breakdown, ExposedDataParallelTimeIsWhatHidesNowhere) {
  EXPECT_EQ(folded(sharded_stage(3, 2, 0, 1, 2, 0, 1))[0].exposed_dp_s, 1);
  EXPECT_EQ(folded(sharded_stage(3, 2, 0, 1, 2, 0, 5))[0].exposed_dp_s, 11);
  HandPlan hand = sharded_stage(3, 1, 1, 2, 4, 1, 0);
  EXPECT_EQ(folded(hand)[0].exposed_dp_s, 1);
  hand.plan.overlap_param_gather = false;
  EXPECT_EQ(folded(hand)[0].exposed_dp_s, 3);  // after the update
  hand = sharded_stage(2, 1, 3, 1, 2, 1, 0);
  EXPECT_EQ(folded(hand)[0].exposed_dp_s, 1);
}

TEST(Breakdown, WithinPassesByAxis) {
  HandPlan hand = even_pipeline(1, 1, 2);
  BlockCost& block = *hand.blocks.front();
  const auto set = [](PassCost& pass, Axis axis, double s) { pass.exposed_s[static_cast<std::size_t>(axis)] = s; };
  set(block.forward, Axis::TP, 0.25), set(block.backward, Axis::TP, 0.5), set(block.recompute, Axis::TP, 0.125);
  set(block.forward, Axis::CP, 1), set(block.backward, Axis::EP, 2), set(block.backward, Axis::ETP, 4);
  block.recompute.compute_s = 0.5, block.backward.host_s = 0.75;
  block.forward.total_s = 1 + 0.25 + 1, block.recompute.total_s = 0.5 + 0.125,
  block.backward.total_s = 2 + 0.5 + 6 + 0.75;
  const Breakdown b = folded(hand)[0];
  EXPECT_EQ(b.forward_s, 2);
  EXPECT_EQ(b.backward_s, 4);
  EXPECT_EQ(b.recompute_s, 1);
  EXPECT_EQ(b.exposed_tp_s, 2 * 0.875);
  EXPECT_EQ(b.exposed_cp_s, 2);
  EXPECT_EQ(b.exposed_ep_s, 12);
  EXPECT_EQ(b.host_s, 1.5);
  expect_sums(hand);
}

TEST(Breakdown, SumsForUnevenShardedPipelines) {
  for (int zero : {0, 1, 2, 3}) {
    for (bool overlap : {false, true}) {
      HandPlan hand = even_pipeline(3, 2, 6, 0.7, 1.9);
      hand.plan.stages[2].blocks[0] = &hand.block(1.3, 2.2);
      for (StageComm& comm : hand.plan.comm) {
        StageComm::Unit unit;
        unit.end = 1, unit.gather_s = 0.4, unit.reduce_s = 0.9;
        comm.units = {unit};
        comm.send_forward_s = comm.send_backward_s = 0.3;
      }
      hand.plan.zero = zero, hand.plan.overlap_grad_reduce = hand.plan.overlap_param_gather = overlap;
      hand.plan.optimizer_s = {0.1, 0.6, 0.2};
      hand.plan.tied_reduce_s = 1.1;
      expect_sums(hand);
    }
  }
}

TEST(Breakdown, WaitForASlowerUpdateIsPipeline) {
  HandPlan hand = even_pipeline(2, 1, 1);
  hand.plan.optimizer_s = {5, 7};
  const std::vector<Breakdown> b = folded(hand);
  EXPECT_EQ(b[0].pipeline_s, 3 + 2);
  EXPECT_EQ(b[1].pipeline_s, 3);
}

TEST(Breakdown, AddWeighsEveryPart) {
  Breakdown one;
  one.forward_s = 1, one.backward_s = 2, one.recompute_s = 3, one.optimizer_s = 4, one.exposed_tp_s = 5;
  one.exposed_cp_s = 6, one.exposed_ep_s = 7, one.exposed_dp_s = 8, one.pipeline_s = 9, one.host_s = 10,
  one.fixed_s = 11;
  EXPECT_EQ(one.total_s(), 66);
  Breakdown mean;
  mean.add(one, 0.5), mean.add(one, 0.5);
  EXPECT_EQ(mean.total_s(), 66);
  EXPECT_EQ(mean.exposed_dp_s, 8);
  EXPECT_EQ(mean.fixed_s, 11);
}

}  // namespace

#include "step/account/exposure.hpp"

#include <gtest/gtest.h>

#include "step_plans.hpp"

namespace {

using namespace dts;
using test::even_pipeline;
using test::HandPlan;
using test::sharded_stage;

std::vector<StageTraffic> exposure(const HandPlan& hand) {
  const StepProgram step = build_folded(hand.plan);
  const std::vector<const StepPlan*> plans{&hand.plan};
  const RankPrices prices(hand.plan.order.size());
  const Timeline t = execute(step.program);
  ExposureLists lists;
  ExposureRecorder recorder(plans, prices, lists);
  PassCounts counts;
  for (TaskId task = 0; task < step.tasks.size(); ++task) {
    if (step.tasks[task].pass_class >= 0) counts.add(step.tasks[task].pass_class);
    recorder.visit(step.tasks[task],
                   {&t.start_s[task], &t.end_s[task], step.program.duration_of(task), &t.cause[task], 1});
  }
  return recorder.finish(counts, {&step.pass_classes});
}

const AxisTime& of(const StageTraffic& stage, CommAxis axis) { return stage[static_cast<std::size_t>(axis)]; }

TEST(Exposure, ReductionsHideBehindTheLastBackward) {
  // Backward pieces end at 14, 16, 18; reductions of 1: 14-15 and 16-17 run beside compute, 18-19 does not.
  AxisTime dp = of(exposure(sharded_stage(3, 2, 0, 1, 2, 0, 1))[0], CommAxis::DP);
  EXPECT_EQ(dp.total_s, 3);
  EXPECT_EQ(dp.exposed_s, 1);
  // Of 5 each, back to back from 14 to 29: 4 hide.
  dp = of(exposure(sharded_stage(3, 2, 0, 1, 2, 0, 5))[0], CommAxis::DP);
  EXPECT_EQ(dp.total_s, 15);
  EXPECT_EQ(dp.exposed_s, 11);
}

TEST(Exposure, ATransferCountsWhereItArrives) {
  // F0 0-1 on stage 0, sent 1-11; stage 1 F0 11-12 B0 12-14, sent 14-114.
  HandPlan hand = even_pipeline(2, 1, 1);
  hand.plan.comm[0].send_forward_s = 10;
  hand.plan.comm[1].send_backward_s = 100;
  const std::vector<StageTraffic> e = exposure(hand);
  EXPECT_EQ(of(e[1], CommAxis::PP).total_s, 10);
  EXPECT_EQ(of(e[1], CommAxis::PP).exposed_s, 10);
  EXPECT_EQ(of(e[0], CommAxis::PP).total_s, 100);
}

TEST(Exposure, TransfersBesideComputeAreHidden) {
  // Two micro-batches, transfers of 1 forward: F0's arrives on stage 1 at 2; F1's travels 2-3, beside F0 2-3.
  HandPlan hand = even_pipeline(2, 1, 2);
  hand.plan.comm[0].send_forward_s = 1;
  const AxisTime pp = of(exposure(hand)[1], CommAxis::PP);
  EXPECT_EQ(pp.total_s, 2);
  EXPECT_EQ(pp.exposed_s, 1);
}

TEST(Exposure, InsidePassesByAxis) {
  HandPlan hand = even_pipeline(1, 1, 2);
  BlockCost& block = *hand.blocks.front();
  block.forward.comm_s[static_cast<std::size_t>(Axis::TP)] = 0.5;
  block.forward.exposed_s[static_cast<std::size_t>(Axis::TP)] = 0.25;
  block.backward.comm_s[static_cast<std::size_t>(Axis::ETP)] = 2;
  block.recompute.comm_s[static_cast<std::size_t>(Axis::EP)] = 1;
  const StageTraffic e = exposure(hand)[0];
  EXPECT_EQ(of(e, CommAxis::TP).total_s, 1);
  EXPECT_EQ(of(e, CommAxis::TP).exposed_s, 0.5);
  EXPECT_EQ(of(e, CommAxis::EP).total_s, 6);
  EXPECT_EQ(of(e, CommAxis::EP).exposed_s, 0);
}

TEST(Exposure, GradientsOfBothEndsCountOnBoth) {
  HandPlan hand = even_pipeline(3, 1, 1);
  hand.plan.tied_reduce_s = 10;
  const std::vector<StageTraffic> e = exposure(hand);
  EXPECT_EQ(of(e[0], CommAxis::DP).total_s, 10);
  EXPECT_EQ(of(e[1], CommAxis::DP).total_s, 0);
  EXPECT_EQ(of(e[2], CommAxis::DP).total_s, 10);
}

}  // namespace

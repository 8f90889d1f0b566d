// Schedules inside a step: plans with stated pass times.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "engine/timeline.hpp"
#include "error.hpp"
#include "step/account/breakdown.hpp"
#include "step_plans.hpp"

namespace {

using namespace dts;
using test::break_down;

struct Plan {
  StepPlan plan;
  std::vector<std::unique_ptr<BlockCost>> blocks;

  // One block per virtual stage: forward 2 s, input gradient 3 s, weight gradient 1 s, backward 4 s.
  Plan(PipelineOrder order, StageMap map, int chunks, int micro_batches) {
    plan.micro_batches = micro_batches;
    plan.order = std::move(order);
    plan.stage_map = map;
    plan.optimizer_s.assign(plan.order.size(), 0);
    for (std::size_t v = 0; v < plan.order.size() * static_cast<std::size_t>(chunks); ++v) {
      BlockCost& b = *blocks.emplace_back(std::make_unique<BlockCost>());
      b.forward.total_s = b.forward.compute_s = 2;
      b.data_grad.total_s = b.data_grad.compute_s = 3;
      b.weight_grad.total_s = b.weight_grad.compute_s = 1;
      b.backward.total_s = b.backward.compute_s = 4;
      plan.stages.push_back({{&b}});
      plan.comm.emplace_back();
    }
  }
};

long count(const StepProgram& step, TaskKind kind) {
  return std::count_if(step.tasks.begin(), step.tasks.end(), [&](const TaskInfo& t) { return t.kind == kind; });
}

TEST(SplitStep, WeightGradientsAreTasksOfTheirOwn) {
  const Plan p(zero_bubble(2, 3, 1), StageMap::Loop, 1, 3);
  const StepProgram step = build_folded(p.plan);
  EXPECT_EQ(count(step, TaskKind::WeightGrad), 6);
  EXPECT_EQ(count(step, TaskKind::InputGrad), 6);
  EXPECT_EQ(count(step, TaskKind::Backward), 0);
  // (p-1)(F+B-W) over the work of one rank.
  EXPECT_DOUBLE_EQ(execute(step.program).makespan_s, 3 * 6 + (2 + 3 - 1));
  const auto parts = break_down(p.plan, step, execute(step.program), 0);
  EXPECT_DOUBLE_EQ(parts[0].forward_s, 6);
  EXPECT_DOUBLE_EQ(parts[0].backward_s, 12);
  EXPECT_DOUBLE_EQ(parts[0].pipeline_s, 4);
}

TEST(SplitStep, GradientsLeaveAfterTheLastWeightGradientOfTheStage) {
  for (const bool reversed : {false, true}) {  // breadth first ends with micro-batch 0
    Plan p(reversed ? looped_bfs(2, 1, 4) : zero_bubble(2, 4, 2), StageMap::Loop, 1, 4);
    for (StageComm& comm : p.plan.comm) {
      StageComm::Unit unit;
      unit.end = 1, unit.reduce_s = 5;
      comm.units = {unit};
    }
    const StepProgram step = build_folded(p.plan);
    EXPECT_EQ(count(step, TaskKind::GradReduce), 2);
    for (TaskId task = 0; task < step.tasks.size(); ++task) {
      if (step.tasks[task].kind != TaskKind::GradReduce) continue;
      EXPECT_EQ(step.tasks[task].micro_batch, reversed ? 0 : 3);
      step.program.for_deps(task, [&](TaskId dep) {
        EXPECT_EQ(step.tasks[dep].kind, reversed ? TaskKind::Backward : TaskKind::WeightGrad);
      });
    }
  }
}

TEST(SplitStep, ShardedParametersAreNotGatheredForWeightGradients) {
  Plan p(zero_bubble(2, 4, 1), StageMap::Loop, 1, 4);
  p.plan.zero = 3, p.plan.reduce_every_micro_batch = true;
  for (StageComm& comm : p.plan.comm) {
    StageComm::Unit unit;
    unit.end = 1, unit.gather_s = 1, unit.reduce_s = 1;
    comm.units = {unit};
  }
  const StepProgram step = build_folded(p.plan);
  EXPECT_EQ(count(step, TaskKind::ParamGather), 8);  // each forward; the only block is still there for backward
  EXPECT_EQ(count(step, TaskKind::GradReduce), 8);
}

TEST(SplitStep, TheTurnOfAVNeedsNoTransfer) {
  Plan p(zero_bubble_v(3, 5), StageMap::Wave, 2, 5);
  for (StageComm& comm : p.plan.comm) comm.send_forward_s = comm.send_backward_s = 0.5;
  const StepProgram step = build_folded(p.plan);
  EXPECT_EQ(count(step, TaskKind::PipelineSend), 5 * 2 * (6 - 1 - 1));  // five edges, one of them inside rank 2
  for (const TaskInfo& info : step.tasks) {
    if (info.kind == TaskKind::PipelineSend && info.stream == StreamKind::SendForward) {
      EXPECT_NE(info.stage, 2);
    }
  }
}

TEST(SplitStep, CopiesOfABidirectionalPipelineReduceTheirGradients) {
  Plan p(dual_pipe(4, 8), StageMap::Bidirectional, 2, 8);
  const double alone = execute(build_folded(p.plan).program).makespan_s;
  p.plan.copy_reduce_s = {3, 2, 2, 3};
  const StepProgram step = build_folded(p.plan);
  EXPECT_EQ(count(step, TaskKind::CopyReduce), 2);
  EXPECT_EQ(count(step, TaskKind::PipelineSend), 2 * 2 * 3 * 4);  // both ways, both copies, three edges, four each
  EXPECT_DOUBLE_EQ(execute(step.program).makespan_s, alone + 3);
}

// A forward of 2 s and a backward of 4 s of kernels, each with expert exchanges of `exchange` seconds exposed.
double pair_s(double exchange) {
  Plan p({{{PassKind::Forward, 0, 0},
           {PassKind::Forward, 0, 1, true},
           {PassKind::Backward, 0, 0},
           {PassKind::Backward, 0, 1}}},
         StageMap::Loop, 1, 2);
  for (PassCost* cost : {&p.blocks[0]->forward, &p.blocks[0]->backward}) {
    cost->total_s += exchange;
    cost->exposed_s[static_cast<std::size_t>(Axis::EP)] = exchange;
  }
  const StepProgram step = build_folded(p.plan);
  const Timeline timeline = execute(step.program);
  const auto parts = break_down(p.plan, step, timeline, 0);
  EXPECT_NEAR(parts[0].total_s(), timeline.makespan_s, 1e-12);
  EXPECT_NEAR(parts[0].pipeline_s, 0, 1e-12);
  return timeline.makespan_s - 6 - 2 * exchange;  // less the first forward and the last backward
}

TEST(OverlappedPair, HidesExchangesUnlessTheyAreLongerThanItsKernels) {
  EXPECT_DOUBLE_EQ(pair_s(0), 6);
  EXPECT_DOUBLE_EQ(pair_s(1), 6);
  EXPECT_DOUBLE_EQ(pair_s(3), 6);
  EXPECT_DOUBLE_EQ(pair_s(5), 10);
}

TEST(SplitStep, ADeadlockIsNamed) {
  Plan p({{{PassKind::Forward, 0, 0}, {PassKind::Backward, 0, 0}},
          {{PassKind::Backward, 0, 0}, {PassKind::Forward, 0, 0}}},
         StageMap::Loop, 1, 1);
  p.plan.order.change([](PipelineOrder& order) { std::swap(order[1][0], order[1][1]); });
  EXPECT_NO_THROW(build_folded(p.plan));
  p.plan.order.change([](PipelineOrder& order) { order[0].insert(order[0].begin(), {PassKind::Backward, 0, 0}); });
  EXPECT_THROW(build_folded(p.plan), ConfigError);
}

}  // namespace

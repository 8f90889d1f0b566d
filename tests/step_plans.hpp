// Step plans written by hand: blocks with stated times, so that a step can be worked out on paper.
#pragma once

#include <memory>
#include <vector>

#include "step/account/breakdown.hpp"
#include "step/run/period.hpp"

namespace dts::test {

// Owns the blocks its plan refers to.
struct HandPlan {
  StepPlan plan;
  std::vector<std::unique_ptr<BlockCost>> blocks;

  BlockCost& block(double forward_s, double backward_s) {
    blocks.push_back(std::make_unique<BlockCost>());
    BlockCost& b = *blocks.back();
    b.forward.total_s = b.forward.compute_s = forward_s;
    b.backward.total_s = b.backward.compute_s = backward_s;
    for (PassCost* half : {&b.data_grad, &b.weight_grad}) half->total_s = half->compute_s = backward_s / 2;
    return b;
  }
};

// pp x vpp virtual stages of one block each; forward and backward take whole seconds.
inline HandPlan even_pipeline(int pp, int vpp, int micro_batches, double forward_s = 1, double backward_s = 2) {
  HandPlan hand;
  for (int v = 0; v < pp * vpp; ++v) {
    hand.plan.stages.push_back({{&hand.block(forward_s, backward_s)}});
    hand.plan.comm.emplace_back();
  }
  hand.plan.micro_batches = micro_batches;
  hand.plan.order = interleaved(pp, vpp, micro_batches);
  hand.plan.optimizer_s.assign(static_cast<std::size_t>(pp), 0);
  return hand;
}

// One stage of `blocks` equal blocks, each with its own data-parallel collectives.
inline HandPlan sharded_stage(int blocks, int micro_batches, int zero, double forward_s, double backward_s,
                              double gather_s, double reduce_s) {
  HandPlan hand;
  StageCost stage;
  StageComm comm;
  std::vector<StageComm::Unit> units;
  for (int b = 0; b < blocks; ++b) {
    stage.blocks.push_back(&hand.block(forward_s, backward_s));
    StageComm::Unit unit;
    unit.end = static_cast<std::size_t>(b) + 1;
    unit.gather_s = zero > 0 ? gather_s : 0;
    unit.reduce_s = reduce_s;
    units.push_back(unit);
  }
  comm.units = units;
  hand.plan.stages = {stage};
  hand.plan.comm = {comm};
  hand.plan.micro_batches = micro_batches;
  hand.plan.order = one_f_one_b(1, micro_batches);
  hand.plan.optimizer_s = {0};
  hand.plan.zero = zero;
  return hand;
}

// change(unit) for so many units of the first stage.
template <class Change>
void change_units(HandPlan& hand, std::size_t count, Change change) {
  hand.plan.comm[0].units.change([&](std::vector<StageComm::Unit>& units) {
    for (std::size_t u = 0; u < count; ++u) change(units[u]);
  });
}

// Of a folded step.
inline std::vector<Breakdown> break_down(const StepPlan& plan, const StepProgram& step, const Timeline& t,
                                         double fixed_s) {
  const std::vector<const StepPlan*> plans{&plan};
  const RankPrices prices(plan.order.size());
  const RankClasses classes = RankClasses::one();
  BreakdownRecorder recorder(plans, prices, classes);
  PeriodRecorder period(plan);
  PassCounts counts;
  const std::vector<TaskKind> kinds = kinds_of(step);
  for (TaskId task = 0; task < step.tasks.size(); ++task) {
    const Instances one{&t.start_s[task], &t.end_s[task], step.program.duration_of(task), &t.cause[task], 1};
    if (step.tasks[task].pass_class >= 0) counts.add(step.tasks[task].pass_class);
    recorder.visit(step.tasks[task], one, kinds.data());
    period.visit(step.tasks[task], one);
  }
  const SpreadEnd end{t.makespan_s, t.last};
  return recorder.finish(counts, {&step.pass_classes}, {end, step.tasks[t.last]}, period.finish(end), fixed_s);
}

}  // namespace dts::test

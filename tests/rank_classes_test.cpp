#include "step/plan/rank_classes.hpp"

#include <gtest/gtest.h>

#include <random>

#include "expanded.hpp"
#include "step/plan/rank_prices.hpp"
#include "step_plans.hpp"

namespace {

using namespace dts;
using test::build_expanded;
using test::even_pipeline;
using test::HandPlan;

Strategy layout(int tp, int dp, int pp, int cp = 1, int ep = 1) {
  Strategy s;
  s.tp = tp, s.dp = dp, s.pp = pp, s.cp = cp, s.ep = ep;
  return s;
}

using Sets = std::vector<std::vector<std::uint32_t>>;

TEST(RankView, UnitsAreReplicasAndLanesAreGradientGroups) {
  const RankView view{RankGrid(layout(2, 2, 2))};
  EXPECT_EQ(view.units, (Sets{{0, 1}, {2, 3}}));
  EXPECT_EQ(view.lanes, (Sets{{0, 2}, {1, 3}}));
  EXPECT_EQ(view.rank(3, 0), 3);
  EXPECT_EQ(view.rank(3, 1), 7);
}

TEST(RankView, ExpertsJoinReplicas) {
  const RankView view{RankGrid(layout(1, 4, 1, 1, 2))};
  EXPECT_EQ(view.units, (Sets{{0, 1}, {2, 3}}));
  EXPECT_EQ(view.lanes, (Sets{{0, 1, 2, 3}}));
}

TEST(RankView, ContextParallelRanksLieInOneLane) {
  const RankView view{RankGrid(layout(1, 2, 1, 2))};
  EXPECT_EQ(view.units, (Sets{{0, 1}, {2, 3}}));
  EXPECT_EQ(view.lanes, (Sets{{0, 1, 2, 3}}));
}

TEST(RankView, StagesMayBeInterleavedWithReplicas) {
  Strategy s = layout(1, 2, 2);
  s.rank_order = "tp-cp-ep-pp-dp";  // ranks 0 1 | 2 3 are pipelines
  const RankView view{RankGrid(s)};
  EXPECT_EQ(view.rank(0, 1), 1);
  EXPECT_EQ(view.rank(1, 0), 2);
  EXPECT_EQ(view.rank(1, 1), 3);
}

RankClasses classes(const RankView& view, const Strategy& s, const std::vector<double>& slowdown) {
  RankPrices prices(static_cast<std::size_t>(s.pp), &view);
  slow_down(prices, view, slowdown);
  return prices.classes(view);
}

TEST(RankClasses, EqualRanksAreOneClass) {
  const Strategy s = layout(2, 4, 3);
  const RankView view{RankGrid(s)};
  const RankClasses c = classes(view, s, std::vector<double>(24, 1.5));
  EXPECT_EQ(c.spread.units, 1u);
  EXPECT_EQ(c.spread.lanes, 1u);
  EXPECT_EQ(c.units_in, (std::vector<double>{4}));
}

TEST(RankClasses, OneSlowRankOfAThousandMakesTwoClasses) {
  const Strategy s = layout(1, 128, 8);
  const RankView view{RankGrid(s)};
  std::vector<double> slowdown(1024, 1);
  slowdown[517] = 2;
  const RankClasses c = classes(view, s, slowdown);
  EXPECT_EQ(c.spread.units, 2u);
  EXPECT_EQ(c.spread.lanes, 1u);
  EXPECT_EQ(c.units_in, (std::vector<double>{127, 1}));
  EXPECT_EQ(c.first_unit, (std::vector<std::uint32_t>{0, 517 % 128}));
}

TEST(RankClasses, LanesThatMeetOtherUnitsSplit) {
  // Units {0} {1} {2} {3}; lanes {0 1} and {2 3}: a slow unit 3 tells the lanes apart, and so units 2 from 0 and 1.
  RankView view{RankGrid(layout(1, 4, 1))};
  view.lanes = {{0, 1}, {2, 3}}, view.lane_of = {0, 0, 1, 1};
  const RankClasses c = RankClasses::coarsest(view, {0, 0, 0, 1}, {0, 0});
  EXPECT_EQ(c.unit_class, (std::vector<std::uint32_t>{0, 0, 1, 2}));
  EXPECT_EQ(c.spread.lanes, 2u);
  EXPECT_EQ(c.spread.units_of_lane.other, (std::vector<std::uint32_t>{0, 1, 2}));
}

TEST(RankClasses, EachIsOnePerUnitAndLane) {
  const RankView view{RankGrid(layout(2, 3, 2))};
  const RankClasses c = RankClasses::each(view);
  EXPECT_EQ(c.spread.units, 3u);
  EXPECT_EQ(c.spread.lanes, 2u);
  EXPECT_EQ(c.spread.lanes_of_unit.other.size(), 6u);
}

double makespan(const HandPlan& hand, const RankPrices& prices, const RankClasses& c) {
  std::vector<StepProgram> variants;
  variants.push_back(build_folded(hand.plan));
  return run_step(variants, hand.plan.placement(), prices, c, [](TaskId, const Instances&) {}).makespan_s;
}

HandPlan drawn_plan(std::mt19937& random, const Strategy& s) {
  const auto below = [&](unsigned n) { return static_cast<double>(random() % n); };
  HandPlan hand = even_pipeline(s.pp, s.pp > 1 ? 2 : 1, 2 * s.pp, 1 + below(3), 2 + below(5));
  for (StageComm& comm : hand.plan.comm) {
    comm.send_forward_s = below(2) / 4, comm.send_backward_s = below(3) / 4;
    StageComm::Unit unit;
    unit.end = 1, unit.gather_s = below(4) / 8, unit.reduce_s = below(5) / 8;
    comm.units = {unit};
  }
  for (double& seconds : hand.plan.optimizer_s) seconds = below(4) / 4;
  hand.plan.tied_reduce_s = s.pp > 1 ? below(3) : 0;
  hand.plan.zero = static_cast<int>(random() % 4);
  hand.plan.overlap_grad_reduce = random() % 2 == 0;
  hand.plan.overlap_param_gather = random() % 2 == 0;
  return hand;
}

TEST(RankClasses, CoarsestEachAndEveryRankByItselfAgreeExactly) {
  std::mt19937 random(3);
  const auto pick = [&](std::initializer_list<int> values) { return *(values.begin() + random() % values.size()); };
  for (int trial = 0; trial < 300; ++trial) {
    Strategy s = layout(pick({1, 2}), pick({1, 2, 3, 4}), pick({1, 2, 3}), pick({1, 2}));
    if (s.dp % 2 == 0) s.ep = pick({1, 2});
    if (random() % 3 == 0) s.rank_order = "tp-cp-pp-ep-dp";
    const RankGrid grid(s);
    const RankView view(grid);
    const HandPlan hand = drawn_plan(random, s);
    std::vector<double> slowdown(static_cast<std::size_t>(grid.world()), 1);
    for (double& factor : slowdown) {
      if (random() % 4 == 0) factor = 1 + static_cast<double>(random() % 3) / 2;
    }
    RankPrices prices(static_cast<std::size_t>(s.pp), &view);
    slow_down(prices, view, slowdown);
    const double reference = execute(build_expanded(hand.plan, grid, slowdown).program).makespan_s;
    EXPECT_EQ(makespan(hand, prices, RankClasses::each(view)), reference) << trial;
    EXPECT_EQ(makespan(hand, prices, prices.classes(view)), reference) << trial;
  }
}

}  // namespace

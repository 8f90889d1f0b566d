#include <gtest/gtest.h>

#include "error.hpp"
#include "small_jobs.hpp"
#include "step/plan/variants.hpp"

namespace {

using namespace dts;

ClusterSpec four_nodes() {
  ClusterSpec c;
  c.nodes = 4;
  return c;
}

ClusterSpec with_slow_nic(ClusterSpec c, int node, double share) {
  OtherNodes slow{c.node, {node}};
  slow.node.nic_Bps *= share;
  c.others.push_back(slow);
  return c;
}

TEST(NodeKinds, AGroupIsAsSlowAsItsSlowestNode) {
  const auto even = make_interconnect(four_nodes()), uneven = make_interconnect(with_slow_nic(four_nodes(), 2, 0.25));
  const auto seconds = [](const Interconnect& n, std::vector<int> ranks) {
    return n.cost(CollectiveKind::AllReduce, 1e9, n.group(std::move(ranks))).time_s;
  };
  EXPECT_EQ(uneven->node_kinds(), 2);
  EXPECT_EQ(uneven->node_kind(15), 0);
  EXPECT_EQ(uneven->node_kind(16), 1);
  EXPECT_EQ(seconds(*uneven, {0, 8, 24}), seconds(*even, {0, 8, 24}));      // does not touch it
  EXPECT_EQ(seconds(*uneven, {16, 17, 18}), seconds(*even, {16, 17, 18}));  // stays inside it
  ClusterSpec all_slow = four_nodes();
  all_slow.node.nic_Bps *= 0.25;
  EXPECT_EQ(seconds(*uneven, {0, 8, 16}), seconds(*make_interconnect(all_slow), {0, 8, 16}));
}

TEST(NodeKinds, RulesAreChecked) {
  ClusterSpec c = with_slow_nic(four_nodes(), 4, 0.5);
  EXPECT_THROW(check_cluster(c), ConfigError);  // no such node
  c = with_slow_nic(with_slow_nic(four_nodes(), 1, 0.5), 1, 0.5);
  EXPECT_THROW(check_cluster(c), ConfigError);  // two kinds at one place
  c = with_slow_nic(four_nodes(), 1, 0.5);
  c.others[0].node.devices = 4;
  EXPECT_THROW(check_cluster(c), ConfigError);
  c = with_slow_nic(four_nodes(), 1, -1);
  EXPECT_THROW(check_cluster(c), ConfigError);
}

TEST(Variants, OnlyWhatDiffersIsPlannedAgain) {
  const ModelSpec model = test::small_llama();
  const DeviceSpec device = test::paper_device();
  Strategy s;
  s.tp = 8, s.etp = 8, s.pp = 4, s.global_batch = 4;  // a stage per node
  const RankGrid grid(s);
  const RankView view(grid);
  const auto count = [&](const ClusterSpec& c, std::vector<DeviceSpec> others) {
    const auto network = make_interconnect(c);
    const Job job{model, device, *network, s, test::bare_profile(), 64, std::move(others)};
    RankPrices prices(4, &view);
    PriceBook book;
    return plan_variants(job, grid, &view, prices, book).steps.size();
  };
  EXPECT_EQ(count(four_nodes(), {}), 1u);
  // Node 2's passes; its gradients (alone in their groups); transfers to and from it.
  EXPECT_EQ(count(with_slow_nic(four_nodes(), 2, 0.5), {device}), 4u);
}

TEST(Variants, AStageOnAFasterDeviceIsFaster) {
  const ModelSpec model = test::small_llama();
  const DeviceSpec device = test::paper_device();
  DeviceSpec twice = device;
  for (DTypeRate& rate : twice.rates) rate.peak_flops *= 2;
  twice.hbm_Bps *= 2;
  Strategy s;
  s.tp = 4, s.etp = 4, s.pp = 2, s.global_batch = 4;
  ClusterSpec c = four_nodes();
  c.nodes = 2, c.node.devices = 4;
  c.others = {{c.node, {1}}};
  const auto network = make_interconnect(c);
  const StepResult slow = simulate({model, device, *network, s, test::bare_profile(), 64, {device}});
  const StepResult fast = simulate({model, device, *network, s, test::bare_profile(), 64, {twice}});
  EXPECT_EQ(slow.stages[0].forward_s, fast.stages[0].forward_s);
  EXPECT_NEAR(slow.stages[1].forward_s, 2 * fast.stages[1].forward_s, 1e-9 * slow.stages[1].forward_s);
  EXPECT_LT(fast.step_time_s, slow.step_time_s);
  EXPECT_DOUBLE_EQ(fast.peak_flops, 1.5 * slow.peak_flops);
}

}  // namespace

#include "pricing/expert_overlap.hpp"

#include <gtest/gtest.h>

#include "comm/interconnect.hpp"
#include "memory_blocks.hpp"
#include "pricing/group_pricer.hpp"
#include "step/plan/stage_cost.hpp"
#include "test_device.hpp"

namespace {

using namespace dts;

constexpr auto kEp = static_cast<std::size_t>(Axis::EP);

TEST(Hidden, ComputeSlowsBesideAnExchange) {
  EXPECT_EQ(hidden_s(2, 5, 0), 2);       // all of it
  EXPECT_EQ(hidden_s(5, 2, 0), 2);       // as long as there is compute
  EXPECT_EQ(hidden_s(2, 5, 0.25), 1.5);  // a quarter of the machine is taken: 1.5 of compute done in 2
  EXPECT_EQ(hidden_s(2, 5, 1), 0);
  EXPECT_EQ(hidden_s(0, 5, 0.25), 0);
}

// Eight experts on eight GPUs, one shared expert beside them.
Block block_with_shared_expert() {
  std::vector<Op> ops = test::moe_feed_forward(4096, 2048, 8, 2);
  Op up = test::make_op(OpKind::Matmul, "shared_up", 4096, 4096, Sharding::Column);
  up.input = "norm";
  ops.push_back(up);
  ops.push_back(test::make_op(OpKind::Matmul, "shared_down", 4096, 4096, Sharding::Row));
  return {"moe", ops};
}

BlockCost price(const Block& block, bool shared, Recompute recompute = Recompute::None) {
  Strategy s;
  s.dp = s.ep = 8;
  s.overlap_shared_experts = shared;
  const auto network = make_interconnect(ClusterSpec{});
  const RankGrid grid(s);
  const GroupPricer groups(*network, grid);
  const FrameworkProfile profile = [] {
    FrameworkProfile p;
    p.host_forward_s_per_op = p.host_backward_s_per_op = 0;
    return p;
  }();
  const DeviceSpec device = dts_test::round_device();
  return price_block(block, {device, profile, groups, local_sizes({}, s, profile, 8192), recompute, DType::BF16},
                     BlockRole::Layer);
}

void expect_consistent(const PassCost& pass) {
  EXPECT_NEAR(pass.total_s, pass.compute_s + pass.exposed_s[kEp], 1e-12);
  EXPECT_GE(pass.exposed_s[kEp], 0);
  EXPECT_LE(pass.exposed_s[kEp], pass.comm_s[kEp] * (1 + 1e-12));
}

TEST(ExpertOverlap, ExposesWhatExceedsTheCompute) {
  const Block block = block_with_shared_expert();
  const BlockCost plain = price(block, false), shared = price(block, true);
  for (const BlockCost* cost : {&plain, &shared}) {
    expect_consistent(cost->forward);
    expect_consistent(cost->backward);
    EXPECT_EQ(cost->forward.comm_s, plain.forward.comm_s);
    EXPECT_EQ(cost->forward.compute_s, plain.forward.compute_s);
  }
  EXPECT_EQ(plain.forward.exposed_s[kEp], plain.forward.comm_s[kEp]);
  EXPECT_LT(shared.forward.exposed_s[kEp], plain.forward.exposed_s[kEp]);
  EXPECT_LT(shared.backward.exposed_s[kEp], plain.backward.exposed_s[kEp]);
}

// Beside the way to the experts runs the shared expert's first product, beside the way back its second; backward the
// second first. Eight all-to-alls hold 24 of 100 multiprocessors.
TEST(ExpertOverlap, HidesWhatRunsBesideEachExchange) {
  const BlockCost plain = price(block_with_shared_expert(), false), shared = price(block_with_shared_expert(), true);
  const OpCost &up = plain.ops[7], &down = plain.ops[8];
  ASSERT_EQ(up.name + down.name, "shared_upshared_down");
  const double one_s = plain.forward.exposed_s[kEp] / 2;  // to the experts, or back
  const auto hidden = [&](double beside_up_s, double beside_down_s) {
    return hidden_s(one_s, beside_up_s, 0.24) + hidden_s(one_s, beside_down_s, 0.24);
  };
  const auto hides = [&](const PassCost& all, const PassCost& less, double seconds) {
    EXPECT_NEAR(all.total_s - less.total_s, seconds, 1e-12);
  };
  hides(plain.forward, shared.forward, hidden(up.forward_s, down.forward_s));
  hides(plain.backward, shared.backward,
        hidden(up.data_grad_s + up.weight_grad_s, down.data_grad_s + down.weight_grad_s));
  hides(plain.data_grad, shared.data_grad, 0);  // no schedule takes them apart
}

TEST(ExpertOverlap, PairedPassesHideExchanges) {
  const BlockCost plain = price(block_with_shared_expert(), false);
  EXPECT_NEAR(plain.exchange_sm_share, 0.24, 1e-12);  // 24 of 100 multiprocessors
  StageCost stage;
  stage.blocks = {&plain, &plain};
  // Both passes compute far longer than they exchange: only the multiprocessors taken are felt.
  EXPECT_NEAR(hidden_exchange(stage, stage, PassKind::Backward), 0.76, 1e-12);
  BlockCost exchange_bound = plain;
  const double exchange_s = plain.forward.exposed_s[kEp] + plain.backward.exposed_s[kEp];
  exchange_bound.forward.total_s = plain.forward.exposed_s[kEp] + 0.1 * exchange_s;
  exchange_bound.backward.total_s = plain.backward.exposed_s[kEp] + 0.2 * exchange_s;
  stage.blocks = {&exchange_bound};
  EXPECT_NEAR(hidden_exchange(stage, stage, PassKind::Backward), 0.3, 1e-12);  // as long as there is compute
}

TEST(ExpertOverlap, RecomputationOverlapsAsForwardDoes) {
  const BlockCost cost = price(block_with_shared_expert(), true, Recompute::Full);
  EXPECT_NEAR(cost.recompute.total_s, cost.forward.total_s, 1e-12);
  EXPECT_NEAR(cost.recompute.exposed_s[kEp], cost.forward.exposed_s[kEp], 1e-12);
}

TEST(ExpertOverlap, NothingBesideWithoutSharedExperts) {
  const Block block{"moe", test::moe_feed_forward(4096, 2048, 8, 2)};
  EXPECT_EQ(price(block, true).forward.total_s, price(block, false).forward.total_s);
}

}  // namespace

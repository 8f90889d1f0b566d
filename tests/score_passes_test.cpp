// What unfused attention moves per element of the score matrix, by Megatron's kernels.
#include <gtest/gtest.h>

#include "compute/attention.hpp"
#include "pricing/block_cost.hpp"
#include "pricing/group_pricer.hpp"
#include "small_jobs.hpp"

namespace {

using namespace dts;

const DeviceSpec kDevice = test::paper_device();

Op attention(double heads, bool causal) {
  Op op = test::make_op(OpKind::Attention, "attention", 3 * heads * 64, heads * 64, Sharding::Heads);
  op.heads = op.kv_heads = heads, op.qk_head_dim = op.v_head_dim = 64, op.causal = causal;
  return op;
}

OpCost price(const Op& op, DType precision, double seq_len) {
  const test::WireNetwork network(1, 0, 1e9);
  Strategy s;
  s.precision = precision;
  FrameworkProfile profile = test::bare_profile();
  profile.flash_attention = false;
  const RankGrid grid(s);
  const GroupPricer groups(network, grid);
  const Block block{"b", {op}};
  return price_block(block,
                     {kDevice, profile, groups, local_sizes({}, s, profile, seq_len), Recompute::None, precision},
                     BlockRole::Layer)
      .ops.front();
}

void expect_bytes(const Op& op, DType precision, double seq_len, double forward, double backward) {
  AttentionShape shape;
  shape.heads = shape.kv_heads = op.heads, shape.q_len = shape.kv_len = seq_len, shape.qk_dim = shape.v_dim = 64;
  const UnfusedAttentionBytes moved{forward, backward};
  const OpCost cost = price(op, precision, seq_len);
  EXPECT_DOUBLE_EQ(cost.forward_s, unfused_attention_time_s(kDevice, precision, shape, false, moved));
  EXPECT_DOUBLE_EQ(cost.data_grad_s, unfused_attention_time_s(kDevice, precision, shape, true, moved));
}

TEST(ScorePasses, TheCausalSoftmaxReadsHalf) {
  expect_bytes(attention(8, true), DType::BF16, 1024, 4 + 3, 8 + 4);
  expect_bytes(attention(8, false), DType::BF16, 1024, 4 + 4, 8 + 6);
}

TEST(ScorePasses, DropoutAndAlibiAddTheirs) {
  Op op = attention(8, true);
  op.score_dropout = true;
  expect_bytes(op, DType::BF16, 1024, 4 + 3 + 5, 8 + 4 + 5);
  op.alibi = true;
  expect_bytes(op, DType::BF16, 1024, 4 + 3 + 5 + 4, 8 + 4 + 5);
}

TEST(ScorePasses, TheFusedKernelWantsFourHeadsAndShortRows) {
  expect_bytes(attention(6, true), DType::FP16, 1024, 4 + 36, 8 + 40);
  expect_bytes(attention(6, true), DType::BF16, 1024, 4 + 8, 8 + 10);
  expect_bytes(attention(8, true), DType::BF16, 4098, 4 + 8, 8 + 10);
  expect_bytes(attention(8, true), DType::BF16, 16, 4 + 8, 8 + 10);
}

TEST(ScorePasses, RowsOffTheGridOfTensorCoresRunAtTheScalarRate) {
  DeviceSpec device = kDevice;
  device.rates[index_of(DType::FP32)] = {20e12, 1, 1};
  AttentionShape shape;
  shape.heads = shape.kv_heads = 8, shape.q_len = shape.kv_len = 1024, shape.qk_dim = shape.v_dim = 108;
  const double scores = 8.0 * 1024 * 1024, products = 2 * scores * 216;
  const auto seconds = [&] { return unfused_attention_time_s(device, DType::FP16, shape, false); };
  device.rates[index_of(DType::FP16)] = {300e12, 1, 1};
  const double moved_s = 4 * device.memory.kernel_floor_s + scores * 13 / (0.75 * device.hbm_Bps);
  EXPECT_NEAR(seconds(), moved_s + products / 18e12, 1e-12);
  shape.qk_dim = shape.v_dim = 104;
  EXPECT_NEAR(seconds(), moved_s + 2 * scores * 208 / 165e12, 1e-12);
  device.rates[index_of(DType::FP32)] = {};  // a device without scalar units
  shape.qk_dim = shape.v_dim = 108;
  EXPECT_NEAR(seconds(), moved_s + products / 165e12, 1e-12);
}

}  // namespace

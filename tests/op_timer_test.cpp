// One op on one rank by hand: FLOPs, bytes, launches and seconds of each kind.
#include <gtest/gtest.h>

#include "compute/attention.hpp"
#include "compute/memory_bound.hpp"
#include "op_case.hpp"

namespace {

using namespace dts;
using namespace dts::test;
using Case = OpCase;

TEST(OpTimer, Products) {
  Case c(OpKind::Matmul);
  c.profile.grad_accumulate_bytes = 8;
  EXPECT_EQ(c.flops(kForward), 2 * 100 * 64 * 128);
  EXPECT_EQ(c.flops(kData), 2 * 100 * 64 * 128);
  EXPECT_EQ(c.flops(kWeight), 2 * 100 * 64 * 128);
  EXPECT_EQ(c.timer().backward_flops(c.local), 2 * 2 * 100 * 64 * 128);
  EXPECT_EQ(c.bytes(kForward), 2 * (100 * 64 + 64 * 128) + 2 * 100 * 128);
  EXPECT_EQ(c.bytes(kData), 2 * (100 * 128 + 64 * 128) + 2 * 100 * 64);
  EXPECT_EQ(c.bytes(kWeight), 2 * (100 * 64 + 100 * 128) + 8 * 64 * 128);
  EXPECT_EQ(c.seconds(kForward), c.gemm_s({100, 128, 64}, kForward));
  EXPECT_EQ(c.seconds(kData), c.gemm_s({100, 64, 128}, kData));
  EXPECT_EQ(c.seconds(kWeight), c.gemm_s({64, 128, 100}, kWeight, 8));
  EXPECT_EQ(c.kernels(), 1);
  c.profile.grad_accumulate_bytes = 0;  // the gradient is written as it is
  EXPECT_EQ(c.bytes(kWeight), 2 * (100 * 64 + 100 * 128) + 2 * 64 * 128);
  c.op.trainable = false;
  EXPECT_EQ(c.bytes(kWeight), 0);
  EXPECT_EQ(c.flops(kWeight), 0);
  EXPECT_EQ(c.seconds(kWeight), 0);
}

// Experts: four here, 25 rows each; or of unequal rows, of which one has none.
TEST(OpTimer, ProductsOfExperts) {
  Case c(OpKind::GroupedMatmul);
  c.op.sharding = Sharding::ExpertColumn, c.op.rows = Rows::Routed, c.op.experts = 4, c.local.local_experts = 4;
  EXPECT_EQ(c.flops(kForward), 2 * 100 * 64 * 128);
  EXPECT_EQ(c.bytes(kForward), 4 * (2 * (25 * 64 + 64 * 128) + 2 * 25 * 128));
  EXPECT_EQ(c.kernels(), 2);
  c.local.load = 2;  // the busiest rank has twice the rows
  EXPECT_EQ(c.bytes(kForward), 4 * (2 * (50 * 64 + 64 * 128) + 2 * 50 * 128));
  c.local.expert_rows = {0, 0.5, 99.5};
  EXPECT_EQ(c.bytes(kForward), 2 * (100 * 64 + 2 * 64 * 128) + 2 * 100 * 128);
  c.profile.grouped_single_launch = false;
  EXPECT_EQ(c.kernels(), 2 + 4);
  c.precision = DType::FP8;
  EXPECT_EQ(c.kernels(), 2 + 4 * 2);
}

// Ten scores a row: 16-bit operands with results of four bytes, or all in fp32; and eight bytes a score afterwards.
TEST(OpTimer, Router) {
  Case c(OpKind::Router);
  c.op.experts = 10;
  c.device.rates[index_of(DType::FP32)] = {50e12, 1, 0.5};
  c.profile.moe_router_fp32 = false;
  EXPECT_EQ(c.flops(kForward), 2 * 100 * 64 * 10);
  EXPECT_EQ(c.bytes(kForward), 2 * (100 * 64 + 64 * 10) + 4 * 100 * 10 + 8 * 100 * 10);
  EXPECT_EQ(c.bytes(kData), 2 * (100 * 10 + 64 * 10) + 4 * 100 * 64);
  EXPECT_EQ(c.seconds(kForward), c.gemm_s({100, 10, 64}, kForward, 4) + stream_time_s(c.device, 8 * 100 * 10));
  EXPECT_EQ(c.seconds(kData), c.gemm_s({100, 64, 10}, kData, 4));
  EXPECT_EQ(c.kernels(), 5);
  const auto fp32_s = [&] { return c.gemm_s({100, 64, 10}, kData, 4, DType::FP32); };
  c.profile.moe_router_fp32 = true;
  EXPECT_EQ(c.seconds(kData), fp32_s());
  c.profile.moe_router_fp32 = false, c.sizes.activation_bytes = 4;
  EXPECT_EQ(c.seconds(kData), fp32_s());
}

TEST(OpTimer, WhatOnlyMovesBytes) {
  Case loss(OpKind::CrossEntropy);
  loss.profile.cross_entropy_bytes = 20;  // half of it each way
  EXPECT_EQ(loss.bytes(kForward), 10 * 100 * 64);
  EXPECT_EQ(loss.bytes(kData), 10 * 100 * 64);
  EXPECT_EQ(loss.kernels(), 4);
  EXPECT_EQ(loss.flops(kForward), 0);

  Case table(OpKind::Embedding);  // rows read and written; a dense gradient is cleared or added to in fp32
  table.profile.grad_accumulate_bytes = 8;
  EXPECT_EQ(table.bytes(kForward), 2 * 2 * 100 * 128);
  EXPECT_EQ(table.bytes(kData), 0);
  EXPECT_EQ(table.bytes(kWeight), 2 * 2 * 100 * 128 + 4 * 64 * 128);
  table.profile.grad_accumulate_bytes = 0;
  EXPECT_EQ(table.bytes(kWeight), 2 * 2 * 100 * 128);

  Case permute(OpKind::Dispatch);
  permute.local.permuted_rows = 300;
  permute.profile.permute_passes = 2, permute.profile.deepep_permute_passes = 3;
  EXPECT_EQ(permute.bytes(kForward), 2 * 2 * 300 * 64);
  EXPECT_EQ(permute.seconds(kForward), permute_time_s(permute.device, 2 * 2 * 300 * 64));
  EXPECT_EQ(permute.kernels(), 4);
  permute.sizes.routing.dispatcher = Dispatcher::DeepEP;
  EXPECT_EQ(permute.bytes(kData), 3 * 2 * 300 * 64);

  Case norm(OpKind::Norm);  // stated for two bytes an element, here four; the gain's gradient apart
  norm.op.forward_bytes_per_element = 4, norm.op.backward_bytes_per_element = 8;
  norm.sizes.activation_bytes = 4, norm.local.parameters = 64, norm.profile.grad_accumulate_bytes = 6;
  EXPECT_EQ(norm.bytes(kForward), 100 * 64 * 4 * 2);
  EXPECT_EQ(norm.bytes(kData), 100 * 64 * 8 * 2);
  EXPECT_EQ(norm.bytes(kWeight), 64 * 6);
  EXPECT_EQ(norm.seconds(kForward), norm_time_s(norm.device, 100 * 64 * 4 * 2));
  EXPECT_EQ(norm.seconds(kWeight), stream_time_s(norm.device, 64 * 6));
  EXPECT_EQ(norm.kernels(), 1);
}

TEST(OpTimer, WhatStatesItsFlops) {
  Case custom(OpKind::Custom);
  custom.op.flops_per_row = 1e6, custom.op.forward_bytes_per_element = 2, custom.op.backward_bytes_per_element = 4;
  custom.local.feature_share = 0.5, custom.local.load = 3;
  EXPECT_EQ(custom.flops(kForward), 100 * 0.5 * 1e6);
  EXPECT_EQ(custom.flops(kData), 100 * 0.5 * 1e6);
  EXPECT_EQ(custom.flops(kWeight), 0);
  EXPECT_EQ(custom.seconds(kForward),  // of the busiest rank
            roofline_time_s(custom.device, DType::BF16, 300 * 0.5 * 1e6, 300 * 64 * 2));
  EXPECT_EQ(custom.seconds(kData), roofline_time_s(custom.device, DType::BF16, 300 * 0.5 * 1e6, 300 * 64 * 4));

  Case scan(OpKind::Scan);  // backward takes 2.5 times both
  scan.op.flops_per_row = 1e6, scan.op.forward_bytes_per_element = 6, scan.op.qk_head_dim = 64, scan.op.v_head_dim = 32;
  EXPECT_EQ(scan.flops(kForward), 100 * 1e6);
  EXPECT_EQ(scan.flops(kData), 2 * 100 * 1e6);
  EXPECT_EQ(scan.flops(kWeight), 0);
  EXPECT_EQ(scan.bytes(kForward), 100 * 64 * 6);
  EXPECT_EQ(scan.bytes(kData), 2.5 * 100 * 64 * 6);
  for (bool backward : {false, true}) {
    EXPECT_EQ(scan.seconds(backward ? kData : kForward),
              scan_time_s(scan.device, DType::BF16, 64, 100 * 1e6, 100 * 64 * 6, backward));
  }
  EXPECT_EQ(scan.kernels(), 5);
  // By hand: a quarter of 100 TFLOP/s at a head of 64, half the clock; five kernels of a microsecond.
  EXPECT_NEAR(scan_time_s(scan.device, DType::BF16, 64, 1e9, 1, false), 5e-6 + 1e9 / 12.5e12, 1e-12);
  EXPECT_NEAR(scan_time_s(scan.device, DType::BF16, 64, 1e9, 1, true), 2.5 * (5e-6 + 1e9 / 12.5e12), 1e-12);
  EXPECT_NEAR(scan_time_s(scan.device, DType::BF16, 64, 1, 1e9, true), 2.5 * (5e-6 + 1e-3), 1e-12);
}

// Two of eight heads here, 16 wide; causal: half of 100 x 100 scores.
TEST(OpTimer, Attention) {
  Case c(OpKind::Attention);
  c.op = test::make_attention(8, 8, 16);
  c.local.heads = c.local.kv_heads = 2;
  c.sizes.samples = 3;
  const double forward = 3 * 2 * 2 * (16 + 16) * 100 * 50.0;
  EXPECT_EQ(c.flops(kForward), forward);
  EXPECT_EQ(c.flops(kData), 2 * forward);  // two products in forward, four in backward
  EXPECT_EQ(c.flops(kWeight), 0);
  c.local.sequence_split = 4;
  EXPECT_EQ(c.flops(kForward), forward / 4);
  EXPECT_EQ(c.kernels(), 4 + 3);
  c.local.gathered_keys = true;
  EXPECT_EQ(c.kernels(), 2 + 2);
  c.local.gathered_keys = false, c.profile.flash_attention = false;
  EXPECT_EQ(c.kernels(), 4 * 4 + 3);
  c.local.sequence_split = 1, c.sizes.head_split = 2;
  EXPECT_EQ(c.kernels(), 4 + 8);
  c.sizes.head_split = 1;
  EXPECT_EQ(c.kernels(), 4);
}

// A ring is its first step and as many later ones as there are other ranks. Chunks that divide the sequence are
// sequences of their own; one as long as the sequence is none.
TEST(OpTimer, StepsOfARingAndChunks) {
  Case c(OpKind::Attention);
  c.op = test::make_attention(8, 8, 64);
  c.local.heads = c.local.kv_heads = 8, c.local.sequence_split = 4;
  c.sizes.seq_len = 4096;
  for (bool backward : {false, true}) {
    const RingKernels ring = c.timer().ring_kernels_s(c.local, backward);
    EXPECT_DOUBLE_EQ(c.seconds(backward ? kData : kForward), ring.own_s + 3 * ring.later_s);
  }
  const double whole = c.seconds(kForward);
  c.op.chunk = 4096;
  EXPECT_EQ(c.seconds(kForward), whole);
  c.op.chunk = 1024;
  const AttentionShape chunk{1, 8, 8, 1024, 1024, 64, 64, true, 0};
  EXPECT_EQ(c.seconds(kForward), flash_attention_time_s(c.device, DType::BF16, chunk, false, true));
  EXPECT_EQ(c.bytes(kForward), flash_attention_bytes(c.device, DType::BF16, chunk, false));
  c.op.chunk = 512;
  AttentionShape half = chunk;
  half.batch = 2, half.q_len = half.kv_len = 512;
  EXPECT_EQ(c.seconds(kForward), flash_attention_time_s(c.device, DType::BF16, half, false, true));
  EXPECT_EQ(c.bytes(kForward), flash_attention_bytes(c.device, DType::BF16, half, false));
}

}  // namespace

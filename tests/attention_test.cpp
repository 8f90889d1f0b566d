#include "compute/attention.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "test_device.hpp"

using dts::AttentionShape;
using dts::Clock;
using dts::DType;

namespace {

AttentionShape shape(double heads, double s, bool causal) {
  AttentionShape a;
  a.batch = 1, a.heads = heads, a.kv_heads = heads, a.q_len = s, a.kv_len = s, a.qk_dim = 128, a.v_dim = 128;
  a.causal = causal;
  return a;
}

double time_s(const dts::DeviceSpec& d, const AttentionShape& a, bool backward = false, bool skip = true) {
  return dts::flash_attention_time_s(d, DType::BF16, a, backward, skip, Clock::Burst);
}

// One row block against one key on one of 100 multiprocessors at half of 100 TFLOP/s.
constexpr double kKey_s = 2.0 * 128 * 256 / 0.5e12;

// The longest block beside the mean load.
double joined(double mean, double longest) { return std::pow(std::pow(mean, 4) + std::pow(longest, 4), 0.25); }

}  // namespace

TEST(FlashAttention, FullSquareByHand) {
  const dts::DeviceSpec d = dts_test::round_device();
  const double mean = 1000 * 8 * 1024 / 100.0 * kKey_s;  // 1000 heads, 8 row blocks of 1024 keys
  EXPECT_NEAR(time_s(d, shape(1000, 1024, false)), joined(mean, 1024 * kKey_s), 1e-12);
}

TEST(FlashAttention, CausalSkipsMaskedBlocks) {
  const dts::DeviceSpec d = dts_test::round_device();
  const double blocks = 8 * 9 / 2;  // of 64
  EXPECT_NEAR(time_s(d, shape(1000, 1024, true)), joined(1000 * blocks * 128 / 100 * kKey_s, 1024 * kKey_s), 1e-12);
  EXPECT_EQ(time_s(d, shape(1000, 1024, true), false, false), time_s(d, shape(1000, 1024, false)));
}

TEST(FlashAttention, OverheadsCountAsKeys) {
  dts::DeviceSpec d = dts_test::round_device();
  d.attention_forward.block_overhead = 64;
  d.attention_forward.causal_overhead = 32;
  d.attention_forward.floor_s = 4e-6;
  const double keys = 36 * 128 + 8 * 96;
  EXPECT_NEAR(time_s(d, shape(1000, 1024, true)), 4e-6 + joined(1000 * keys / 100 * kKey_s, (1024 + 64) * kKey_s),
              1e-12);
}

TEST(FlashAttention, CastsAreMadeBeforehand) {
  dts::DeviceSpec d = dts_test::round_device();
  const AttentionShape a = shape(1000, 1024, true);
  const double forward_s = time_s(d, a), backward_s = time_s(d, a, true);
  d.attention_forward.cast_bytes = d.attention_backward.cast_bytes = 5;
  const double stream_Bps = d.memory.stream_efficiency * d.hbm_Bps, heads = a.batch * a.heads * 1024;
  const double read = heads * a.qk_dim + a.batch * a.kv_heads * 1024 * (a.qk_dim + a.v_dim);  // q, k and v
  EXPECT_NEAR(time_s(d, a) - forward_s, 5 * read / stream_Bps, 1e-12);
  EXPECT_NEAR(time_s(d, a, true) - backward_s, 5 * heads * a.v_dim / stream_Bps, 1e-12);
}

TEST(FlashAttention, SomeKernelsComputeWhatLiesBeforeAWindow) {
  dts::DeviceSpec d = dts_test::round_device();
  d.attention_backward.skips_window = false;
  AttentionShape a = shape(1000, 4096, true);
  const double all_s = time_s(d, a, true);
  a.window = 256;
  EXPECT_DOUBLE_EQ(time_s(d, a, true), all_s);
  EXPECT_LT(time_s(d, a), time_s(d, shape(1000, 4096, true)));
}

TEST(FlashAttention, BackwardDoesTwoAndAHalfTimesTheWork) {
  const dts::DeviceSpec d = dts_test::round_device();
  EXPECT_NEAR(time_s(d, shape(1000, 1024, true), true), 2.5 * time_s(d, shape(1000, 1024, true)), 1e-12);
}

TEST(FlashAttention, FewHeadsWaitForTheLongestBlock) {
  const dts::DeviceSpec d = dts_test::round_device();
  EXPECT_GT(time_s(d, shape(1, 1024, true)), 1024 * kKey_s);  // 36 blocks of work, 100 multiprocessors
}

TEST(FlashAttention, WindowBoundsTheKeys) {
  const dts::DeviceSpec d = dts_test::round_device();
  AttentionShape a = shape(1000, 4096, true);
  a.window = 256;
  // Rows see 128, 256, then at most 256 + 128 keys.
  const double keys = 128 + 256 + 30 * 384;
  EXPECT_NEAR(time_s(d, a), joined(1000 * keys / 100 * kKey_s, 4096 * kKey_s), 1e-9);
  a.window = 1e6;
  EXPECT_EQ(time_s(d, a), time_s(d, shape(1000, 4096, true)));
}

TEST(FlashAttention, LaterQueriesSeeAllEarlierKeys) {
  const dts::DeviceSpec d = dts_test::round_device();
  AttentionShape late = shape(1000, 4096, true);
  late.q_len = 1024;  // the last quarter of the rows
  const double keys = 8 * 3072 + 36 * 128;
  EXPECT_NEAR(time_s(d, late), joined(1000 * keys / 100 * kKey_s, 4096 * kKey_s), 1e-9);
}

TEST(FlashAttention, RateFollowsTheHeadDimension) {
  const dts::DeviceSpec d = dts_test::round_device();  // 0.25 at 64, 0.5 at 128, 0.4 for MLA
  AttentionShape a = shape(1000, 1024, false);
  const double at128 = time_s(d, a);
  a.qk_dim = a.v_dim = 64;
  EXPECT_NEAR(time_s(d, a), at128, 1e-12);  // half the work at half the rate
  a.qk_dim = a.v_dim = 96;
  EXPECT_NEAR(time_s(d, a), at128 * (192.0 / 0.375) / (256 / 0.5), 1e-12);
  a.qk_dim = a.v_dim = 32;
  EXPECT_NEAR(time_s(d, a), at128, 1e-12);  // no faster than 64
  a.qk_dim = 192, a.v_dim = 128;
  EXPECT_NEAR(time_s(d, a), at128 * (320.0 / 0.4) / (256 / 0.5), 1e-12);
}

TEST(FlashAttention, TensorsMustBeMovedEvenWithoutWork) {
  dts::DeviceSpec d = dts_test::round_device();
  d.rates[dts::index_of(DType::BF16)].peak_flops = 1e30;
  AttentionShape a = shape(16, 1024, true);
  a.kv_heads = 4;
  const double bytes = 1024 * 256.0 * (16 + 4) * 2;  // q, o of 16 heads and k, v of 4
  EXPECT_NEAR(time_s(d, a), bytes / 1e12, 1e-12);
  EXPECT_NEAR(time_s(d, a, true), 2 * bytes / 1e12, 1e-12);
}

TEST(FlashAttention, SixteenBitsWhateverTheMatmulType) {
  dts::DeviceSpec d = dts_test::round_device();
  d.rates[dts::index_of(DType::FP8)].peak_flops = 200e12;
  const AttentionShape a = shape(1000, 1024, true);
  EXPECT_EQ(dts::flash_attention_time_s(d, DType::FP8, a, false, true, Clock::Burst), time_s(d, a));
}

TEST(FlashAttention, NoWorkTakesNoTimeAndHugeWorkStaysFinite) {
  const dts::DeviceSpec d = dts_test::round_device();
  EXPECT_EQ(time_s(d, shape(0, 1024, true)), 0);
  EXPECT_EQ(time_s(d, shape(8, 0, true)), 0);
  for (double s : {1e-300, 1.0, 1e100, 1e300}) EXPECT_TRUE(std::isfinite(time_s(d, shape(8, s, true)))) << s;
}

TEST(UnfusedAttention, ByHand) {
  const dts::DeviceSpec d = dts_test::round_device();
  const double scores = 16.0 * 1024 * 1024;
  const AttentionShape a = shape(16, 1024, true);  // the whole square although causal
  EXPECT_NEAR(dts::unfused_attention_time_s(d, DType::BF16, a, false),
              4e-6 + scores * 13 / 0.75e12 + scores * 512 / 55e12, 1e-12);
  EXPECT_NEAR(dts::unfused_attention_time_s(d, DType::BF16, a, true, {8, 14}),
              6e-6 + scores * 14 / 0.75e12 + scores * 1024 / 55e12, 1e-12);
}

// Korthikanti et al. 2022, table 4: attention recompute of one 22B layer, A100, tensor parallel 8: 1.3 ms.
TEST(UnfusedAttention, KorthikantiAttentionRecompute) {
  dts::DeviceSpec d;
  d.hbm_Bps = 2.039e12;
  d.rates[dts::index_of(DType::FP16)].peak_flops = 312e12;
  AttentionShape a;
  a.batch = 4, a.heads = a.kv_heads = 8, a.q_len = a.kv_len = 2048, a.qk_dim = a.v_dim = 96;
  EXPECT_NEAR(dts::unfused_attention_time_s(d, DType::FP16, a, false), 1.3e-3, 0.15 * 1.3e-3);
}

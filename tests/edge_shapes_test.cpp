// Costs of the smallest shapes: of one row, head or channel there is work, of none there is not, and no field stands
// for another.
#include <gtest/gtest.h>

#include "compute/attention.hpp"
#include "compute/conv.hpp"
#include "compute/gemm.hpp"
#include "compute/grouped.hpp"
#include "compute/memory_bound.hpp"
#include "compute/optimizer.hpp"
#include "compute/quantise.hpp"
#include "test_device.hpp"

namespace {

using namespace dts;

const DeviceSpec kDevice = dts_test::round_device();

// `ones`: a shape of one of everything; `time_s` is nothing where a field is 0, something else.
template <class Shape, class Time, class... Field>
void expect_work_of_ones(const Shape& ones, Time time_s, Field... field) {
  EXPECT_GT(time_s(ones), 0);
  const auto nothing_without = [&](double Shape::*member) {
    Shape none = ones;
    none.*member = 0;
    EXPECT_EQ(time_s(none), 0);
  };
  (nothing_without(field), ...);
}

TEST(EdgeShapes, OneOfEverythingIsWorkAndNoneOfAnythingIsNot) {
  AttentionShape a;
  a.q_len = a.kv_len = a.qk_dim = a.v_dim = 1;
  using A = AttentionShape;
  for (bool backward : {false, true}) {
    expect_work_of_ones(
        a, [&](const A& s) { return flash_attention_time_s(kDevice, DType::BF16, s, backward, true); }, &A::batch,
        &A::heads, &A::kv_heads, &A::q_len, &A::kv_len, &A::qk_dim, &A::v_dim);
    expect_work_of_ones(
        a, [&](const A& s) { return unfused_attention_time_s(kDevice, DType::BF16, s, backward); }, &A::batch,
        &A::heads, &A::kv_heads, &A::q_len, &A::kv_len, &A::qk_dim, &A::v_dim);
  }
  using C = ConvShape;
  for (GemmPass pass : {GemmPass::Forward, GemmPass::DataGrad, GemmPass::WeightGrad}) {
    expect_work_of_ones(
        C{1, 1, 1, 1, 1, 1, 1}, [&](const C& s) { return conv_time_s(kDevice, DType::BF16, s, pass, 2); }, &C::samples,
        &C::in_channels, &C::out_channels, &C::output_positions, &C::kernel_area, &C::groups);
  }
  using G = GemmShape;
  expect_work_of_ones(
      G{1, 1, 1, 1}, [](const G& s) { return gemm_time_s(kDevice, DType::BF16, s, GemmPass::Forward, 2); }, &G::m,
      &G::n, &G::k, &G::batch);
  EXPECT_GT(grouped_gemm_time_s(kDevice, DType::BF16, 1, {1, 1, 1}, GemmPass::Forward, 2), 0);
  EXPECT_GT(grouped_rows_time_s(kDevice, DType::BF16, {0.5}, 1, 1, GemmPass::Forward, 2), 0);
  EXPECT_GT(newton_schulz_time_s(kDevice, 1, 1, 1), 0);
  EXPECT_EQ(newton_schulz_time_s(kDevice, 0, 1, 1) + newton_schulz_time_s(kDevice, 1, 0, 1) +
                newton_schulz_time_s(kDevice, 1, 1, 0),
            0);
  EXPECT_GT(optimizer_time_s(kDevice, 1, 1), 0);
  EXPECT_EQ(optimizer_time_s(kDevice, 1, 0), 0);
}

TEST(EdgeShapes, OneByteOrFlopTakesTheFloor) {  // a microsecond, 50 TFLOP/s and 1 TB/s
  EXPECT_NEAR(stream_time_s(kDevice, 1), 1e-6, 1e-11);
  EXPECT_NEAR(roofline_time_s(kDevice, DType::BF16, 1, 0), 1e-6, 1e-11);
  EXPECT_NEAR(roofline_time_s(kDevice, DType::BF16, 0, 1), 1e-6, 1e-11);
  EXPECT_GT(quantise_time_s(kDevice, QuantiseRecipe::Fp8Tensor, 1), 0);
  EXPECT_NEAR(scan_time_s(kDevice, DType::BF16, 64, 1, 0, false), 5e-6, 1e-11);
  EXPECT_NEAR(scan_time_s(kDevice, DType::BF16, 64, 0, 1, false), 5e-6, 1e-11);
  EXPECT_EQ(scan_time_s(kDevice, DType::BF16, 64, 0, 0, false), 0);
}

TEST(EdgeShapes, ConvolutionsByHand) {
  // Two samples, 8 to 12 channels in 4 groups, 100 to 25 positions, 3 x 3: groups of 2 to 3 channels.
  const ConvShape s{2, 8, 12, 100, 25, 9, 4};
  const auto expect_shape = [&](GemmPass pass, double m, double n, double k) {
    const GemmShape g = conv_gemm(s, pass);
    EXPECT_DOUBLE_EQ(g.m, m);
    EXPECT_DOUBLE_EQ(g.n, n);
    EXPECT_DOUBLE_EQ(g.k, k);
    EXPECT_DOUBLE_EQ(g.batch, 4);
  };
  expect_shape(GemmPass::Forward, 2 * 25, 3, 2 * 9);
  expect_shape(GemmPass::DataGrad, 2 * 100, 2, 3 * 9 / 4.0);
  expect_shape(GemmPass::WeightGrad, 3, 2 * 9, 2 * 25);
  const double input = 2 * 8 * 100, output = 2 * 12 * 25, weight = 8 * 12 / 4 * 9;
  const auto bytes = [&](GemmPass pass) { return conv_bytes(kDevice, DType::BF16, s, pass, 4); };
  EXPECT_DOUBLE_EQ(bytes(GemmPass::Forward), 2 * (input + weight) + 4 * output);
  EXPECT_DOUBLE_EQ(bytes(GemmPass::DataGrad), 2 * (output + weight) + 4 * input);
  EXPECT_DOUBLE_EQ(bytes(GemmPass::WeightGrad), 2 * (input + output) + 4 * weight);
}

// One multiprocessor of 100 TFLOP/s, no time for bytes: a block of a tile after the other, small ones at 0.9 of the
// rate and tiny ones at 0.81. A product of a tile's size is one block of it.
TEST(EdgeShapes, EveryTileServesTheProductOfItsSize) {
  DeviceSpec d = kDevice;
  d.sm_count = 1, d.hbm_Bps = 1e30;
  d.gemm.small_tile_rate = d.gemm.tiny_tile_rate = 0.9;
  struct Case {
    double m, n, rate;
  };
  for (const Case& c :
       {Case{256, 128, 1}, {128, 256, 1}, {128, 128, 0.9}, {128, 64, 0.9}, {64, 128, 0.9}, {64, 64, 0.81}}) {
    EXPECT_NEAR(gemm_time_s(d, DType::BF16, {c.m, c.n, 64}, GemmPass::Forward, 2, Clock::Burst),
                2 * c.m * c.n * 64 / (100e12 * c.rate), 1e-15)
        << c.m << " x " << c.n;
    // A row or column more is another block.
    EXPECT_GT(gemm_time_s(d, DType::BF16, {c.m + 1, c.n, 64}, GemmPass::Forward, 2, Clock::Burst),
              1.2 * c.m * c.n * 2 * 64 / (100e12 * c.rate) * 0.9);
  }
}

// A slice keeps 128 of k at least: 2, 4, 8 and 16 slices from 256, 512, 1024 and 2048 on.
TEST(EdgeShapes, ProductsSplitWhereSlicesStayDeep) {
  DeviceSpec d = kDevice;
  d.hbm_Bps = 1e30;
  const auto depth = [&](double k) {  // of the block that ends last, at 1 TFLOP/s
    return gemm_time_s(d, DType::BF16, {64, 64, k}, GemmPass::Forward, 2, Clock::Burst) * 1e12 / (2 * 64 * 64);
  };
  for (const auto& [k, deep] : {std::pair{64.0, 64.0},
                                {65, 128},
                                {255, 256},
                                {256, 128},
                                {511, 256},
                                {512, 128},
                                {1023, 256},
                                {1024, 128},
                                {2047, 256},
                                {2048, 128},
                                {4096, 256}}) {
    EXPECT_NEAR(depth(k), deep, 1e-9) << k;
  }
}

}  // namespace

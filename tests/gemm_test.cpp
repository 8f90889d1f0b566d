#include "compute/gemm.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "compute/grouped.hpp"
#include "test_device.hpp"

using dts::Clock;
using dts::DType;
using dts::GemmPass;
using dts::GemmShape;

namespace {

double time_s(const dts::DeviceSpec& d, const GemmShape& s, GemmPass pass = GemmPass::Forward, double out = 2,
              Clock clock = Clock::Burst) {
  return dts::gemm_time_s(d, DType::BF16, s, pass, out, clock);
}

// 1280^3: a hundred 128x128 tiles, one per multiprocessor at 1 TFLOP/s; three bf16 matrices at 1 TB/s.
constexpr double kCompute_s = 2.0 * 128 * 128 * 1280 / 1e12;
constexpr double kMatrix_s = 2.0 * 1280 * 1280 / 1e12;

TEST(GroupedGemm, EqualRowsAreTheEqualShape) {
  const dts::DeviceSpec d = dts_test::round_device();
  for (GemmPass pass : {GemmPass::Forward, GemmPass::DataGrad, GemmPass::WeightGrad}) {
    for (const dts::GroupedKernel& kernel : {dts::kGroupedSingleLaunch, dts::kGroupedMultiStream}) {
      const GemmShape shape = dts::pass_shape({640, 768, 1280}, pass);
      EXPECT_NEAR(dts::grouped_rows_time_s(d, DType::BF16, {640, 640, 640, 640}, 768, 1280, pass, 2, kernel),
                  dts::grouped_gemm_time_s(d, DType::BF16, 4, shape, pass, 2, kernel), 1e-15);
    }
  }
}

TEST(GroupedGemm, UnequalRowsRoundUpPerExpert) {
  // Tiles of 128 rows: 1 + 1279 rows need 1 + 10 of them where 2 x 640 need 10; and idle experts cost nothing.
  dts::DeviceSpec d = dts_test::round_device();
  const auto rows_s = [&](const std::vector<double>& rows, GemmPass pass) {
    return dts::grouped_rows_time_s(d, DType::BF16, rows, 1280, 1280, pass, 2);
  };
  EXPECT_GT(rows_s({1, 1279}, GemmPass::Forward), rows_s({640, 640}, GemmPass::Forward));
  EXPECT_EQ(rows_s({0, 1280, 0}, GemmPass::Forward), rows_s({1280}, GemmPass::Forward));
  EXPECT_EQ(rows_s({0, 0}, GemmPass::Forward), 0);
  EXPECT_EQ(rows_s({}, GemmPass::Forward), 0);
}

TEST(GroupedGemm, DeepestWeightGradientEndsTheLaunch) {
  // Few tiles, 64 and 6400 rows deep, on 100 multiprocessors: a deep one of at least 64 x 64 decides.
  const dts::DeviceSpec d = dts_test::round_device();
  const double t = dts::grouped_rows_time_s(d, DType::BF16, {64, 6400}, 128, 128, GemmPass::WeightGrad, 0,
                                            dts::kGroupedSingleLaunch, Clock::Burst);
  EXPECT_GE(t, 2 * 64.0 * 64 * 6400 / (100e12 / 100));
}

}  // namespace

TEST(Gemm, OneWaveByHand) {
  const dts::DeviceSpec d = dts_test::round_device();
  EXPECT_NEAR(time_s(d, {1280, 1280, 1280}), kCompute_s + 3 * kMatrix_s, 1e-12);
}

TEST(Gemm, FloorAndPrologueAreAdded) {
  dts::DeviceSpec d = dts_test::round_device();
  d.gemm.floor_s = 5e-6;
  EXPECT_NEAR(time_s(d, {1280, 1280, 1280}), 5e-6 + kCompute_s + 3 * kMatrix_s, 1e-12);
  d.gemm.prologue_k = 128;  // a tenth of k; 128-wide tiles in one wave stay the best
  EXPECT_NEAR(time_s(d, {1280, 1280, 1280}), 5e-6 + 1.1 * kCompute_s + 3 * kMatrix_s, 1e-12);
}

TEST(Gemm, SustainedClockSlowsComputeButNotMemory) {
  const dts::DeviceSpec d = dts_test::round_device();
  EXPECT_NEAR(time_s(d, {1280, 1280, 1280}, GemmPass::Forward, 2, Clock::Sustained), 2 * kCompute_s + 3 * kMatrix_s,
              1e-12);
}

TEST(Gemm, WeightGradientIsSlowerAndChargesItsOutput) {
  const dts::DeviceSpec d = dts_test::round_device();
  EXPECT_EQ(time_s(d, {1280, 1280, 1280}, GemmPass::DataGrad), time_s(d, {1280, 1280, 1280}));
  // fp32 accumulation: 8 bytes per result, four times the bf16 matrix.
  EXPECT_NEAR(time_s(d, {1280, 1280, 1280}, GemmPass::WeightGrad, 8), kCompute_s / 0.97 + 6 * kMatrix_s, 1e-12);
}

TEST(Gemm, WaveQuantisationByHand) {
  dts::DeviceSpec d = dts_test::round_device();
  d.hbm_Bps = 1e30;
  const GemmShape one_over{1280, 1408, 64};  // 10 x 11 tiles of 128x128; k too short to split
  const double tile_s = 2.0 * 128 * 128 * 64 / 1e12;
  d.gemm.small_tile_rate = 1;
  d.gemm.tiny_tile_rate = 0.1;   // keeps 64x64 tiles out
  d.gemm.wave_quantisation = 1;  // best: 128x64 tiles, 2.2 waves rounded up to 3 halves
  EXPECT_NEAR(time_s(d, one_over), 1.5 * tile_s, 1e-15);
  d.gemm.wave_quantisation = 0;  // perfect balance: 1.1 waves
  EXPECT_NEAR(time_s(d, one_over), 1.1 * tile_s, 1e-15);
}

TEST(Gemm, SplitKFillsAnEmptyDevice) {
  dts::DeviceSpec d = dts_test::round_device();
  const GemmShape deep{64, 64, 16384};
  const double split = time_s(d, deep);
  d.gemm.split_k_floor_s = 1;  // forbids splitting
  const double whole = time_s(d, deep);
  // 16 slices of 1024 on 16 multiprocessors; partial sums cost 8 B each.
  EXPECT_NEAR(split, 2.0 * 64 * 64 * 1024 / 1e12 + (2 * 2 * 64 * 16384 + 2 * 64 * 64 + 8 * 16 * 64 * 64) / 1e12, 1e-12);
  EXPECT_NEAR(whole, 2.0 * 64 * 64 * 16384 / 1e12 + (2 * 2 * 64 * 16384 + 2 * 64 * 64) / 1e12, 1e-12);
}

TEST(Gemm, EveryProductOfABatchHasPartialSums) {
  const dts::DeviceSpec d = dts_test::round_device();
  // Two products in 16 slices each, on 32 multiprocessors.
  EXPECT_NEAR(time_s(d, {64, 64, 16384, 2}),
              2.0 * 64 * 64 * 1024 / 1e12 + 2 * (2 * 2 * 64 * 16384 + 2 * 64 * 64 + 8 * 16 * 64 * 64) / 1e12, 1e-12);
}

TEST(Gemm, SystolicPadsAndHasNoWaves) {
  dts::DeviceSpec d = dts_test::round_device();
  d.systolic = true;
  d.hbm_Bps = 1e30;
  EXPECT_NEAR(time_s(d, {9, 100, 130}), 2.0 * 16 * 128 * 256 / 100e12, 1e-18);
}

TEST(Gemm, PassShapesKeepTheFlops) {
  const GemmShape f{3, 5, 7, 2};  // X[3,7] W[7,5]
  const GemmShape dgrad = dts::pass_shape(f, GemmPass::DataGrad), wgrad = dts::pass_shape(f, GemmPass::WeightGrad);
  const auto is = [](const GemmShape& s, double m, double n, double k) {
    return s.m == m && s.n == n && s.k == k && s.batch == 2;
  };
  EXPECT_TRUE(is(dgrad, 3, 7, 5));
  EXPECT_TRUE(is(wgrad, 7, 5, 3));
}

TEST(Gemm, NoWorkTakesNoTimeAndHugeWorkStaysFinite) {
  const dts::DeviceSpec d = dts_test::round_device();
  for (const GemmShape& none :
       {GemmShape{0, 128, 128}, {128, 0, 128}, {128, 128, 0}, {128, 128, 128, 0}, {-1, 128, 128}}) {
    EXPECT_EQ(time_s(d, none), 0);
  }
  EXPECT_EQ(time_s(d, {std::nan(""), 1, 1}), 0);
  for (double size : {1e-300, 1.0, 1e100, 1e300}) EXPECT_TRUE(std::isfinite(time_s(d, {size, size, size}))) << size;
}

TEST(Gemm, UnsupportedTypeRunsAtTheWiderRateAndBytes) {
  const dts::DeviceSpec d = dts_test::round_device();
  EXPECT_EQ(dts::gemm_time_s(d, DType::FP8, {1280, 1280, 1280}, GemmPass::Forward, 2, Clock::Burst),
            time_s(d, {1280, 1280, 1280}));
  EXPECT_EQ(dts::operand_bytes(DType::FP4), 0.5625);
}

TEST(GroupedGemm, SingleLaunchSharesTheWaves) {
  const dts::DeviceSpec d = dts_test::round_device();
  // Four groups of 25 tiles fill the device as one product of 100 tiles does.
  const double t = dts::grouped_gemm_time_s(d, DType::BF16, 4, {640, 640, 1280}, GemmPass::Forward, 2,
                                            dts::kGroupedSingleLaunch, Clock::Burst);
  EXPECT_NEAR(t, kCompute_s + 4 * (2 * 2.0 * 640 * 1280 + 2.0 * 640 * 640) / 1e12, 1e-12);
}

TEST(GroupedGemm, MultiStreamPaysPerGroup) {
  const dts::DeviceSpec d = dts_test::round_device();
  const GemmShape s{640, 640, 1280};
  const auto at = [&](const dts::GroupedKernel& k) {
    return dts::grouped_gemm_time_s(d, DType::BF16, 4, s, GemmPass::DataGrad, 2, k, Clock::Burst);
  };
  EXPECT_NEAR(at(dts::kGroupedMultiStream) - at(dts::kGroupedSingleLaunch), kCompute_s * (1 / 0.924 - 1) + 4 * 4.8e-6,
              1e-12);
  EXPECT_EQ(dts::grouped_gemm_time_s(d, DType::BF16, 0, s, GemmPass::Forward, 2), 0);
}

#include "compute/conv.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "test_device.hpp"

using dts::ConvShape;
using dts::GemmPass;
using dts::GemmShape;

namespace {

double flops(const GemmShape& s) { return 2 * s.m * s.n * s.k * s.batch; }

// First convolution of ResNet-50: 7x7, stride 2, 3 -> 64 channels, 224^2 -> 112^2.
ConvShape stem() { return {32, 3, 64, 224.0 * 224, 112.0 * 112, 49, 1}; }

}  // namespace

TEST(Conv, EveryPassDoesTheSameFlops) {
  const ConvShape s = stem();
  const double expected = 2.0 * 32 * 112 * 112 * 64 * 3 * 49;
  EXPECT_DOUBLE_EQ(flops(dts::conv_gemm(s, GemmPass::Forward)), expected);
  EXPECT_DOUBLE_EQ(flops(dts::conv_gemm(s, GemmPass::DataGrad)), expected);
  EXPECT_DOUBLE_EQ(flops(dts::conv_gemm(s, GemmPass::WeightGrad)), expected);
}

TEST(Conv, GroupsDivideTheWork) {
  ConvShape s{1, 64, 64, 100, 100, 9, 1};
  const double whole = flops(dts::conv_gemm(s, GemmPass::Forward));
  s.groups = 4;
  EXPECT_DOUBLE_EQ(flops(dts::conv_gemm(s, GemmPass::Forward)), whole / 4);
}

TEST(Conv, PointwiseIsAMatmul) {
  const dts::DeviceSpec d = dts_test::round_device();
  const ConvShape s{4, 256, 512, 196, 196, 1, 1};
  for (GemmPass pass : {GemmPass::Forward, GemmPass::DataGrad, GemmPass::WeightGrad})
    EXPECT_DOUBLE_EQ(dts::conv_time_s(d, dts::DType::BF16, s, pass, 2),
                     dts::gemm_time_s(d, dts::DType::BF16, dts::conv_gemm(s, pass), pass, 2));
}

TEST(Conv, ReadsTheImageOnceNotItsPatches) {
  dts::DeviceSpec d = dts_test::round_device();
  d.rates[dts::index_of(dts::DType::BF16)].peak_flops = 1e30;
  const double bytes = 2.0 * (32 * 3 * 224 * 224 + 64 * 3 * 49 + 32 * 64 * 112 * 112);
  EXPECT_NEAR(dts::conv_time_s(d, dts::DType::BF16, stem(), GemmPass::Forward, 2), bytes / 1e12, 1e-12);
}

TEST(Conv, NoWorkTakesNoTimeAndHugeWorkStaysFinite) {
  const dts::DeviceSpec d = dts_test::round_device();
  ConvShape s = stem();
  s.samples = 0;
  EXPECT_EQ(dts::conv_time_s(d, dts::DType::BF16, s, GemmPass::Forward, 2), 0);
  s.samples = 1e300;
  EXPECT_TRUE(std::isfinite(dts::conv_time_s(d, dts::DType::BF16, s, GemmPass::WeightGrad, 4)));
}

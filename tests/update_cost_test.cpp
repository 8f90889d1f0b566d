// Update rules at the level of one kernel: passes, iterations and their limits.
#include <gtest/gtest.h>

#include "compute/gemm.hpp"
#include "compute/optimizer.hpp"
#include "compute/quantise.hpp"
#include "memory/static_bytes.hpp"
#include "test_device.hpp"

namespace dts {
namespace {

// Two products of matrices whose result is added to another, read first, and one that is only written, in bf16.
TEST(UpdateCost, AnIterationIsThreeProducts) {
  const DeviceSpec device = dts_test::round_device();
  const auto product_s = [&](double n, double k, double bytes) {
    return gemm_time_s(device, DType::BF16, {64, n, k}, GemmPass::Forward, bytes);
  };
  const double iteration_s = product_s(64, 512, 2) + product_s(64, 64, 4) + product_s(512, 64, 4);
  EXPECT_DOUBLE_EQ(newton_schulz_time_s(device, 64, 512, 7), 7 * 5 * iteration_s);
  EXPECT_GT(product_s(64, 512, 4), product_s(64, 512, 2));
}

TEST(Optimizer, AdafactorMakesTwentyOnePasses) {
  EXPECT_DOUBLE_EQ(adafactor_bytes(4), 84);
  EXPECT_GT(adafactor_bytes(4), foreach_adamw_bytes(4));
}

TEST(Optimizer, NewtonSchulzGrowsWithEachDimensionAndCount) {
  const DeviceSpec device = dts_test::round_device();
  const double one_s = newton_schulz_time_s(device, 1024, 4096, 1);
  EXPECT_GT(one_s, 0);
  EXPECT_DOUBLE_EQ(newton_schulz_time_s(device, 1024, 4096, 3), 3 * one_s);
  EXPECT_GT(newton_schulz_time_s(device, 2048, 4096, 1), one_s);
  EXPECT_GT(newton_schulz_time_s(device, 1024, 8192, 1), one_s);
  EXPECT_EQ(newton_schulz_time_s(device, 0, 4096, 1), 0);
}

// 5 (2 m m n + 2 m m m + 2 m n m) FLOPs can run no faster than the sustained rate.
TEST(Optimizer, NewtonSchulzIsNoFasterThanItsFlops) {
  const DeviceSpec device = dts_test::round_device();
  const double m = 4096, n = 16384;
  const double flops = kMuonIterations * (4 * m * m * n + 2 * m * m * m);
  EXPECT_GE(newton_schulz_time_s(device, m, n, 1), flops / matmul_flops(device, DType::BF16, Clock::Burst));
}

TEST(Optimizer, MomentsPerParameter) {
  EXPECT_EQ(moment_bytes(Optimizer::SGD), 0);
  EXPECT_EQ(moment_bytes(Optimizer::Momentum), 4);
  EXPECT_EQ(moment_bytes(Optimizer::Adam), 8);
  EXPECT_EQ(moment_bytes(Optimizer::Adafactor), 0);
  EXPECT_EQ(moment_bytes(Optimizer::Muon), 4);
  EXPECT_DOUBLE_EQ(moment_bytes(Optimizer::Adam8bit), 2 + 8.0 / 256);
}

TEST(Quantise, SwitchBackStoresOneDirection) {
  EXPECT_EQ(stored_directions(QuantiseRecipe::Int8Switch), 1);
  EXPECT_EQ(stored_directions(QuantiseRecipe::Int8Row), 2);
  const DeviceSpec device = dts_test::round_device();
  EXPECT_LT(quantise_time_s(device, QuantiseRecipe::Int8Switch, 1e8, 2),
            quantise_time_s(device, QuantiseRecipe::Int8Row, 1e8, 2));
}

}  // namespace
}  // namespace dts

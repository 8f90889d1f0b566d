#include "compute/memory_bound.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "compute/byte_costs.hpp"
#include "compute/optimizer.hpp"
#include "compute/quantise.hpp"
#include "test_device.hpp"

using dts::DType;
using dts::QuantiseRecipe;

TEST(MemoryBound, FloorPlusBytesOverEachEfficiency) {
  const dts::DeviceSpec d = dts_test::round_device();  // 1 TB/s; 1, 0.5, 0.25 of it; floor 1 us
  EXPECT_DOUBLE_EQ(dts::stream_time_s(d, 1e9), 1e-6 + 1e-3);
  EXPECT_DOUBLE_EQ(dts::norm_time_s(d, 1e9), 1e-6 + 2e-3);
  EXPECT_DOUBLE_EQ(dts::permute_time_s(d, 1e9), 1e-6 + 4e-3);
}

TEST(MemoryBound, NothingToMoveTakesNoTime) {
  const dts::DeviceSpec d = dts_test::round_device();
  EXPECT_EQ(dts::stream_time_s(d, 0), 0);
  EXPECT_EQ(dts::norm_time_s(d, -1), 0);
  EXPECT_EQ(dts::permute_time_s(d, std::nan("")), 0);
  EXPECT_EQ(dts::roofline_time_s(d, DType::BF16, 0, 0), 0);
  EXPECT_EQ(dts::optimizer_time_s(d, 0, 28), 0);
  EXPECT_EQ(dts::quantise_time_s(d, QuantiseRecipe::Fp8Block, 0), 0);
}

TEST(MemoryBound, RooflineJoinsComputeAndMemory) {
  dts::DeviceSpec d = dts_test::round_device();                                    // sustained 50 TFLOP/s
  EXPECT_DOUBLE_EQ(dts::roofline_time_s(d, DType::BF16, 50e9, 1e9), 1e-6 + 2e-3);  // p = 1: added
  d.gemm.overlap_power = 2;
  EXPECT_DOUBLE_EQ(dts::roofline_time_s(d, DType::BF16, 150e9, 4e9), 1e-6 + 5e-3);  // 3 and 4 ms
  EXPECT_DOUBLE_EQ(dts::roofline_time_s(d, DType::BF16, 50e9, 0), 1e-6 + 1e-3);
  EXPECT_TRUE(std::isfinite(dts::roofline_time_s(d, DType::BF16, std::numeric_limits<double>::max(), 1e300)));
}

TEST(Quantise, OnePassPerRecipe) {
  dts::DeviceSpec d = dts_test::round_device();
  d.quantise_fp8_tensor = {5, 0.5, 10e-6};
  d.quantise_fp8_block = {3, 0.25, 2e-6};
  d.quantise_fp4_block = {2.5, 0.5, 4e-6};
  EXPECT_DOUBLE_EQ(dts::quantise_time_s(d, QuantiseRecipe::Fp8Tensor, 1e8), 10e-6 + 1e-3);
  EXPECT_DOUBLE_EQ(dts::quantise_time_s(d, QuantiseRecipe::Fp8Block, 1e8), 2e-6 + 1.2e-3);
  EXPECT_DOUBLE_EQ(dts::quantise_time_s(d, QuantiseRecipe::Fp4Block, 1e8), 4e-6 + 0.5e-3);
}

TEST(Quantise, TheSecondDirectionIsWrittenToo) {
  // A block recipe reads 2 bytes of an element and writes what is left, for both directions of the tensor; each of
  // three tensors is a kernel of its own. A scale for the whole tensor serves both directions.
  dts::DeviceSpec d = dts_test::round_device();
  d.quantise_fp8_tensor = {5, 0.5, 10e-6};
  d.quantise_fp4_block = {2.5, 0.5, 4e-6};
  EXPECT_DOUBLE_EQ(dts::quantise_time_s(d, QuantiseRecipe::Fp4Block, 1e8, 2, 3), 12e-6 + 0.6e-3);
  EXPECT_DOUBLE_EQ(dts::quantise_time_s(d, QuantiseRecipe::Fp8Tensor, 1e8, 2), 10e-6 + 1e-3);
}

TEST(Optimizer, BytesPerParameter) {
  EXPECT_EQ(dts::fused_update_bytes(2), 28);           // Adam: w, m, v both ways, g read
  EXPECT_EQ(dts::fused_update_bytes(2, 4, 4, 2), 30);  // and a bf16 copy
  EXPECT_EQ(dts::fused_update_bytes(1), 20);           // momentum
  EXPECT_EQ(dts::fused_update_bytes(0), 12);           // SGD
  EXPECT_EQ(dts::foreach_adamw_bytes(2), 38);
}

TEST(Optimizer, UsesTheMultiTensorBandwidth) {
  const dts::DeviceSpec d = dts_test::round_device();
  EXPECT_DOUBLE_EQ(dts::optimizer_time_s(d, 1e9, 28), 1e-6 + 28e-3 / 0.8);
}

TEST(ByteCosts, Embedding) {
  EXPECT_EQ(dts::embedding_forward_bytes(10, 100, 2), 4000);
  EXPECT_EQ(dts::embedding_backward_bytes(10, 100, 2, 1000, false), 4000);
  EXPECT_EQ(dts::embedding_backward_bytes(10, 100, 2, 1000, true), 404000);
}

TEST(ByteCosts, CrossEntropy) {
  EXPECT_EQ(dts::cross_entropy_bytes_per_logit(true, 2, false) + dts::cross_entropy_bytes_per_logit(true, 2, true), 10);
  EXPECT_EQ(dts::cross_entropy_bytes_per_logit(false, 4, false), 16);
  EXPECT_EQ(dts::cross_entropy_bytes_per_logit(false, 2, false), 22);  // and a cast to fp32
  EXPECT_EQ(dts::cross_entropy_bytes_per_logit(false, 2, true), 38);
}

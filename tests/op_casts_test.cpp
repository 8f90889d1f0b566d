// Casts around products of 8 and 4 bits: the input as it is read, both ways where the weight gradient reads it narrow
// too.
#include <gtest/gtest.h>

#include "compute/quantise.hpp"
#include "op_case.hpp"

namespace {

using namespace dts;
using namespace dts::test;
using Case = OpCase;

double cast_s(const Case& c, double elements, int directions, double tensors = 1) {
  return quantise_time_s(c.device, c.recipe, elements, directions, tensors);
}

TEST(OpCasts, NarrowProductsCastTheirOperands) {
  Case c(OpKind::Matmul);
  c.precision = DType::FP8, c.recipe = QuantiseRecipe::Fp8Block;
  const double forward_s = c.gemm_s({100, 128, 64}, kForward, 2, DType::FP8);
  const double data_s = c.gemm_s({100, 64, 128}, kData, 2, DType::FP8);
  EXPECT_DOUBLE_EQ(c.seconds(kForward), cast_s(c, 6400, 2) + forward_s);
  EXPECT_DOUBLE_EQ(c.seconds(kData), cast_s(c, 12800, 2) + data_s);
  EXPECT_EQ(c.timer().recast_s(c.local), 0);
  EXPECT_EQ(c.timer().weight_cast_s(c.local, 8192, 2), cast_s(c, 8192, 2));
  EXPECT_EQ(c.kernels(), 2);
  c.local.cast_share = c.local.grad_cast_share = 0.25;  // cast before they are gathered, a quarter here
  EXPECT_DOUBLE_EQ(c.seconds(kForward), cast_s(c, 1600, 2) + forward_s);
  EXPECT_DOUBLE_EQ(c.seconds(kData), cast_s(c, 3200, 2) + data_s);
  c.local.cast_share = c.local.grad_cast_share = 1;
  c.profile.cached_casts = false;  // the weight gradient casts the input anew
  EXPECT_DOUBLE_EQ(c.seconds(kForward), cast_s(c, 6400, 1) + forward_s);
  EXPECT_EQ(c.timer().recast_s(c.local), cast_s(c, 6400, 1));
  c.op.trainable = false;
  EXPECT_EQ(c.timer().recast_s(c.local), 0);
  EXPECT_DOUBLE_EQ(c.seconds(kData), cast_s(c, 12800, 1) + data_s);
  c.profile.cached_casts = true;
  EXPECT_DOUBLE_EQ(c.seconds(kForward), cast_s(c, 6400, 1) + forward_s);
  c.op.in_features = 63;  // below 64 features products stay in 16 bits
  EXPECT_FALSE(c.timer().casts(c.local));
  EXPECT_EQ(c.seconds(kForward), c.gemm_s({100, 128, 64}, kForward));
  EXPECT_EQ(c.kernels(), 1);
  c.op.in_features = 64;
  EXPECT_TRUE(c.timer().casts(c.local));
  c.precision = DType::BF16;
  EXPECT_FALSE(c.timer().casts(c.local));
}

TEST(OpCasts, TensorwiseCastsAreTwoKernelsAndSwitchBackKeepsItsWeightGradientWide) {
  Case c(OpKind::Matmul);
  c.precision = DType::FP8;
  EXPECT_EQ(c.kernels(), 3);
  c.precision = DType::INT8, c.recipe = QuantiseRecipe::Int8Switch;
  c.device.rates[index_of(DType::INT8)] = {200e12, 1, 0.5};
  EXPECT_EQ(c.timer().weight_grad_type(), DType::BF16);
  EXPECT_EQ(c.seconds(kWeight), c.gemm_s({64, 128, 100}, kWeight, c.profile.grad_accumulate_bytes));
  EXPECT_DOUBLE_EQ(c.seconds(kForward), cast_s(c, 6400, 1) + c.gemm_s({100, 128, 64}, kForward, 2, DType::INT8));
  c.profile.cached_casts = false;
  EXPECT_EQ(c.timer().recast_s(c.local), 0);
}

// What a norm has just written it writes narrow too, where it knows the scale; of a scale per tensor the maximum.
TEST(OpCasts, ProducersCast) {
  Case c(OpKind::Matmul);
  c.precision = DType::FP8, c.profile.fused_casts = true, c.local.fresh_input = true;
  const double product_s = c.gemm_s({100, 128, 64}, kForward, 2, DType::FP8);
  c.recipe = QuantiseRecipe::Fp8Delayed;  // a byte an element, at 1 TB/s
  EXPECT_DOUBLE_EQ(c.seconds(kForward), 6400 / 1e12 + product_s);
  c.recipe = QuantiseRecipe::Fp8Block;  // its scales come after the rows
  EXPECT_DOUBLE_EQ(c.seconds(kForward), cast_s(c, 6400, 2) + product_s);
  c.recipe = QuantiseRecipe::Mxfp8;  // both directions
  EXPECT_DOUBLE_EQ(c.seconds(kForward), 2 * 6400 / 1e12 + product_s);
  c.device.gemm_fp8.block_scaled_rate = 0.5;
  EXPECT_DOUBLE_EQ(c.seconds(kForward), 2 * 6400 / 1e12 + 2 * product_s);
  c.recipe = QuantiseRecipe::Fp8Tensor;
  EXPECT_DOUBLE_EQ(c.seconds(kForward), quantise_time_s(c.device, QuantiseRecipe::Fp8Delayed, 6400, 2) + product_s);
  c.local.fresh_input = false;
  EXPECT_DOUBLE_EQ(c.seconds(kForward), cast_s(c, 6400, 2) + product_s);
}

TEST(OpCasts, EveryExpertCastsItsRows) {
  Case c(OpKind::GroupedMatmul);
  c.op.sharding = Sharding::ExpertColumn, c.op.rows = Rows::Routed, c.op.experts = 4, c.local.local_experts = 4;
  c.precision = DType::FP8, c.recipe = QuantiseRecipe::Fp8Block;
  const auto cast = [&](double tensors) { return cast_s(c, 8192, 1, tensors); };
  EXPECT_EQ(c.timer().weight_cast_s(c.local, 8192, 1), cast(1));
  c.profile.grouped_single_launch = false;
  EXPECT_EQ(c.timer().weight_cast_s(c.local, 8192, 1), cast(4));
  c.local.local_experts = 0.5;  // part of one
  EXPECT_EQ(c.timer().weight_cast_s(c.local, 8192, 1), cast(1));
  c.local.local_experts = 4, c.recipe = QuantiseRecipe::Fp8Delayed;
  EXPECT_EQ(c.timer().weight_cast_s(c.local, 8192, 1), cast(1));
  // Kernels that make the gate take its casts too: of what they read beside it, and of the gradient they hand on.
  c.profile.fused_experts = true, c.local.fresh_input = true;
  EXPECT_TRUE(c.timer().cast_by_experts(c.local, true));
  EXPECT_FALSE(c.timer().cast_by_experts(c.local, false));
  Case dense(OpKind::Matmul);
  dense.profile.fused_experts = true;
  EXPECT_FALSE(dense.timer().cast_by_experts(dense.local, true));
}

TEST(OpCasts, RecipesOfPrecisions) {
  EXPECT_EQ(quantise_recipe(DType::FP4, Fp8Recipe::Delayed, Int8Recipe::Rowwise), QuantiseRecipe::Fp4Block);
  EXPECT_EQ(quantise_recipe(DType::INT8, Fp8Recipe::Delayed, Int8Recipe::Rowwise), QuantiseRecipe::Int8Row);
  EXPECT_EQ(quantise_recipe(DType::INT8, Fp8Recipe::Delayed, Int8Recipe::SwitchBack), QuantiseRecipe::Int8Switch);
  EXPECT_EQ(quantise_recipe(DType::FP8, Fp8Recipe::Delayed, Int8Recipe::SwitchBack), QuantiseRecipe::Fp8Delayed);
  EXPECT_EQ(quantise_recipe(DType::FP8, Fp8Recipe::Tensorwise, Int8Recipe::Rowwise), QuantiseRecipe::Fp8Tensor);
}

}  // namespace

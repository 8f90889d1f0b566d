#include <gtest/gtest.h>

#include <stdexcept>

#include "compute/memory_bound.hpp"
#include "compute/quantise.hpp"
#include "memory_blocks.hpp"
#include "parallel/local_op.hpp"
#include "pricing/op_cost.hpp"
#include "test_device.hpp"

namespace {

using namespace dts;

constexpr double kHidden = 256, kInner = 512, kTokens = 1024, kExperts = 8, kTopK = 2;

const Block kMoe{"moe", test::moe_feed_forward(kHidden, kInner, kExperts, kTopK)};

LocalSizes sizes(int ep = 1) {
  LocalSizes s;
  s.tokens = kTokens, s.samples = 2, s.seq_len = 512, s.ep = ep;
  return s;
}

const LocalOp& find(const std::vector<LocalOp>& ops, OpKind kind) {
  for (const LocalOp& op : ops) {
    if (op.op->kind == kind) return op;
  }
  throw std::logic_error("no such op");
}

// Forward of an expert matmul without one cast of all its rows at once.
double product_s(const DeviceSpec& device, const FrameworkProfile& profile, QuantiseRecipe recipe) {
  const LocalSizes s = sizes();
  const std::vector<LocalOp> ops = lower_block(kMoe, s);
  const LocalOp& matmul = find(ops, OpKind::GroupedMatmul);
  const OpTimer timer{device, profile, s, DType::FP8, recipe};
  return timer.forward_s(matmul) - quantise_time_s(device, recipe, matmul.rows * matmul.in, 2);
}

TEST(ExpertPricing, PermutationMovesEveryRoutedRowOnce) {
  const DeviceSpec device = dts_test::round_device();
  const FrameworkProfile profile;
  const LocalSizes s = sizes();
  const OpTimer timer{device, profile, s, DType::BF16};
  const double bytes = 2 * 2 * kTokens * kTopK * kHidden;  // read and written, two bytes each
  for (OpKind kind : {OpKind::Dispatch, OpKind::Combine}) {
    EXPECT_DOUBLE_EQ(timer.forward_s(find(lower_block(kMoe, s), kind)), permute_time_s(device, bytes));
  }
}

TEST(ExpertPricing, ExchangesThatOrderRowsThemselvesHaveTheirOwnPasses) {
  const DeviceSpec device = dts_test::round_device();
  FrameworkProfile profile;
  profile.permute_passes = 3;
  profile.deepep_permute_passes = 1.5;
  LocalSizes s = sizes();
  const double row_bytes = 2 * 2 * kTokens * kTopK * kHidden;
  const auto dispatch_bytes = [&] {
    return OpTimer{device, profile, s, DType::BF16}.bytes(find(lower_block(kMoe, s), OpKind::Dispatch),
                                                          GemmPass::Forward);
  };
  EXPECT_DOUBLE_EQ(dispatch_bytes(), 3 * row_bytes);
  s.routing.dispatcher = Dispatcher::DeepEP;
  EXPECT_DOUBLE_EQ(dispatch_bytes(), 1.5 * row_bytes);
}

TEST(ExpertPricing, RowsOfEachExpertAreCastByAKernelOfTheirOwn) {
  const DeviceSpec device = dts_test::round_device();
  FrameworkProfile profile;
  profile.grouped_single_launch = false;
  const double one_by_one_s = product_s(device, profile, QuantiseRecipe::Fp8Tensor);
  const double all_at_once_s = product_s(device, profile, QuantiseRecipe::Fp8Delayed);
  const double floor_s = device.quantise_fp8_tensor.floor_s;
  EXPECT_NEAR(one_by_one_s - all_at_once_s, (kExperts - 1) * floor_s, 1e-12);
  profile.grouped_single_launch = true;
  EXPECT_NEAR(product_s(device, profile, QuantiseRecipe::Fp8Tensor),
              product_s(device, profile, QuantiseRecipe::Fp8Delayed), 1e-12);
}

TEST(ExpertPricing, BlockScaledProductsHaveTheirOwnRate) {
  DeviceSpec device = dts_test::round_device();
  const FrameworkProfile profile;
  const double per_tensor_s = product_s(device, profile, QuantiseRecipe::Fp8Tensor);
  const double block_scaled_s = product_s(device, profile, QuantiseRecipe::Mxfp8);
  EXPECT_NEAR(block_scaled_s, per_tensor_s, 1e-12);
  device.gemm_fp8.block_scaled_rate = 0.8;
  EXPECT_NEAR(product_s(device, profile, QuantiseRecipe::Mxfp8), block_scaled_s / 0.8, 1e-12);
  EXPECT_NEAR(product_s(device, profile, QuantiseRecipe::Fp8Tensor), per_tensor_s, 1e-12);
}

TEST(ExpertPricing, ExpertActivationsWorkOnRoutedRows) {
  const std::vector<LocalOp> ops = lower_block(kMoe, sizes(4));
  EXPECT_EQ(find(ops, OpKind::Activation).rows, kTokens * kTopK);
}

}  // namespace

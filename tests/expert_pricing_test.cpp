#include <gtest/gtest.h>

#include <stdexcept>

#include "compute/memory_bound.hpp"
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

TEST(ExpertPricing, ExpertActivationsWorkOnRoutedRows) {
  const std::vector<LocalOp> ops = lower_block(kMoe, sizes(4));
  EXPECT_EQ(find(ops, OpKind::Activation).rows, kTokens * kTopK);
}

}  // namespace

#include "compute_model.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "compute/memory_bound.hpp"
#include "compute/optimizer.hpp"
#include "error.hpp"
#include "test_device.hpp"

using dts::ComputeModel;
using dts::DType;

namespace {

const dts::GenericWork kWork{1e9, 50, 1e6, DType::BF16};

}  // namespace

TEST(ComputeModel, OnePassByHand) {
  const dts::OpProfile p = dts::pass_profile(kWork);
  EXPECT_EQ(p.flops, 1e11);             // 2 FLOPs per parameter and sample
  EXPECT_EQ(p.bytes, 2e9 + 2 * 100e6);  // weights, activations written and read
  EXPECT_EQ(dts::pass_profile({1e9, 0, 1e6, DType::BF16}).bytes, 0);
}

TEST(ComputeModel, PricesByTheFormulas) {
  const dts::DeviceSpec d = dts_test::round_device();
  const ComputeModel model(8, d);
  EXPECT_DOUBLE_EQ(model.forward_time_s(kWork), 1e-6 + 2e-3 + 2.2e-3);  // 50 TFLOP/s, 1 TB/s, added
  EXPECT_DOUBLE_EQ(model.backward_time_s(kWork), 2 * model.forward_time_s(kWork));
  EXPECT_EQ(model.weight_update_time_s(1e9, 28), dts::optimizer_time_s(d, 1e9, 28));
  EXPECT_EQ(model.op_time_s({1e12, 1e9, DType::BF16}), dts::roofline_time_s(d, DType::BF16, 1e12, 1e9));
  EXPECT_EQ(model.matmul_time_s({512, 512, 512}, DType::BF16),
            dts::gemm_time_s(d, DType::BF16, {512, 512, 512}, dts::GemmPass::Forward, 2));
  dts::AttentionShape a;
  a.heads = a.kv_heads = 16, a.q_len = a.kv_len = 1024, a.qk_dim = a.v_dim = 64;
  EXPECT_EQ(model.attention_time_s(a, DType::BF16, true), dts::flash_attention_time_s(d, DType::BF16, a, true, true));
}

TEST(ComputeModel, TheSlowestDeviceDecides) {
  ComputeModel model(4, dts_test::round_device());
  const double even = model.forward_time_s(kWork);
  model.set_speed(2, 0.5);
  EXPECT_DOUBLE_EQ(model.forward_time_s(kWork), 2 * even);
  EXPECT_DOUBLE_EQ(model.forward_time_s(kWork, 0), even);
  model.set_speed(2, 1);
  EXPECT_DOUBLE_EQ(model.forward_time_s(kWork), even);
  dts::DeviceSpec slow = dts_test::round_device();
  slow.hbm_Bps /= 4;
  model.set_device(3, slow);
  EXPECT_DOUBLE_EQ(model.forward_time_s(kWork), 1e-6 + 2e-3 + 4 * 2.2e-3);
  EXPECT_EQ(model.device(3).hbm_Bps, slow.hbm_Bps);
  EXPECT_DOUBLE_EQ(model.forward_time_s(kWork, 0), even);
}

TEST(ComputeModel, AReplacedDescriptionNoLongerCounts) {
  dts::DeviceSpec slow = dts_test::round_device();
  slow.hbm_Bps /= 4;
  ComputeModel model(1, slow);
  model.set_device(0, dts_test::round_device());
  EXPECT_DOUBLE_EQ(model.forward_time_s(kWork), 1e-6 + 4.2e-3);
}

TEST(ComputeModel, RefusesBadInput) {
  const dts::DeviceSpec d = dts_test::round_device();
  EXPECT_THROW(ComputeModel(0, d), dts::ConfigError);
  EXPECT_THROW(ComputeModel(1, dts::DeviceSpec{}), dts::ConfigError);
  ComputeModel model(2, d);
  EXPECT_THROW(model.device(2), dts::ConfigError);
  EXPECT_THROW(model.set_speed(0, 0), dts::ConfigError);
  EXPECT_THROW(model.set_device(-1, d), dts::ConfigError);
  EXPECT_THROW(model.op_time_s({-1, 1, DType::BF16}), dts::ConfigError);
  try {
    model.forward_time_s({-1, std::numeric_limits<double>::infinity(), 0, DType::BF16});
    FAIL() << "did not throw";
  } catch (const dts::ConfigError& e) {
    EXPECT_EQ(e.violations().size(), 2u);
  }
}

TEST(ComputeModel, IsMadeOfKindsAndSpeeds) {
  const dts::DeviceSpec fast = dts_test::round_device();
  dts::DeviceSpec slow = fast;
  slow.hbm_Bps /= 2;
  const ComputeModel model({fast, slow}, {0, 1, 1}, {1, 1, 0.5});
  const dts::OpProfile copy{0, 1e9, DType::BF16};
  EXPECT_GT(model.op_time_s(copy, 1), model.op_time_s(copy, 0));
  EXPECT_DOUBLE_EQ(model.op_time_s(copy, 2), 2 * model.op_time_s(copy, 1));
  EXPECT_DOUBLE_EQ(model.op_time_s(copy), model.op_time_s(copy, 2));
  EXPECT_THROW(ComputeModel({fast}, {0, 1}, {1, 1}), dts::ConfigError);
  EXPECT_THROW(ComputeModel({fast}, {0, 0}, {1}), dts::ConfigError);
  EXPECT_THROW(ComputeModel({fast}, {0}, {0}), dts::ConfigError);
  EXPECT_THROW(ComputeModel({fast}, {}, {}), dts::ConfigError);
}

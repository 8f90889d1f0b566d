#include "hardware/device.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "error.hpp"
#include "test_device.hpp"

using dts::DType;

namespace {

std::string problems_of(const dts::DeviceSpec& device) {
  try {
    dts::check_device(device);
  } catch (const dts::ConfigError& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST(Device, GenericConstantsAreLegalOnceThereIsAPeak) {
  dts::DeviceSpec d;
  EXPECT_NE(problems_of(d).find("device.rates: got no type with a peak"), std::string::npos);
  d.rates[dts::index_of(DType::BF16)].peak_flops = 1e14;
  EXPECT_EQ(problems_of(d), "");
}

TEST(Device, ReportsEveryUnphysicalField) {
  dts::DeviceSpec d = dts_test::round_device();
  d.hbm_Bps = 0;
  d.sm_count = 0;
  d.gemm.wave_quantisation = 1.5;
  d.gemm_fp8.overlap_power = std::numeric_limits<double>::quiet_NaN();
  d.attention_forward.rate_d128 = 0.9;  // more than twice the rate at 64
  d.attention_backward.block_q = -1;
  d.memory.stream_efficiency = 2;
  d.quantise_fp8_block.efficiency = 0;
  d.rates[dts::index_of(DType::BF16)].burst_share = 0;
  const std::string text = problems_of(d);
  for (const char* where :
       {"device.hbm_Bps", "device.sm_count", "device.gemm.wave_quantisation", "device.gemm_fp8.overlap_power",
        "device.attention_forward.rate_*", "device.attention_backward.block_q", "device.memory.stream_efficiency",
        "device.quantise_fp8_block.efficiency", "device.rates[bf16].burst_share"})
    EXPECT_NE(text.find(where), std::string::npos) << where << " missing in\n" << text;
}

TEST(Device, FallsBackToAWiderTypeThenToANarrowerOne) {
  dts::DeviceSpec d = dts_test::round_device();
  EXPECT_EQ(dts::compute_dtype(d, DType::BF16), DType::BF16);
  EXPECT_EQ(dts::compute_dtype(d, DType::FP4), DType::BF16);
  EXPECT_EQ(dts::compute_dtype(d, DType::FP32), DType::BF16);  // a matrix unit without fp32
  d.rates[dts::index_of(DType::FP32)].peak_flops = 10e12;
  EXPECT_EQ(dts::compute_dtype(d, DType::FP16), DType::FP32);
  EXPECT_EQ(dts::compute_dtype(d, DType::TF32), DType::FP32);
  d.rates[dts::index_of(DType::FP8)].peak_flops = 200e12;
  EXPECT_EQ(dts::compute_dtype(d, DType::FP4), DType::FP8);
}

TEST(Device, KeepsBurstAndSustainedApart) {
  const dts::DeviceSpec d = dts_test::round_device();
  EXPECT_DOUBLE_EQ(dts::matmul_flops(d, DType::BF16, dts::Clock::Burst), 100e12);
  EXPECT_DOUBLE_EQ(dts::matmul_flops(d, DType::BF16, dts::Clock::Sustained), 50e12);
}

#include "pricing/product_times.hpp"

#include <gtest/gtest.h>

#include <random>

#include "test_device.hpp"

namespace {

using dts::DType;
using dts::GemmPass;

TEST(ProductTimes, AreThoseOfTheProductsInAnyOrder) {
  const dts::DeviceSpec devices[] = {dts_test::round_device(), dts_test::round_device()};
  std::mt19937 random(7);
  const auto pick = [&](int below) { return static_cast<int>(random() % static_cast<unsigned>(below)); };
  dts::ProductTimes known;
  for (int trial = 0; trial < 5000; ++trial) {  // few values each, so that most products come again
    const auto side = [&] { return 64.0 * (1 + pick(4)); };
    const dts::GemmShape shape{side(), side(), side(), static_cast<double>(1 + pick(2))};
    const auto pass = static_cast<GemmPass>(pick(3));
    const DType type = pick(2) == 0 ? DType::BF16 : DType::FP8;
    const double output_bytes = pick(2) == 0 ? 2 : 8;
    const dts::DeviceSpec& device = devices[pick(2)];
    EXPECT_EQ(known.seconds({&device, type, pass, shape, output_bytes}),
              dts::gemm_time_s(device, type, shape, pass, output_bytes));
  }
}

}  // namespace

// One op on one rank, priced alone.
#pragma once

#include "compute/gemm.hpp"
#include "memory_blocks.hpp"
#include "pricing/op_cost.hpp"
#include "test_device.hpp"

namespace dts::test {

inline constexpr GemmPass kForward = GemmPass::Forward, kData = GemmPass::DataGrad, kWeight = GemmPass::WeightGrad;

// 100 rows of 64 features in and 128 out on this rank.
struct OpCase {
  Op op;
  LocalOp local;
  DeviceSpec device = dts_test::round_device();
  FrameworkProfile profile;
  LocalSizes sizes;
  DType precision = DType::BF16;
  QuantiseRecipe recipe = QuantiseRecipe::Fp8Tensor;

  explicit OpCase(OpKind kind) : op(make_op(kind, "op", 64, 128, Sharding::Column)) {
    local.rows = 100, local.in = 64, local.out = 128, local.parameters = 64 * 128;
    sizes.tokens = 100, sizes.samples = 1, sizes.seq_len = 100;
    device.rates[index_of(DType::FP8)] = {200e12, 1, 0.5};
    device.gemm_fp8 = device.gemm;
  }
  OpTimer timer() {
    local.op = &op;
    return {device, profile, sizes, precision, recipe};
  }
  double bytes(GemmPass pass) { return timer().bytes(local, pass); }
  double flops(GemmPass pass) { return timer().flops(local, pass); }
  double seconds(GemmPass pass) {
    const OpTimer t = timer();
    return pass == kForward ? t.forward_s(local) : pass == kData ? t.data_grad_s(local) : t.weight_grad_s(local);
  }
  int kernels() { return timer().kernels(local); }
  double gemm_s(const GemmShape& shape, GemmPass pass, double output_bytes = 2, DType type = DType::BF16) const {
    return gemm_time_s(device, type, shape, pass, output_bytes);
  }
};

}  // namespace dts::test

#include "compute/gemm.hpp"

#include "compute/tiled.hpp"

namespace dts {
namespace {

// Weight gradients (transposed operands) run at 0.97 of the forward rate once their output bytes are charged, data
// gradients at the forward rate: SimuMax tables, A100 and B200.
constexpr double kWeightGradRate = 0.97;

}  // namespace

GemmShape pass_shape(const GemmShape& f, GemmPass pass) noexcept {
  if (pass == GemmPass::Forward) return f;
  if (pass == GemmPass::DataGrad) return {f.m, f.k, f.n, f.batch};
  return {f.k, f.n, f.m, f.batch};
}

double layout_rate(GemmPass pass) noexcept { return pass == GemmPass::WeightGrad ? kWeightGradRate : 1; }

double product_bytes(const GemmShape& s, DType t, double output_bytes_per_element) noexcept {
  return s.batch * (operand_bytes(t) * (s.m * s.k + s.n * s.k) + output_bytes_per_element * s.m * s.n);
}

double operand_bytes(DType t) noexcept {
  return t == DType::FP4 ? 0.5625 : bytes_of(t);  // fp4: one scale byte per 16 elements
}

double gemm_time_s(const DeviceSpec& device, DType dtype, const GemmShape& shape, GemmPass pass,
                   double output_bytes_per_element, Clock clock) noexcept {
  const DType t = compute_dtype(device, dtype);
  const double flops = matmul_flops(device, t, clock) * layout_rate(pass);
  return tiled_time_s(device, gemm_constants(device, t),
                      {shape, product_bytes(shape, t, output_bytes_per_element), flops, true});
}

}  // namespace dts

#include "compute/conv.hpp"

#include "compute/tiled.hpp"

namespace dts {
namespace {

double tensor_bytes(const ConvShape& s, GemmPass pass, double element_bytes, double output_bytes) noexcept {
  const double input = s.samples * s.input_positions * s.in_channels;
  const double output = s.samples * s.output_positions * s.out_channels;
  const double weight = s.in_channels * s.out_channels / s.groups * s.kernel_area;
  if (pass == GemmPass::Forward) return element_bytes * (input + weight) + output_bytes * output;
  if (pass == GemmPass::DataGrad) return element_bytes * (output + weight) + output_bytes * input;
  return element_bytes * (input + output) + output_bytes * weight;
}

}  // namespace

GemmShape conv_gemm(const ConvShape& s, GemmPass pass) noexcept {
  const double in = s.in_channels / s.groups, out = s.out_channels / s.groups;
  const double pixels = s.samples * s.output_positions;
  if (pass == GemmPass::Forward) return {pixels, out, in * s.kernel_area, s.groups};
  // A stride leaves each input pixel with only its share of the kernel taps.
  const double taps = s.kernel_area * s.output_positions / s.input_positions;
  if (pass == GemmPass::DataGrad) return {s.samples * s.input_positions, in, out * taps, s.groups};
  return {out, in * s.kernel_area, pixels, s.groups};
}

double conv_bytes(const DeviceSpec& device, DType dtype, const ConvShape& shape, GemmPass pass,
                  double output_bytes_per_element) noexcept {
  return tensor_bytes(shape, pass, operand_bytes(compute_dtype(device, dtype)), output_bytes_per_element);
}

double conv_time_s(const DeviceSpec& device, DType dtype, const ConvShape& shape, GemmPass pass,
                   double output_bytes_per_element, Clock clock) noexcept {
  const DType t = compute_dtype(device, dtype);
  return tiled_time_s(device, gemm_constants(device, t),
                      {conv_gemm(shape, pass), tensor_bytes(shape, pass, operand_bytes(t), output_bytes_per_element),
                       matmul_flops(device, t, clock) * layout_rate(pass), true});
}

}  // namespace dts

#include "compute/grouped.hpp"

#include "compute/numeric.hpp"
#include "compute/tiled.hpp"

namespace dts {
namespace {

double grouped_rate(const GroupedKernel& k, GemmPass pass) noexcept {
  if (pass == GemmPass::Forward) return k.forward_rate;
  return pass == GemmPass::DataGrad ? k.data_grad_rate : k.weight_grad_rate;
}

double group_s(const GroupedKernel& k, GemmPass pass) noexcept {
  if (pass == GemmPass::Forward) return k.forward_group_s;
  return pass == GemmPass::DataGrad ? k.data_grad_group_s : k.weight_grad_group_s;
}

double grouped_flops(const DeviceSpec& device, DType t, GemmPass pass, const GroupedKernel& kernel,
                     Clock clock) noexcept {
  return matmul_flops(device, t, clock) * layout_rate(pass) * grouped_rate(kernel, pass);
}

}  // namespace

double grouped_gemm_time_s(const DeviceSpec& device, DType dtype, double groups, const GemmShape& per_group,
                           GemmPass pass, double output_bytes_per_element, const GroupedKernel& kernel,
                           Clock clock) noexcept {
  if (!(groups > 0)) return 0;
  const DType t = compute_dtype(device, dtype);
  GemmShape all = per_group;
  all.batch *= groups;
  const double flops = grouped_flops(device, t, pass, kernel, clock);
  const double time_s = tiled_time_s(device, gemm_constants(device, t),
                                     {all, product_bytes(all, t, output_bytes_per_element), flops, false});
  return time_s > 0 ? saturate(time_s + groups * group_s(kernel, pass)) : 0;
}

double grouped_rows_time_s(const DeviceSpec& device, DType dtype, const std::vector<double>& rows, double out_features,
                           double in_features, GemmPass pass, double output_bytes_per_element,
                           const GroupedKernel& kernel, Clock clock) {
  const DType t = compute_dtype(device, dtype);
  std::vector<GemmShape> shapes;
  shapes.reserve(rows.size());
  double bytes = 0;
  for (double m : rows) {
    if (!(m > 0)) continue;
    shapes.push_back(pass_shape({m, out_features, in_features}, pass));
    bytes += product_bytes(shapes.back(), t, output_bytes_per_element);
  }
  const double flops = grouped_flops(device, t, pass, kernel, clock);
  const double time_s = tiled_time_s(device, gemm_constants(device, t), shapes, bytes, flops);
  return time_s > 0 ? saturate(time_s + static_cast<double>(shapes.size()) * group_s(kernel, pass)) : 0;
}

}  // namespace dts

// 2-D convolution as an implicit matrix product: the tile-and-wave core of gemm.hpp over output positions, but with the
// bytes of the image tensors, since the patch matrix is never stored. Left out: Winograd and FFT algorithms, and
// depthwise kernels that are not matrix products (each group pays a whole tile, so depthwise comes out slow).
#pragma once

#include "compute/gemm.hpp"

namespace dts {

struct ConvShape {
  double samples = 0;
  double in_channels = 0, out_channels = 0;
  double input_positions = 0, output_positions = 0;  // height * width
  double kernel_area = 1;
  double groups = 1;
};

// The product that a pass executes; every pass does the same FLOPs.
GemmShape conv_gemm(const ConvShape& shape, GemmPass pass) noexcept;

// The two tensors read and the one written.
double conv_bytes(const DeviceSpec& device, DType dtype, const ConvShape& shape, GemmPass pass,
                  double output_bytes_per_element) noexcept;

double conv_time_s(const DeviceSpec& device, DType dtype, const ConvShape& shape, GemmPass pass,
                   double output_bytes_per_element, Clock clock = Clock::Sustained) noexcept;

}  // namespace dts

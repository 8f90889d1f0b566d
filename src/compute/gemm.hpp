// Time of a matrix product C[m,n] = A[m,k] B[k,n] on one device: thread blocks over tiles in waves, joined with the
// memory time by a p-norm, minimised over tiles and split-K values (docs/guide/compute.md). Times grow with m and n; in
// k they grow with each doubling, but a larger k can unlock a finer split and then be slightly cheaper. Left out:
// operands that are still in the cache, and the kernel choices of libraries (8-10 % between neighbouring shapes).
#pragma once

#include "hardware/device.hpp"

namespace dts {

struct GemmShape {
  double m = 0, n = 0, k = 0;
  double batch = 1;  // independent products of this shape in one launch
};

enum class GemmPass { Forward, DataGrad, WeightGrad };

// The shape that a pass executes, given the forward shape: dX[m,k] = dY W', dW[k,n] = X' dY.
GemmShape pass_shape(const GemmShape& forward, GemmPass pass) noexcept;

// Bytes per element of a matmul operand as it lies in memory, block scales of 4-bit types included.
double operand_bytes(DType t) noexcept;

// `shape` is the product as executed (see pass_shape). `output_bytes_per_element`: bytes moved per element of C, e.g. 2
// for a bf16 result, 8 when it is accumulated into fp32.
double gemm_time_s(const DeviceSpec& device, DType dtype, const GemmShape& shape, GemmPass pass,
                   double output_bytes_per_element, Clock clock = Clock::Sustained) noexcept;

}  // namespace dts

// The tile-and-wave core that dense, grouped and convolution products share: the callers differ only in the bytes they
// move and in the rate they reach.
#pragma once

#include <vector>

#include "compute/gemm.hpp"

namespace dts {

struct TiledWork {
  GemmShape shape;      // tiles cover m x n, k deep, `batch` times
  double bytes = 0;     // operands read and results written
  double flops = 0;     // matmul rate of the whole machine, FLOP/s
  bool split_k = true;  // whether k may be cut over several thread blocks
};

// Constants that belong to products computed in type `t`.
const GemmConstants& gemm_constants(const DeviceSpec& device, DType t) noexcept;

// Rate of a pass against the forward pass: its operands lie transposed.
double layout_rate(GemmPass pass) noexcept;

// Operands read once and results written once; `output_bytes_per_element` as in gemm_time_s.
double product_bytes(const GemmShape& shape, DType t, double output_bytes_per_element) noexcept;

// Includes the fixed time of one launch; 0 for no work.
double tiled_time_s(const DeviceSpec& device, const GemmConstants& constants, const TiledWork& work) noexcept;

// Products of different shapes in one launch, k not split.
double tiled_time_s(const DeviceSpec& device, const GemmConstants& constants, const std::vector<GemmShape>& shapes,
                    double bytes, double flops) noexcept;

}  // namespace dts

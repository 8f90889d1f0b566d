#include "compute/byte_costs.hpp"

#include "hardware/dtype.hpp"

namespace dts {

double embedding_forward_bytes(double tokens, double hidden, double element_bytes) noexcept {
  return 2 * tokens * hidden * element_bytes;
}

double embedding_backward_bytes(double tokens, double hidden, double element_bytes, double vocabulary,
                                bool dense_gradient) noexcept {
  const double rows = 2 * tokens * hidden * element_bytes;
  return dense_gradient ? rows + vocabulary * hidden * bytes_of(DType::FP32) : rows;
}

double cross_entropy_bytes_per_logit(bool fused, double logit_bytes, bool backward) noexcept {
  if (fused) return (backward ? 2 : 3) * logit_bytes;
  // Eager pass counts: Liger-Kernel benchmark data, A100, fp32 logits, vocabulary 4k-131k.
  constexpr double kFp32 = bytes_of(DType::FP32);
  const double cast = logit_bytes < kFp32 ? logit_bytes + kFp32 : 0;
  return (backward ? 8 : 4) * kFp32 + cast;
}

}  // namespace dts

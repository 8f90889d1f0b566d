#include "pricing/overlap.hpp"

#include <algorithm>

namespace dts {

double beside_s(double compute_s, double transfer_s, double share) noexcept {
  return std::max(transfer_s, compute_s + transfer_s * std::min(share, 1.0));
}

double ring_exchange_s(double chunk_s, double hop_s, double share, int chunks) noexcept {
  return chunk_s + (chunks - 1) * beside_s(chunk_s, hop_s, share);
}

double pipelined_s(double chunk_s, double transfer_s, double share, int chunks) noexcept {
  return chunk_s + (chunks - 1) * beside_s(chunk_s, transfer_s, share) + transfer_s;
}

double ring_forward_s(const std::vector<double>& kernels_s, const std::vector<double>& transfers_s, double share) {
  double before_last = 0, done = 0, arrived = 0;  // ends of kernels i - 2 and i - 1; arrival of what kernel i needs
  for (std::size_t i = 0; i < kernels_s.size(); ++i) {
    const double start = std::max(done, arrived);
    const double transfer_s = i < transfers_s.size() ? transfers_s[i] : 0;
    arrived = std::max(arrived, before_last) + transfer_s;
    before_last = done;
    done = start + kernels_s[i] + transfer_s * std::min(share, 1.0);
  }
  return done;
}

double ring_backward_s(const std::vector<double>& kernels_s, const std::vector<double>& transfers_s, double share) {
  double total = 0;
  for (std::size_t i = 0; i < kernels_s.size(); ++i) total += beside_s(kernels_s[i], transfers_s[i], share);
  return total;
}

}  // namespace dts

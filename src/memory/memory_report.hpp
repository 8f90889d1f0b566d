// What one rank holds at its peak, by category, and what that means for the device. `allocated` is what tensors and
// library workspaces take inside the framework's allocator. `reserved` is what the caching allocator has taken from
// the device for them: an interval, since fragmentation depends on the order of frees. The context (driver, NCCL,
// cuDNN) lies outside both. The replay of an allocator's rules, which narrows the interval, is left out.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace dts {

struct MemoryReport {  // bytes on one rank
  double weights = 0, gradients = 0, optimizer = 0;
  double activations = 0;           // saved for backward
  double temporaries = 0;           // logits, gradients of activations, dummy gradients
  double gathered_parameters = 0;   // unsharded FSDP / ZeRO-3 parameters
  double communication_buffers = 0;
  double workspace = 0;
  double context = 0;               // outside the allocator
  double update = 0;                // allocated while the optimizer updates, all categories

  double allocated() const noexcept {
    return weights + gradients + optimizer + activations + temporaries + gathered_parameters + communication_buffers +
           workspace;
  }
  double device() const noexcept { return allocated() + context; }  // without fragmentation
};

// Category names and bytes in the order above, for tables and charts.
std::vector<std::pair<std::string, double>> categories(const MemoryReport& report);

// Reserved over predicted allocated peak: median, and the 10th and 90th percentile of the runs it was read from.
struct ReservedFactor {
  double low = 1, central = 1, high = 1;
};
inline constexpr ReservedFactor kReservedFsdp{1.02, 1.045, 1.07};  // torchtitan FSDP, 6 runs: median 1.045, +-2.3 %
// nanotron sweep on 80 GB H100, 1,110 runs, by tensor-parallel size.
ReservedFactor measured_reserved_factor(int tp);

struct ReservedBytes {
  double low = 0, central = 0, high = 0;
};
ReservedBytes reserved_bytes(const MemoryReport& report, const ReservedFactor& factor);

enum class FitVerdict { Fits, AtRisk, DoesNotFit };

// Fits below 0.76 of the device, does not above 0.95: of 2,262 nanotron jobs on 79.1 GiB, 12 % failed at 50-60 GiB
// of predicted allocated peak, 95 % at 74-80 GiB.
FitVerdict fit_verdict(double allocated_bytes, double device_bytes);
// Share of those jobs that ran out of memory at such a peak: logistic((ln(peak / device) - ln 0.786) / 0.086).
double out_of_memory_probability(double allocated_bytes, double device_bytes);

}  // namespace dts

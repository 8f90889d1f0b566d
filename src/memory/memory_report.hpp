// What one rank holds at its peak, by category, and what that means for the device. `allocated` is what tensors and
// library workspaces take inside the framework's allocator. `reserved` is what the caching allocator has taken from
// the device for them: an interval, since fragmentation depends on the order of frees
// (memory/caching_allocator.hpp replays it). The context, communicators and registered buffers lie
// outside both.
#pragma once

#include <array>
#include <string>
#include <utility>
#include <vector>

namespace dts {

// Bytes by tier, numbered as OffloadTier; what the device itself holds is not among them.
using TierBytes = std::array<double, 4>;

// Communicators of a layout by what runs on them.
enum class CommunicatorKind {
  World,
  TensorParallel,
  ContextParallel,
  DataParallel,
  ExpertParallel,
  ExpertDataParallel,
  Pipeline,
  Embedding
};
inline constexpr std::size_t kCommunicatorKinds = 8;
using CommunicatorBytes = std::array<double, kCommunicatorKinds>;

struct MemoryReport {  // bytes on one rank
  double weights = 0, gradients = 0, optimizer = 0;
  double activations = 0;          // saved for backward
  double temporaries = 0;          // logits, gradients of activations, dummy gradients
  double gathered_parameters = 0;  // unsharded FSDP / ZeRO-3 parameters
  double communication_buffers = 0;
  double workspace = 0;
  // Outside the allocator:
  double context = 0;                 // of the driver, with loaded kernels
  CommunicatorBytes communicators{};  // the collective library's buffers
  double user_buffers = 0;            // registered for matmuls that run beside their collectives
  double update = 0;                  // allocated while the optimizer updates, all categories
  TierBytes tiers{};                  // what is offloaded, for this rank

  double host_bytes() const noexcept { return tiers[1]; }
  double nvme_bytes() const noexcept { return tiers[2]; }
  double remote_bytes() const noexcept { return tiers[3]; }

  double allocated() const noexcept {
    return weights + gradients + optimizer + activations + temporaries + gathered_parameters + communication_buffers +
           workspace;
  }
  double communicator_bytes() const noexcept {
    double sum = 0;
    for (double bytes : communicators) sum += bytes;
    return sum;
  }
  double outside() const noexcept { return context + communicator_bytes() + user_buffers; }
  double device() const noexcept { return allocated() + outside(); }  // without fragmentation
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

// Chance of running out of memory where a job takes `needed` bytes as an allocator typically reserves them at failure,
// of `room` on the device: half where they are equal. logistic(ln(needed / room) / 0.086), the width read off 2,262
// nanotron jobs on 80 GB devices. 0 for a job that needs nothing, 1 where there is no room.
double out_of_memory_probability(double needed_bytes, double room_bytes);
// Fits: fewer than one such job in four failed; does not: half and more did.
FitVerdict fit_verdict(double out_of_memory_probability);

}  // namespace dts

// The tiers a training job can keep bytes in, and the time to move bytes between them.
// HBM belongs to one device. CPU (host memory) and DISK (local NVMe) are shared by the devices of a node, REMOTE
// (storage over the network) by all devices. A tier's bandwidth is what one device gets of it while every device of
// the node uses it. A move passes the host unless it starts or ends there, takes the latency of every tier on its path
// and runs, pipelined, at the slowest one's bandwidth. Reads and writes are taken to be equally fast.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace dts {

class Checker;

enum class MemoryTier { HBM, CPU, DISK, REMOTE };
inline constexpr std::size_t kTierCount = 4;
inline constexpr std::array<std::string_view, kTierCount> kTierNames = {"HBM", "CPU", "DISK", "REMOTE"};
constexpr std::size_t index_of(MemoryTier t) noexcept { return static_cast<std::size_t>(t); }
constexpr std::string_view name_of(MemoryTier t) noexcept { return kTierNames[index_of(t)]; }

// Sizes up to here are counted exactly.
inline constexpr double kLargestBytes = 9007199254740992.0;  // 2^53, 9 PB

struct TierSpec {
  double capacity_bytes = 0;  // HBM: of one device; CPU and DISK: of a node; REMOTE: of the job
  double bandwidth_Bps = 0;   // per device
  double latency_s = 0;       // before the first byte
};
using Tiers = std::array<TierSpec, kTierCount>;

// HBM and host as the generic device and node (hardware/device.hpp, hardware/cluster.hpp). DISK: one NVMe drive per
// device, 3.1 GiB/s (NVIDIA GPUDirect Storage guide, "Test GDS": NVMe -> host -> HBM). REMOTE: half a 400 Gb/s NIC,
// as large as can be counted. Latencies are orders of magnitude: DRAM access, PCIe copy launch, flash read, network
// file system.
Tiers default_tiers();
void check_tiers(const Tiers& tiers, Checker& check);

// Zero when `from` is `to`: nothing moves.
double transfer_seconds(const Tiers& tiers, double bytes, MemoryTier from, MemoryTier to);

}  // namespace dts

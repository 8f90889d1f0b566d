#include "memory/tier.hpp"

#include <algorithm>
#include <string>

#include "error.hpp"
#include "hardware/cluster.hpp"
#include "units.hpp"

namespace dts {

Tiers default_tiers() {
  const NodeSpec node;
  return {{{node.device.hbm_bytes, node.device.hbm_Bps, 1e-6},
           {node.host_bytes, node.host_Bps, 10e-6},
           {30e12, 3.135 * kGiB, 100e-6},
           {kLargestBytes, node.nic_Bps / 2, 1e-3}}};
}

void check_tiers(const Tiers& tiers, Checker& check) {
  for (std::size_t i = 0; i < kTierCount; ++i) {
    const std::string tier(kTierNames[i]);
    if (check.positive(tier + ".capacity_bytes", tiers[i].capacity_bytes)) {
      check.require(tiers[i].capacity_bytes <= kLargestBytes, tier + ".capacity_bytes",
                    number_text(tiers[i].capacity_bytes), "at most 2^53 bytes (9 PB)");
    }
    const double rate = tiers[i].bandwidth_Bps, latency = tiers[i].latency_s;
    check.require(rate >= 1 && rate <= 1e18, tier + ".bandwidth_Bps", number_text(rate), "1 B/s to 1e+18 B/s");
    check.require(latency >= 0 && latency <= 1e9, tier + ".latency_s", number_text(latency), "0 to 1e+09 s");
  }
}

double transfer_seconds(const Tiers& tiers, double bytes, MemoryTier from, MemoryTier to) {
  if (from == to) return 0;
  const TierSpec& a = tiers[index_of(from)];
  const TierSpec& b = tiers[index_of(to)];
  double latency_s = a.latency_s + b.latency_s;
  double bandwidth_Bps = std::min(a.bandwidth_Bps, b.bandwidth_Bps);
  if (from != MemoryTier::CPU && to != MemoryTier::CPU) {
    const TierSpec& host = tiers[index_of(MemoryTier::CPU)];
    latency_s += host.latency_s;
    bandwidth_Bps = std::min(bandwidth_Bps, host.bandwidth_Bps);
  }
  return latency_s + bytes / bandwidth_Bps;
}

}  // namespace dts

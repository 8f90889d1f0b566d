// A job as the simulator takes it: what is trained, on what, how. Descriptions are checked once, here.
#pragma once

#include "comm/interconnect.hpp"
#include "hardware/device.hpp"
#include "parallel/profile.hpp"
#include "parallel/strategy.hpp"
#include "pricing/group_pricer.hpp"
#include "workload/model.hpp"

namespace dts {

// A tier below the host, as one device gets it while all devices of the node use it; 0 = there is none, or unknown.
struct TierRate {
  double read_Bps = 0, write_Bps = 0;
};
// A device's part of its node's host and of what lies behind it.
struct HostShare {
  double copy_Bps = 0;    // between device and host memory, per direction; 0 = unknown
  double memory_Bps = 0;  // of the host's memory; 0 = unknown
  TierRate nvme{}, remote{};

  // Null for tiers that the host's memory is, or that nothing lies in.
  const TierRate* behind(OffloadTier tier) const noexcept {
    return tier == OffloadTier::Nvme ? &nvme : tier == OffloadTier::Remote ? &remote : nullptr;
  }
};

struct Job {
  const ModelSpec& model;
  const DeviceSpec& device;  // of the cluster's node
  const Interconnect& network;
  Strategy strategy;
  FrameworkProfile profile;
  double seq_len = 1;
  std::vector<DeviceSpec> other_devices{};  // of the network's further kinds of nodes
  AxisKinds kinds = kOneKind;               // kinds of nodes that the groups of the ranks in question touch
  HostShare host{};                         // of the slowest node

  double tokens_per_sample() const noexcept { return model.tokens_per_sample > 0 ? model.tokens_per_sample : seq_len; }
  const DeviceSpec& device_of(int kind) const {
    return kind == 0 ? device : other_devices[static_cast<std::size_t>(kind) - 1];
  }
  int micro_batches() const noexcept { return strategy.global_batch / (strategy.dp * strategy.micro_batch); }
};

// Throw ConfigError with every violation: of descriptions, or of what the strategy asks of them; MissingDataError where
// a host is needed and not known.
void check_descriptions(const Job& job);
void check_strategy(const Job& job);
bool is_legal(const Job& job);  // whether check_strategy would accept it

// The profile with what the strategy decides in its place.
FrameworkProfile effective_profile(const Job& job);

}  // namespace dts

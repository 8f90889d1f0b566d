// A job as the simulator takes it: what is trained, on what, how. Descriptions are checked once, here.
#pragma once

#include "comm/interconnect.hpp"
#include "hardware/device.hpp"
#include "parallel/profile.hpp"
#include "parallel/strategy.hpp"
#include "workload/model.hpp"

namespace dts {

// A device's part of its node's host.
struct HostShare {
  double copy_Bps = 0;    // between device and host memory, per direction; 0 = unknown
  double memory_Bps = 0;  // of the host's memory; 0 = unknown
};

struct Job {
  const ModelSpec& model;
  const DeviceSpec& device;  // the slowest of a synchronous job
  const Interconnect& network;
  Strategy strategy;
  FrameworkProfile profile;
  double seq_len = 1;
  HostShare host = {};

  double tokens_per_sample() const noexcept { return model.tokens_per_sample > 0 ? model.tokens_per_sample : seq_len; }
  int micro_batches() const noexcept { return strategy.global_batch / (strategy.dp * strategy.micro_batch); }
};

// Throws ConfigError with every violation of every description, MissingDataError where a host is needed and not known.
void check_job(const Job& job);

// The profile with what the strategy decides in its place.
FrameworkProfile effective_profile(const Job& job);

}  // namespace dts

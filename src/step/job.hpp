// A job as the simulator takes it: what is trained, on what, how. Descriptions are checked once, here.
#pragma once

#include "comm/interconnect.hpp"
#include "hardware/device.hpp"
#include "parallel/profile.hpp"
#include "parallel/strategy.hpp"
#include "workload/model.hpp"

namespace dts {

struct Job {
  const ModelSpec& model;
  const DeviceSpec& device;  // the slowest of a synchronous job
  const Interconnect& network;
  Strategy strategy;
  FrameworkProfile profile;
  double seq_len = 1;

  double tokens_per_sample() const noexcept { return model.tokens_per_sample > 0 ? model.tokens_per_sample : seq_len; }
  int micro_batches() const noexcept { return strategy.global_batch / (strategy.dp * strategy.micro_batch); }
};

// Throws ConfigError with every violation of every description.
void check_job(const Job& job);

}  // namespace dts

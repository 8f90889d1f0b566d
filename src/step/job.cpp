#include "step/job.hpp"

#include <string>

#include "error.hpp"
#include "parallel/layout_check.hpp"

namespace dts {

namespace {

constexpr long long kMaxPasses = 50'000'000;  // forward and backward passes of one folded step

}  // namespace

void check_job(const Job& job) {
  check_model(job.model);
  check_profile(job.profile);
  check_device(job.device);
  for (const DeviceSpec& other : job.other_devices) check_device(other);
  check_layout(job.model, job.strategy, job.network.device_count(), job.tokens_per_sample());
  Checker check;
  const int kinds = static_cast<int>(job.other_devices.size()) + 1;
  check.require(kinds == job.network.node_kinds(), "other_devices", std::to_string(kinds - 1),
                "one per further kind of nodes (" + std::to_string(job.network.node_kinds() - 1) + ")");
  for (int kind = 0; kind < kinds; ++kind) {
    const DeviceSpec& device = job.device_of(kind);
    check.require(device.rate(job.strategy.precision).peak_flops > 0, "strategy.precision",
                  std::string(name_of(job.strategy.precision)), "a type that " + device.name + " computes in");
  }
  const long long passes = 2LL * job.micro_batches() * job.strategy.pp * job.strategy.vpp;
  check.require(passes <= kMaxPasses, "micro-batches * pp * vpp", std::to_string(passes / 2),
                "at most " + std::to_string(kMaxPasses / 2) + " passes of a step", "use a larger micro_batch or more dp");
  check.throw_if_any();
}

}  // namespace dts

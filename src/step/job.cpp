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
  check_layout(job.model, job.strategy, job.network.device_count(), job.tokens_per_sample());
  Checker check;
  check.require(job.device.rate(job.strategy.precision).peak_flops > 0, "strategy.precision",
                std::string(name_of(job.strategy.precision)), "a type that " + job.device.name + " computes in");
  const long long passes = 2LL * job.micro_batches() * job.strategy.pp * job.strategy.vpp;
  check.require(passes <= kMaxPasses, "micro-batches * pp * vpp", std::to_string(passes / 2),
                "at most " + std::to_string(kMaxPasses / 2) + " passes of a step", "use a larger micro_batch or more dp");
  check.throw_if_any();
}

}  // namespace dts

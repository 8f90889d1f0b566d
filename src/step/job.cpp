#include "step/job.hpp"

#include <string>

#include "error.hpp"
#include "parallel/layout_check.hpp"

namespace dts {

namespace {

constexpr long long kMaxPasses = 50'000'000;  // forward and backward passes of one folded step

// Needs the host where something lies there.
void check_host(Checker& check, const Job& job) {
  const Strategy& s = job.strategy;
  const bool copies = s.offload_optimizer || s.offload_activations > 0;
  check.require(!copies || job.host.copy_Bps > 0, [&] {
    return Violation{"node.host_Bps", "unknown", "bytes/s between a device and host memory: the strategy offloads",
                     "give the node its host_Bps"};
  });
  check.require(!s.offload_optimizer || job.host.memory_Bps > 0, [&] {
    return Violation{"node.host_memory_Bps", "unknown", "bytes/s of the host's memory: the update runs there",
                     "give the node its host_memory_Bps"};
  });
}

void check_offload(Checker& check, const Strategy& s) {
  check.require(s.offload_activations >= 0 && s.offload_activations <= 1, [&] {
    return Violation{"strategy.offload_activations", number_text(s.offload_activations), "a share from 0 to 1", ""};
  });
  check.require(!s.offload_parameters || s.zero == 3, [&] {
    return Violation{"strategy.offload_parameters", "true", "false unless parameters are sharded", "use zero=3"};
  });
  check.require(!s.offload_parameters || s.offload_optimizer, [&] {
    return Violation{"strategy.offload_parameters", "true", "false while the optimizer updates on the device",
                     "use offload_optimizer=True"};
  });
  check.require(!s.offload_optimizer || s.optimizer != Optimizer::Muon, [&] {
    return Violation{"strategy.offload_optimizer", "true", "false with optimizer=muon: its iterations are matrix products",
                     "use another optimizer"};
  });
}

// What the cluster and the simulator ask of a legal layout.
void check_beyond_layout(Checker& check, const Job& job) {
  const int kinds = static_cast<int>(job.other_devices.size()) + 1;
  check.require(kinds == job.network.node_kinds(), [&] {
    return Violation{"other_devices", std::to_string(kinds - 1),
                     "one per further kind of nodes (" + std::to_string(job.network.node_kinds() - 1) + ")", ""};
  });
  for (int kind = 0; kind < kinds; ++kind) {
    const DeviceSpec& device = job.device_of(kind);
    check.require(device.rate(job.strategy.precision).peak_flops > 0, [&] {
      return Violation{"strategy.precision", std::string(name_of(job.strategy.precision)), "a type that " + device.name + " computes in",
                       ""};
    });
  }
  check_offload(check, job.strategy);
  const long long passes = 2LL * job.micro_batches() * job.strategy.pp * job.strategy.vpp;
  check.require(passes <= kMaxPasses, [&] {
    return Violation{"micro-batches * pp * vpp", std::to_string(passes / 2),
                     "at most " + std::to_string(kMaxPasses / 2) + " passes of a step", "use a larger micro_batch or more dp"};
  });
}

}  // namespace

FrameworkProfile effective_profile(const Job& job) {
  FrameworkProfile p = job.profile;
  if (job.strategy.grad_dtype == GradDType::Framework) return p;
  const double bytes = job.strategy.grad_dtype == GradDType::FP32 ? 4 : 2;
  p.grad_reduce_bytes = p.main_grad_bytes = bytes;
  if (p.grad_accumulate_bytes > 0) p.grad_accumulate_bytes = 2 * bytes;  // read and written in place
  return p;
}

void check_descriptions(const Job& job) {
  check_model(job.model);
  check_profile(job.profile);
  check_device(job.device);
  for (const DeviceSpec& other : job.other_devices) check_device(other);
}

void check_strategy(const Job& job) {
  Checker layout, rest, host;
  check_layout(layout, job.model, job.strategy, job.network.device_count(), job.tokens_per_sample());
  layout.throw_if_any();
  check_beyond_layout(rest, job);
  rest.throw_if_any();
  check_host(host, job);
  if (!host.ok()) throw MissingDataError(host.violations());
}

bool is_legal(const Job& job) {
  Checker check(Checker::Texts::None);
  check_layout(check, job.model, job.strategy, job.network.device_count(), job.tokens_per_sample());
  if (!check.ok()) return false;
  check_beyond_layout(check, job);
  check_host(check, job);
  return check.ok();
}

}  // namespace dts

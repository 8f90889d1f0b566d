#include "step/plan/job.hpp"

#include <string>

#include "error.hpp"
#include "parallel/layout_check.hpp"

namespace dts {

namespace {

std::string types_of(const DeviceSpec& device) {
  std::string types;
  for (std::size_t i = 0; i < kDTypeCount; ++i) {
    if (device.rate(static_cast<DType>(i)).peak_flops <= 0) continue;
    types += (types.empty() ? "" : ", ") + std::string(kDTypeNames[i]);
  }
  return types;
}

constexpr long long kMaxPasses = 50'000'000;  // forward and backward passes of one folded step

// Needs the host where something lies there or passes it, and each tier that is used.
void check_host(Checker& check, const Job& job) {
  const Strategy& s = job.strategy;
  const bool states = s.offload_optimizer != OffloadTier::None, moves = s.offload_activations > 0;
  if (!states && !moves) return;
  check.require(job.host.copy_Bps > 0, [&] {
    return Violation{"node.host_Bps", "unknown", "bytes/s between a device and host memory: the strategy offloads",
                     "give the node its host_Bps"};
  });
  check.require(!states || s.offload_update == OffloadUpdate::Device || job.host.memory_Bps > 0, [&] {
    return Violation{"node.host_memory_Bps", "unknown", "bytes/s of the host's memory: the update runs there",
                     "give the node its host_memory_Bps, or use offload_update=\"device\""};
  });
  const auto uses = [&](OffloadTier tier) {
    return s.offload_optimizer == tier || s.offload_parameters == tier || (moves && s.activation_tier == tier);
  };
  const auto known = [](const TierRate& rate) { return rate.read_Bps > 0 && rate.write_Bps > 0; };
  check.require(!uses(OffloadTier::Nvme) || known(job.host.nvme), [&] {
    return Violation{"node.nvme_read_Bps, node.nvme_write_Bps", "no NVMe drives known",
                     "bytes/s of the node's drives together: the strategy offloads to nvme",
                     "use tier host, or give the node nvme_bytes, nvme_read_Bps and nvme_write_Bps"};
  });
  check.require(!uses(OffloadTier::Remote) || known(job.host.remote), [&] {
    return Violation{
        "cluster.remote_Bps", "no remote tier known",
        "bytes/s that the cluster reaches remote memory with, and NICs of known rate: the strategy offloads to remote",
        "give the cluster remote_Bps and remote_bytes"};
  });
}

void check_offload(Checker& check, const Strategy& s) {
  const bool states = s.offload_optimizer != OffloadTier::None, parameters = s.offload_parameters != OffloadTier::None;
  const bool moves = s.offload_activations > 0;
  const auto rule = [&](bool ok, const char* where, const char* got, const char* expected, const char* fix) {
    check.require(ok, [&] { return Violation{std::string("strategy.") + where, got, expected, fix}; });
  };
  check.require(s.offload_activations >= 0 && s.offload_activations <= 1, [&] {
    return Violation{"strategy.offload_activations", number_text(s.offload_activations), "a share from 0 to 1", ""};
  });
  rule(!parameters || s.zero == 3, "offload_parameters", "a tier", "none unless parameters are sharded", "use zero=3");
  rule(!parameters || states, "offload_parameters", "a tier", "none while the optimizer's states stay on the device",
       "use offload_optimizer=\"host\"");
  rule(!states || s.optimizer != Optimizer::Muon, "offload_optimizer", "a tier",
       "none with optimizer=muon: its iterations are matrix products", "use another optimizer");
  rule(states || s.offload_update == OffloadUpdate::Host, "offload_update", "device",
       "host unless states are offloaded", "use offload_optimizer=\"host\"");
  rule(s.activation_tier != OffloadTier::None, "activation_tier", "none", "host, nvme or remote",
       "use offload_activations=0 to keep them on the device");
  rule(moves || s.offload_modules.empty(), "offload_modules", "modules", "none while offload_activations is 0",
       "use offload_activations=1.0");
  rule(moves || s.activation_tier == OffloadTier::Host, "activation_tier", "another tier",
       "host while offload_activations is 0", "use offload_activations=1.0");
}

// What the framework, the cluster and the simulator ask of a legal layout.
void check_beyond_layout(Checker& check, const Job& job) {
  const int most = job.profile.zero_under_pp;
  check.require(job.strategy.pp == 1 || job.strategy.zero <= most, [&] {
    return Violation{"strategy.zero", std::to_string(job.strategy.zero),
                     "at most " + std::to_string(most) + " with pipeline stages: " + job.profile.name + " refuses more",
                     "use zero=" + std::to_string(most) + " or pp=1"};
  });
  const int kinds = static_cast<int>(job.other_devices.size()) + 1;
  check.require(kinds == job.network.node_kinds(), [&] {
    return Violation{"other_devices", std::to_string(kinds - 1),
                     "one per further kind of nodes (" + std::to_string(job.network.node_kinds() - 1) + ")", ""};
  });
  for (int kind = 0; kind < kinds; ++kind) {
    const DeviceSpec& device = job.device_of(kind);
    check.require(device.rate(job.strategy.precision).peak_flops > 0, [&] {
      return Violation{"strategy.precision", std::string(name_of(job.strategy.precision)),
                       "a type that " + device.name + " computes in: " + types_of(device), ""};
    });
  }
  check_offload(check, job.strategy);
  const long long passes = 2LL * job.micro_batches() * job.strategy.pp * job.strategy.vpp;
  check.require(passes <= kMaxPasses, [&] {
    return Violation{"micro-batches * pp * vpp", std::to_string(passes / 2),
                     "at most " + std::to_string(kMaxPasses / 2) + " passes of a step",
                     "use a larger micro_batch or more dp"};
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

#include "parallel/strategy_key.hpp"

#include <cstdint>

#include "parallel/recompute_layers.hpp"

namespace dts {

std::size_t hash_of(const Strategy& s) noexcept {
  std::uint64_t hash = 0;
  const auto mix = [&](std::int64_t value) {
    hash = (hash ^ static_cast<std::uint64_t>(value)) * 0x9e3779b97f4a7c15u;
    hash ^= hash >> 29;
  };
  mix(s.dp), mix(s.tp), mix(s.pp), mix(s.vpp), mix(s.cp), mix(s.ep), mix(s.etp), mix(s.zero), mix(s.micro_batch);
  mix(s.global_batch), mix(static_cast<int>(s.recompute) * 64 + static_cast<int>(s.schedule));
  mix(static_cast<int>(s.precision) * 64 + static_cast<int>(s.cp_comm)), mix(s.dp_replicas),
      mix(s.reshard_after_forward);
  mix(static_cast<int>(s.offload_optimizer) * 16 + static_cast<int>(s.offload_parameters) * 2 +
      (s.offload_activations > 0));
  return static_cast<std::size_t>(hash);
}

Strategy grid_part(const Strategy& s) {
  Strategy part;
  part.dp = s.dp, part.tp = s.tp, part.pp = s.pp, part.cp = s.cp, part.ep = s.ep, part.etp = s.etp;
  part.dp_replicas = s.dp_replicas, part.reshard_after_forward = s.reshard_after_forward;
  part.cp_comm = s.cp_comm, part.cp_a2a = s.cp_a2a, part.rank_order = s.rank_order;
  return part;
}

// Narrow types cast weights once a step, spread over its micro-batches, each owner of a shard its own: their number and
// the shards stay in the key. Otherwise ZeRO matters only in that stage 3 gathers frozen weights too, and copies what
// its shards are gathered to. In the usual order the groups inside a pass lie on consecutive blocks of ranks, however
// data and pipeline parallelism divide those blocks.
Strategy block_part(const Strategy& s) {
  Strategy part = s;
  const Strategy none;
  part.vpp = 1, part.schedule = none.schedule;
  const bool narrow = bytes_of(s.precision) < 2;
  if (!narrow) {
    part.global_batch = 1, part.zero = s.zero == 3 ? 3 : 0;
    if (s.zero < 3) part.dp_replicas = none.dp_replicas, part.reshard_after_forward = none.reshard_after_forward;
  } else if (s.zero == 0) {
    part.global_batch = s.global_batch / s.dp;
  }
  if (s.zero < 3 && (!narrow || s.zero == 0) && s.rank_order == none.rank_order) part.dp = s.dp * s.pp, part.pp = 1;
  part.optimizer = none.optimizer, part.optimizer_kernels = none.optimizer_kernels, part.muon_tp = none.muon_tp;
  part.overlap_grad_reduce = part.overlap_param_gather = true;
  part.offload_optimizer = part.offload_parameters = none.offload_parameters;
  part.offload_update = none.offload_update, part.activation_tier = none.activation_tier;
  part.custom_order.clear();
  part.delay_weight_grad = part.optimizer_post_validation = false;
  part.overlap_moe_1f1b = false, part.p2p = none.p2p, part.micro_batch_group = 0;
  if (recomputes_by_place(s)) {  // where a layer stands decides what it is
    part.dp = s.dp, part.pp = s.pp, part.vpp = s.vpp, part.schedule = s.schedule;
    return part;
  }
  part.layers_per_stage.clear();
  part.first_rank_layers = part.last_rank_layers = 0;
  part.embedding_as_layer = part.loss_as_layer = false;
  return part;
}

}  // namespace dts

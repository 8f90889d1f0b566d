// Strategies compared and hashed as a whole: what is priced once is found again by the part of a strategy that it
// depends on, which is a strategy whose other fields have their default values.
#pragma once

#include <cstddef>
#include <tuple>

#include "parallel/strategy.hpp"

namespace dts {

// Every field. One that is forgotten here would let a price stand for another: a test counts them.
inline auto fields_of(const Strategy& s) {
  return std::tie(s.dp, s.tp, s.pp, s.vpp, s.cp, s.ep, s.etp, s.sequence_parallel, s.zero, s.micro_batch,
                  s.global_batch, s.recompute, s.recompute_modules, s.recompute_method, s.recompute_layers, s.schedule,
                  s.optimizer, s.optimizer_kernels, s.muon_tp, s.precision, s.fp8_recipe, s.int8_recipe, s.cp_comm,
                  s.cp_a2a, s.overlap_grad_reduce, s.overlap_param_gather, s.dp_replicas, s.reshard_after_forward,
                  s.grad_dtype, s.offload_optimizer, s.offload_parameters, s.offload_update, s.offload_activations,
                  s.activation_tier, s.offload_modules, s.rank_order, s.layers_per_stage, s.moe_dispatcher,
                  s.expert_load.kind, s.expert_load.exponent, s.expert_load.histogram, s.expert_load.seed,
                  s.capacity_factor, s.pad_to_capacity, s.moe_max_nodes, s.overlap_shared_experts, s.overlap_moe_1f1b,
                  s.first_rank_layers, s.last_rank_layers, s.embedding_as_layer, s.loss_as_layer, s.delay_weight_grad,
                  s.p2p, s.optimizer_post_validation, s.micro_batch_group, s.custom_order);
}

inline bool operator==(const Strategy& a, const Strategy& b) { return fields_of(a) == fields_of(b); }

std::size_t hash_of(const Strategy& s) noexcept;  // of the fields that searches vary most

// The parts that decide how ranks are grouped; and the price and memory of a block for one micro-batch.
Strategy grid_part(const Strategy& s);
Strategy block_part(const Strategy& s);

}  // namespace dts

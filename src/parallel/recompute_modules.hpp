// The parts of a layer that selective recomputation runs again, found by what ops do, not by their names. Megatron-Core
// (transformer_config.py, recompute_modules): core_attn, mlp, moe and shared_experts keep their input and run again
// from it; moe_act, layernorm and mla_up_proj give up their output as well, which is made again before its reader needs
// it.
//   core_attn        attention; q, k, v stay
//   mlp              a dense feed-forward: its two matmuls and what lies between
//   moe              router to the last sum of a layer with experts
//   moe_act          the activation between the experts' matmuls
//   layernorm        norms of the residual stream that a matmul or a router reads
//   mla_up_proj      up projections of latent attention, and the rotation
//   shared_experts   the feed-forward beside the routed experts, and its gate
#pragma once

#include <string_view>
#include <vector>

#include "parallel/strategy.hpp"
#include "workload/op.hpp"

namespace dts {

std::string_view name_of(RecomputeModule module) noexcept;
std::string_view name_of(OffloadModule module) noexcept;

struct RecomputeRegion {
  std::vector<char> ops;  // per op of the block: whether it runs again
  bool discards_output = false;
  std::size_t last() const noexcept;  // its last op
};

// Index of the op whose output each op reads, -1 for what the block reads. An unknown name counts as that (layouts_of
// refuses it).
std::vector<int> producers_of(const std::vector<Op>& ops);

// Each part by itself, those that keep their input first; none of a module that the block lacks.
std::vector<RecomputeRegion> recompute_regions(const std::vector<Op>& ops, const std::vector<RecomputeModule>& modules);

// Per op: whether its input leaves the device under one of these modules (Megatron-Core, offload_modules).
std::vector<char> offloaded_inputs(const std::vector<Op>& ops, const std::vector<OffloadModule>& modules);

}  // namespace dts

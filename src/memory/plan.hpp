// Memory and its price for any data-parallel training plan, from a parameter count and the activation elements one
// sample saves: per-device bytes by category and tier, extra FLOPs, bytes communicated and seconds of offload traffic
// per step. Models as ops, tensor and pipeline parallelism have the finer ledger (memory/saved_bytes.hpp).
//
// States: 2Ψ + 2Ψ + KΨ and its ZeRO shards (memory/static_bytes.hpp). Communication per device and step, ring, with
// N devices, f = (N-1)/N, gradients G, weights W and A micro-batches (ZeRO paper, arXiv:1910.02054 §7):
//   stage 0: 2fG   stage 1: fG + fW   stage 2: A fG + fW   stage 3: A f (G + 2W)
// Activations: recompute none keeps S; selective keeps S minus the scores, full the block inputs, and one block's rest
// lives while it runs again; FLOPs grow by the part of forward (a third of the step) that runs again.
// Offload (ZeRO-Offload, arXiv:2101.06840; ZeRO-Infinity, arXiv:2104.07857): optimizer state moves off the device and
// the host updates: gradients of the owned shard go down, new weights come up, once a step, and a state beyond the host
// is read and written once; weights are fetched for forward and for backward of each micro-batch; saved activations go
// down and come back. What streams block by block keeps two blocks on the device. Seconds are as if nothing hid them.
// Left out: workspaces, fragmentation, the host's update time.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "memory/static_bytes.hpp"
#include "memory/tier.hpp"

namespace dts {

// A model as equal blocks; shares are of one block's saved bytes (forward FLOPs for the last).
struct BlockShares {
  double blocks = 0;             // 0 = not known: strategies that work block by block are refused
  double input_share = 0;        // the block's input, what full recomputation keeps
  double score_share = 0;        // attention scores, what selective recomputation drops
  double score_flops_share = 0;  // forward FLOPs selective recomputation runs again
};

struct MemoryPlan {
  double parameters = 0;
  double activations_per_sample = 0;  // elements saved for backward
  double samples_per_device = 1;      // per step
  int accumulation_steps = 1;         // micro-batches the samples are run in
  int devices = 1;                    // data-parallel
  int zero = 0;
  DType precision = DType::BF16;
  Optimizer optimizer = Optimizer::Adam;
  GradientStorage gradients = GradientStorage::Working;
  Recompute recompute = Recompute::None;
  MemoryTier optimizer_tier = MemoryTier::HBM, parameter_tier = MemoryTier::HBM, activation_tier = MemoryTier::HBM;
  BlockShares blocks;
};

struct MemoryEstimate {                                                                        // per device
  double weights = 0, gradients = 0, optimizer = 0, activations = 0, gathered_parameters = 0;  // in HBM
  std::array<double, kTierCount> tier_bytes{};  // HBM is the sum of the five
  double extra_flops_fraction = 0;              // of the step's model FLOPs
  double communication_bytes = 0;               // sent per step
  double transfer_bytes = 0, transfer_s = 0;    // between tiers per step
  double hbm_bytes() const noexcept { return tier_bytes[index_of(MemoryTier::HBM)]; }
};

// Throws ConfigError listing every problem of the plan.
MemoryEstimate estimate(const MemoryPlan& plan, const Tiers& tiers);

// Bytes that each tier's pool lacks when `devices` devices run the plan, `devices_per_node` of them on a node; 0 =
// fits.
std::array<double, kTierCount> missing_bytes(const MemoryEstimate& estimate, const Tiers& tiers, int devices,
                                             int devices_per_node);

}  // namespace dts

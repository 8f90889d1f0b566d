// How a job is laid out over ranks. Names are the field's: see docs/guide/glossary.md.
#pragma once

#include <string>
#include <vector>

#include "hardware/dtype.hpp"
#include "parallel/expert_load.hpp"

namespace dts {

enum class Recompute { None, Selective, Full };
// Parts of a layer that selective recomputation may name (Megatron-Core's recompute_modules;
// parallel/recompute_modules.hpp).
enum class RecomputeModule { CoreAttention, Mlp, Moe, MoeActivation, LayerNorm, MlaUpProjection, SharedExperts };
// Which layers full recomputation takes: all, in units of `recompute_layers` that keep one input; the first so many of
// each virtual stage; or every so many-th of a rank (torchtitan).
enum class RecomputeMethod { Uniform, Block, Every };
// 1F1B is interleaved when vpp > 1. The rules: src/schedule.
enum class PipelineSchedule {
  OneFOneB,
  GPipe,
  LoopedBfs,
  ZbH1,
  ZbH2,
  Zb1p,
  Zb2p,
  ZbV,
  VHalf,
  VMin,
  DualPipe,
  DualPipeV,
  Hanayo
};
// Adam8bit: moments quantised by blocks (bitsandbytes). Muon: matrices of the layers; all else follows Adam.
enum class Optimizer { SGD, Momentum, Adam, Adam8bit, Adafactor, Muon };
// Adam's kernels: the framework's own, one fused pass, or PyTorch's foreach passes.
enum class OptimizerKernels { Framework, Fused, Foreach };
// Muon on matrices that tensor parallelism splits: each part by itself, gathered first, or products summed over the
// ranks.
enum class MuonTp { Blockwise, Duplicated, Distributed };
// How attention sees keys and values of the other context-parallel ranks: a ring of transfers, gathered before it,
// heads exchanged for sequence (Ulysses), or heads exchanged within groups of `cp_a2a` ranks and a ring across them.
enum class ContextComm { P2P, AllGather, A2A, A2AP2P };
// Whether pipeline ranks wait for transfers, or go on beside them; Framework: as the profile says for its own
// schedules.
enum class PipelineTransfers { Framework, Overlapped, Blocking };
// Scaling of 8-bit matmuls: per tensor from its current or from past maxima, per 1x128 or per 1x32 block.
enum class Fp8Recipe { Tensorwise, Delayed, Blockwise, MXFP8 };
// 8-bit integers: all three products of a matmul with a scale per row of what is summed over (torchao), or the weight
// gradient in 16 bits (SwitchBack, arXiv:2304.13013).
enum class Int8Recipe { Rowwise, SwitchBack };

// Where bytes lie that the device does not keep: its node's host memory, the node's NVMe drives, memory or storage that
// the network reaches; the last two are staged through pinned host memory (ZeRO-Infinity, arXiv:2104.07857 §5).
enum class OffloadTier { None, Host, Nvme, Remote };
// Which processor updates offloaded optimizer states.
enum class OffloadUpdate { Host, Device };
// Ops whose input leaves the device (Megatron-Core's offload_modules).
enum class OffloadModule { AttnNorm, QkvLinear, CoreAttention, AttnProj, MlpNorm, ExpertFc1, MoeActivation };

// Type in which gradients are accumulated and reduced.
enum class GradDType { Framework, BF16, FP32 };

struct Strategy {
  int dp = 1, tp = 1, pp = 1, vpp = 1, cp = 1, ep = 1, etp = 1;
  bool sequence_parallel = false;
  int zero = 0;  // 0 none, 1 optimizer states, 2 + gradients, 3 + parameters (FSDP)
  int micro_batch = 1;
  int global_batch = 1;
  Recompute recompute = Recompute::None;
  std::vector<RecomputeModule> recompute_modules;               // of Selective, in place of the framework's rule
  RecomputeMethod recompute_method = RecomputeMethod::Uniform;  // of Full
  int recompute_layers = -1;                                    // ... and its number of layers; -1: 1, all, 2
  PipelineSchedule schedule = PipelineSchedule::OneFOneB;
  Optimizer optimizer = Optimizer::Adam;
  OptimizerKernels optimizer_kernels = OptimizerKernels::Framework;
  MuonTp muon_tp = MuonTp::Blockwise;
  DType precision = DType::BF16;  // of the matmuls; activations are stored in 2 bytes below fp32
  Fp8Recipe fp8_recipe = Fp8Recipe::Tensorwise;
  Int8Recipe int8_recipe = Int8Recipe::Rowwise;
  ContextComm cp_comm = ContextComm::P2P;
  int cp_a2a = 1;  // ranks that exchange heads under ContextComm::A2AP2P
  bool overlap_grad_reduce = true;
  bool overlap_param_gather = true;
  // Data parallel. States are sharded over dp * cp / dp_replicas neighbouring ranks; gradients are reduced over the
  // shards, then all-reduced between the replicas of them (HSDP; Megatron's distributed-optimizer instances).
  int dp_replicas = 1;
  int reshard_after_forward = -1;  // zero 3: -1 as the framework does, 0 no, 1 yes, n > 1 to groups of n ranks
  GradDType grad_dtype = GradDType::Framework;
  OffloadTier offload_optimizer = OffloadTier::None;   // states; gradients too where the host updates
  OffloadTier offload_parameters = OffloadTier::None;  // zero 3: shards, copied to the device before each gather
  OffloadUpdate offload_update = OffloadUpdate::Host;
  double offload_activations = 0;  // share of what each block but a stage's last saves
  OffloadTier activation_tier = OffloadTier::Host;
  std::vector<OffloadModule> offload_modules;  // of activations; empty = all
  std::string rank_order = "tp-cp-ep-dp-pp";   // fastest-varying axis first
  std::vector<int> layers_per_stage;           // empty = even; one entry per virtual stage, in model order

  // Experts
  Dispatcher moe_dispatcher = Dispatcher::Framework;
  ExpertLoad expert_load;
  double capacity_factor = 0;           // 0 = dropless
  bool pad_to_capacity = false;         // every expert computes its whole capacity
  int moe_max_nodes = 0;                // node-limited routing; 0 = no limit
  bool overlap_shared_experts = false;  // they run beside dispatch and combine
  bool overlap_moe_1f1b = false;        // one micro-batch's exchange runs beside the other's compute
  // Even otherwise: layers of the first and of the last pipeline rank, all chunks together (0 = as the others); or the
  // embedding, or the loss, counted as one layer, so that its stage holds one layer less. Megatron-LM's options.
  int first_rank_layers = 0, last_rank_layers = 0;
  bool embedding_as_layer = false, loss_as_layer = false;
  bool delay_weight_grad =
      false;  // schedules of whole passes: the input gradient leaves before the weight gradient runs
  PipelineTransfers p2p = PipelineTransfers::Framework;
  // Pipeline ranks update without meeting for the gradient norm, which follows and is validated a step later (Qi et al.
  // arXiv:2401.10241 §4): each starts its next step as soon as it is done.
  bool optimizer_post_validation = false;
  int micro_batch_group = 0;  // of interleaved 1F1B: micro-batches per group; 0 = pp
  // One text per pipeline rank, "F0 F1 B0 W0 F2.1+B1.1": replaces the schedule's order, on its stage placement. Grammar
  // in schedule/custom_order.hpp.
  std::vector<std::string> custom_order;
};

// Context-parallel ranks that split attention's heads among them; the others split its sequence.
inline int head_split(const Strategy& s) noexcept {
  return s.cp_comm == ContextComm::A2A ? s.cp : s.cp_comm == ContextComm::A2AP2P ? s.cp_a2a : 1;
}

inline long long world_size(const Strategy& s) noexcept { return static_cast<long long>(s.dp) * s.tp * s.pp * s.cp; }

}  // namespace dts

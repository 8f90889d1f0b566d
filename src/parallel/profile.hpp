// Framework profile: implementation facts of one training framework and era. A profile is data
// (catalog/frameworks/*.yaml with sources); nothing here belongs to a single run.
#pragma once

#include <string>

#include "hardware/communication_library.hpp"
#include "parallel/expert_load.hpp"

namespace dts {

// Loss kernels by the tensors they make (memory/loss_tensors.hpp). The two compiled Megatron losses differ in what CI
// peaks show beside logits and softmax: 4 bytes per logit on Hopper and later, 9 on its A100 stack.
enum class LossKernel { InPlace, Megatron, MegatronJit, MegatronJitAmpere, TorchEager, TorchCompiled, Nanotron };

// What "selective" recomputation runs again: core attention (Megatron); every second matmul and all elementwise ops but
// not attention (torchtitan); all but attention and the projections it reads (MaxText).
enum class SelectiveRule { CoreAttention, AlternateMatmuls, AllButAttention };

// What runs beside the collectives of tensor parallelism. The splitting modes need sequence parallelism and a group
// within one scale-up domain; what they do not split runs as the mode before them says.
enum class TpOverlap {
  None,         // blocking
  Bulk,         // backward of column matmuls: input gathered beside the data gradient, result reduced beside the weight
                // gradient (Megatron-LM)
  Userbuffers,  // Bulk, and matmuls split into chunks with the gather before them or the scatter after them, forward
                // and backward of row matmuls (Transformer Engine)
  AsyncTp,      // None, and chunks wherever a gather feeds a matmul or a matmul a scatter (torch.compile with symmetric
                // memory)
};

// Key and value heads fewer than the tensor-parallel ranks: an error; copied with their weights to the ranks that share
// them; or split all the same and gathered, with the queries beside them, after the projection (Megatron-Core
// attention.py).
enum class KvHeads { Refuse, Replicate, Gather };

// When FSDP's backward gathers the next unit (torch BackwardPrefetch): before this one's compute; after it, before its
// reduction; or when it is reached, behind that reduction.
enum class BackwardPrefetch { Pre, Post, None };

struct FrameworkProfile {
  std::string name = "generic";
  SelectiveRule selective = SelectiveRule::CoreAttention;
  bool recompute_stops_early = false;  // full recomputation leaves out what no saved tensor depends on

  // Kernels
  bool flash_attention = true;      // false: unfused batched matmuls and softmax
  bool causal_skip = true;          // flash kernel skips fully masked blocks
  double head_exchange_bytes = 0;   // per element that context-parallel ranks exchange by heads; 0 = of activations
  double attention_dropout = 0;     // > 0 keeps masks and adds passes when unfused
  double memory_pass_factor = 1;    // bytes of norms, activations and residuals over those of fused kernels
  double cross_entropy_bytes = 20;  // forward + backward bytes moved per logit
  LossKernel loss_kernel = LossKernel::Megatron;  // which tensors the loss makes (memory/loss_tensors.hpp)
  int loss_chunks = 1;  // LM head and loss, forward and backward, run for so many parts of the tokens in turn
  bool grouped_single_launch = true;  // experts in one kernel; false: one library call per expert on several streams

  // Tensor and expert parallel
  TpOverlap tp_overlap = TpOverlap::Bulk;
  KvHeads kv_heads_below_tp = KvHeads::Replicate;
  double vocabulary_multiple = 1;  // the vocabulary is padded to a multiple of this times tp

  // 8- and 4-bit matmuls
  bool cached_casts = true;         // inputs are kept cast for backward and, below ZeRO-3, weights cast once a step;
                                    // false: both at each use
  bool fused_casts = false;         // norms and activations write the narrow copy themselves, where the scale is known
                                    // before all of a tensor is; of Tensorwise the maximum (not Blockwise and 4-bit)
  bool cast_before_gather = false;  // what sequence parallelism gathers for a matmul travels in its narrow type
  bool cast_parameters = false;     // ZeRO gathers matmul weights in the narrow type, cast by their owner

  Dispatcher moe_dispatcher = Dispatcher::AllToAll;      // where the strategy names none
  double permute_passes = 1, deepep_permute_passes = 1;  // bytes moved to order rows over those of one pass each way
  double exchange_sms = 20;                              // multiprocessors of DeepEP or HybridEP kernels
  // Bytes per output element of an expert matmul with a bias, moved by what then runs apart: the sum, the gate,
  // probabilities.
  double expert_bias_forward_bytes = 0, expert_bias_backward_bytes = 0;
  bool fused_experts = false;   // the gate and the narrow copies around it are made by the experts' matmuls
  bool moe_router_fp32 = true;  // scores as an fp32 matmul; false: 16-bit operands, fp32 results

  bool interference = false;  // compute slows beside collectives that hold multiprocessors (engine/interference.hpp)

  // Data parallel
  double grad_reduce_bytes = 4;           // bytes per gradient element on the wire
  double main_grad_bytes = 4;             // bytes per parameter of the gradient buffer: 2 or 4
  double grad_accumulate_bytes = 8;       // bytes moved per weight and micro-batch to accumulate
  double bucket_parameters = 40e6;        // gradients reduced together, at least, from the model's end; 0 = a block's
  double bucket_parameters_per_rank = 0;  // ... and at least this many times the data-parallel size
  double first_bucket_parameters = 0;     // of the first bucket to be full; 0 = as the others
  bool bucket_first_stage_only = false;   // every chunk but the first of pipeline rank 0 is one bucket
  bool buckets_without_overlap = false;   // false: what does not overlap is one bucket
  bool reduce_to_owner = false;           // ZeRO-1 and 2: a reduction to each owner of a slice, no reduce-scatter
  int param_gather_ahead = 1;             // buckets or FSDP units gathered ahead of the one in use; 0 = all at once
  bool fsdp_reduce_every_micro_batch = true;
  bool reshard_after_forward = true;  // FSDP gathers parameters again for backward
  BackwardPrefetch fsdp_backward_prefetch = BackwardPrefetch::Pre;
  int fsdp_reductions_in_flight = 0;  // compute waits for the one before so many; 0 = never
  bool fsdp_keeps_under_pp = false;   // with pipeline stages FSDP keeps gathered parameters and reduces once a step
  double fsdp_gather_copy_bytes = 0, fsdp_reduce_copy_bytes = 0;  // by compute, per gathered parameter, per gradient
  int fsdp_unsharded_stages = 0;  // ... of so many virtual stages of a rank, those it needs next; 0 = of all
  int zero_under_pp = 3;          // highest ZeRO stage that runs with pipeline stages

  // Pipeline transfers
  bool p2p_blocking = false;              // ranks wait for them, one chunk a rank (1F1B, GPipe)
  bool p2p_blocking_interleaved = false;  // the same with several chunks a rank
  bool p2p_sliced_over_tp = false;  // without sequence parallelism tp ranks send a slice each, gathered on arrival
  int p2p_metadata_messages = 0;    // small messages before each tensor
  double p2p_launch_s = 0;  // what a batch that ranks wait for costs beside its bytes: host, synchronised device

  // Optimizer
  double optimizer_bytes = 34;           // bytes moved per owned parameter by the update
  double host_update_efficiency = 0.43;  // of the host's memory bandwidth, by an update on the host

  // Host
  double host_forward_s_per_op = 10e-6;
  double host_backward_s_per_op = 20e-6;
  bool launch_blocking = false;  // the host waits for each kernel (CUDA_LAUNCH_BLOCKING=1)
  double step_cost_s = 10e-3;    // data loading, logging, gradient clipping, scheduler

  // Memory
  bool fp32_shards = false;             // ZeRO-3 keeps fp32 weights and casts the gathered copy (FSDP mixed precision)
  bool dummy_weight_gradients = false;  // fused accumulation keeps one 16-bit gradient per distinct weight shape
  int gather_buffers = 1;               // persistent all-gather buffers of sequence parallelism
  bool layers_gather_anew = true;       // layers do not use those buffers, the LM head alone does
  bool gradient_buckets = false;        // working-type gradients stay in buckets beside the accumulated ones, dp > 1
  bool accumulates_after_backward = false;  // ... are added to the main ones when all blocks are done
  bool keeps_gradients = false;             // working-type gradients stay until the next backward, each is cast to fp32
  bool flat_reduce_bucket = false;          // a bucket is flattened into a copy to be reduced, after the last backward
  bool casts_gradient_slice = false;        // ZeRO's update flattens its slice of the gradients and casts it to fp32
  bool flat_weight_gather = false;  // ZeRO's update gathers flattened weights: a copy of all, one of the own slice
  // Entries of the device's launch queue (kernels and events) that the host issues per op, where tensors handed to
  // communication streams return to the allocator only once the device has come so far; 0: they return at once.
  double queue_forward_per_op = 0, queue_backward_per_op = 0;
  bool packed_attention = false;  // without grouped heads, attention's q stays a part of a packed copy of q, k and v,
                                  // beside a packed copy of k and v
  bool states_before_training = false;  // optimizer states exist before the first step; false: its update makes them
  bool narrow_parameters = false;       // weights of 8-bit matmuls are kept in that type alone, not beside 16-bit ones
  bool score_buffer = false;            // unfused attention keeps a persistent buffer of the scores' size
  bool eager_norm = false, eager_gate = false;  // unfused norms and gates keep more
  bool head_keeps_gathered_input = false;       // under sequence parallelism, until its backward
  bool keeps_stage_outputs = false;  // the last stage keeps the logits of every micro-batch until the step ends
  bool compiled_blocks = false;      // the partitioner drops outputs that no backward needs (the block's own)
  // Inside the allocator: cuBLAS workspaces, each of Transformer Engine's. Outside: CUDA context, communicators.
  double workspace_bytes = 67108864, engine_workspace_bytes = 33554432, context_bytes = 446693376;
  CommunicationLibrary communication;
  double reserved_factor = 1.07;  // reserved / allocated at the peak
};

void check_profile(const FrameworkProfile& profile);

}  // namespace dts

// Tensors that live only around the peak, and library memory inside the allocator. Sizes in bytes of one rank;
// `tokens` = micro_batch * seq_len / cp. Every function is one named fact; a framework profile says which apply.
// Evidence: published peaks of SimuMax, the Megatron-LM CI, nanotron and torchtitan; where a number was read off a
// measurement and not off source code, its comment says so. FP8 workspaces and NCCL's own memory are left out.
#pragma once

#include <vector>

#include "memory/saved_bytes.hpp"

namespace dts {

// LM-head backward besides the logits: 16-bit weight gradient 2 V h / tp, input gradient, and under sequence
// parallelism the gathered input and the reduce-scatter output (Megatron `core/tensor_parallel/layers.py`).
double head_backward_bytes(double tokens, double hidden, double vocab, int tp, bool sequence_parallel,
                           double activation_bytes = 2);

// Gradient-accumulation fusion hands autograd a 16-bit dummy gradient and keeps one per distinct local weight shape,
// for the experts of a grouped matmul one together (Transformer Engine >= 2.3 `get_dummy_wgrad`). `ops` are those of
// all blocks of the rank, head excluded.
double dummy_gradient_bytes(const std::vector<Op>& ops, const SavedContext& context);

// Persistent all-gather buffers of sequence parallelism, each tokens * hidden: one in Megatron, two in nanotron.
double gather_buffer_bytes(double tokens, double hidden, int buffers, double activation_bytes = 2);

// Send and receive buffers between pipeline stages: three boundary tensors, about ten when interleaved (Megatron CI).
double p2p_buffer_bytes(double boundary_bytes, int pp, int vpp);

// Persistent score input buffer of Megatron's own (non-TE) attention: activation_bytes * b * (a / tp) * s^2 / cp.
double local_attention_buffer_bytes(double tokens, double seq_len, double heads, int tp, double activation_bytes = 2);

// FSDP2 around one block: unsharded copies of it and of the `ahead` prefetched ones, a gather copy and a gradient in
// the working type, and the fp32 reduce-scatter input: 12 B per block parameter in 16 bits with one ahead. The root
// group (embedding and head) stays unsharded.
double fsdp_live_bytes(double block_parameters, double root_parameters, double working_bytes = 2, int ahead = 1);

// FSDP whose parameters stay unsharded after forward: all of them, and the copies and gradients around one block.
double fsdp_unsharded_bytes(double parameters, double block_parameters, double working_bytes = 2);

// cuBLAS workspaces of PyTorch: 32 MiB a handle from Hopper on, 8.125 MiB before; the forward and the autograd thread
// have a handle each (inferred from byte-exact peaks).
double torch_workspace_bytes(bool hopper_or_later);
// One workspace of Transformer Engine: 32 MiB from Hopper on, 4 MiB before.
double engine_workspace_bytes(bool hopper_or_later);
// How many it has: four more with grouped matmuls, one for each stream of user buffers (memory/user_buffers.hpp).
int engine_workspaces(bool grouped_matmul, bool user_buffers);

}  // namespace dts

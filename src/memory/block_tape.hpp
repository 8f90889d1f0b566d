// Everything one block allocates and frees while its passes run for one micro-batch, in the order the host issues it.
// What is saved for backward comes from memory/saved_bytes.hpp; here it gets its moments, and what lives inside a pass
// alone is added: outputs that nobody keeps, gathered inputs, gradients of activations, the logits' copies.
//   forward   op by op: its output and what it saves; an output that is not saved dies with its last reader
//   backward  in reverse: the gradient of an op's input appears, then that of its output and what the op had saved
//             die; the gradient of the residual stream lives throughout
// Recomputation frees in forward what it will rebuild in backward: one block's whole tape stands there while it runs
// again. Sizes of allocations are those of the tensors; rounding is the allocator's (memory/caching_allocator.hpp).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "memory/recompute_bytes.hpp"
#include "parallel/profile.hpp"

namespace dts {

enum class MemoryCategory : std::uint8_t {
  Weights,
  Gradients,
  Optimizer,
  Activations,
  Temporaries,
  GatheredParameters,
  CommunicationBuffers,
  Workspace
};
inline constexpr std::size_t kMemoryCategories = 8;
using CategoryBytes = std::array<double, kMemoryCategories>;

struct TapeTensor {
  std::string op, what;
  double bytes = 0;
  MemoryCategory category = MemoryCategory::Temporaries;
  bool shared = false;  // with a communication stream: freed, it is usable once that stream has come so far
  int pieces = 1;       // equal allocations
};

struct TapeEvent {
  std::int32_t tensor = 0;
  bool frees = false;
};

// A list of events as one: over what is held before it, the fullest moment (after `event` events) and the end.
struct TapeSum {
  CategoryBytes peak{}, after{};
  double highest = 0;
  std::size_t event = 0;
};

struct BlockTape {
  std::vector<TapeTensor> tensors;
  // The two halves of backward apart leave what the weight gradients need between them.
  std::vector<TapeEvent> forward, backward, input_grad, weight_grad;
  // Weight gradients that stay until the pass of all blocks ends.
  std::vector<std::int32_t> after_backward, after_weight_grad;
  TapeSum forward_sum, backward_sum, input_grad_sum, weight_grad_sum;
  std::vector<double> weights;                         // elements of each trained matrix on this rank
  double forward_launches = 0, backward_launches = 0;  // entries of the device's queue that a pass issues
};

struct TapeRules {
  double tokens = 1;  // of a micro-batch on this rank
  int ep = 1;         // ranks that share the experts
  Recompute recompute = Recompute::None;
  std::vector<RecomputeModule> modules{RecomputeModule::CoreAttention};  // of Selective
  bool keeps_input = true;  // of Full; otherwise it is there again before backward, from an earlier block
  bool partition_block_input = false;
  std::vector<double> dropped_outputs;  // keep op outputs but for these shares (`kept_outputs`); empty = by `recompute`
  double on_host = 0;                   // share of what is kept that waits for backward in another tier
  std::vector<OffloadModule> offload_modules;  // of their inputs alone; empty: of everything
  LossKernel loss_kernel = LossKernel::Megatron;
  int loss_chunks = 1;
  bool gather_buffers = false;       // gathered inputs of column matmuls lie in a persistent buffer
  bool weight_gradients = true;      // a matmul's backward makes a working-type gradient before it is accumulated
  bool gradients_until_end = false;  // it is accumulated when all blocks have run backward
  bool casts_gradients = false;      // each is cast to fp32 to be added to the main ones
  double forward_launches_per_op = 0, backward_launches_per_op = 0;
};

// Sets the sums of a tape from its events.
void sum_events(BlockTape& tape);

BlockTape block_tape(const std::vector<Op>& ops, const SavedContext& context, const TapeRules& rules);

}  // namespace dts

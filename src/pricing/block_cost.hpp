// The price of one block on one rank for one micro-batch. A block is priced once per layout and reused for every layer
// and micro-batch. Collectives run as the lowering placed them: blocking, or beside a matmul; what they add to the
// compute stream is their exposed part.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "parallel/local_op.hpp"
#include "parallel/profile.hpp"

namespace dts {

class GroupPricer;
class ProductTimes;
struct DeviceSpec;

struct PassCost {
  double total_s = 0;                       // on the compute stream: kernels, exposed collectives, waits for the host
  double compute_s = 0;                     // kernels alone
  double host_s = 0;                        // time the device waits for the host to issue kernels
  std::array<double, kAxisCount> comm_s{};  // collectives, overlapped or not
  std::array<double, kAxisCount> exposed_s{};  // their part that compute waits for
  std::array<double, kAxisCount> slack_s{};    // how much longer the hidden ones could take before compute waited

  double own_s() const noexcept { return compute_s + host_s; }  // what no other rank decides
  void add(const PassCost& other);
};

struct OpCost {  // one op's kernels, for explanations and rooflines
  std::string name;
  double forward_s = 0, data_grad_s = 0, weight_grad_s = 0;
  // Of its weights on this rank: those with gradients, and the bytes in which ZeRO gathers them.
  double trainable = 0, gathered_bytes = 0;
  bool expert = false;
};

// Equal weight matrices of one rank, as Muon sees them: `gram` x `summed` (compute/optimizer.hpp), of which tensor
// parallelism splits the second `split` ways.
struct WeightMatrix {
  double gram = 0, summed = 0, split = 1, count = 1;
  bool expert = false;
};

struct BlockCost {
  PassCost forward;
  PassCost recompute;  // run again before backward
  PassCost backward;   // data and weight gradients
  // The same apart, for schedules that delay weight gradients: a collective that ran beside a weight gradient is
  // exposed. Empty unless the context splits backward.
  PassCost data_grad, weight_grad;
  double forward_flops = 0, backward_flops = 0, recompute_flops = 0;  // on this rank, hardware FLOPs
  double dense_parameters = 0, expert_parameters = 0;                 // on this rank
  double dense_trainable = 0, expert_trainable = 0;                   // those with gradients and optimizer states
  double dense_gathered_bytes = 0, expert_gathered_bytes = 0;         // of all its parameters, as ZeRO gathers them
  double exchange_sm_share = 0;                                       // multiprocessors that an expert exchange holds
  double cast_bytes = 0;               // of the narrow copies of weights kept beside them
  std::vector<WeightMatrix> matrices;  // trained ones of a layer
  std::vector<OpCost> ops;
  std::vector<CollectiveCall> forward_calls, recompute_calls, backward_calls;  // what the passes send
};

// FSDP's copies of a unit in every micro-batch: none, of what forward gathers, of what backward gathers again too.
enum class UnitCopies { None, Forward, BothWays };

struct BlockContext {
  const DeviceSpec& device;
  const FrameworkProfile& profile;
  const GroupPricer& groups;
  LocalSizes sizes;
  Recompute recompute = Recompute::None;
  DType precision = DType::BF16;
  Fp8Recipe fp8_recipe = Fp8Recipe::Tensorwise;
  int zero = 0;
  double micro_batches = 1;
  bool split_backward = false;  // a schedule runs the halves of backward apart
  Int8Recipe int8_recipe = Int8Recipe::Rowwise;
  std::vector<RecomputeModule> recompute_modules{};
  UnitCopies unit_copies = UnitCopies::None;
  ProductTimes* products = nullptr;  // null: none are kept
};

// Layers and encoders are recomputed; encoders, the LM head and loss stay in 16 bits under 8- and 4-bit recipes.
enum class BlockRole { Stem, Layer, Head, Encoder };
BlockCost price_block(const Block& block, const BlockContext& context, BlockRole role);

}  // namespace dts

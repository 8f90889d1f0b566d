#include "pricing/block_cost.hpp"

#include <algorithm>
#include <utility>

#include "compute/memory_bound.hpp"
#include "pricing/expert_overlap.hpp"
#include "pricing/group_pricer.hpp"
#include "pricing/lowered_block.hpp"
#include "pricing/op_passes.hpp"

namespace dts {

namespace {

void append(std::vector<CollectiveCall>& all, const std::vector<CollectiveCall>& more) {
  all.insert(all.end(), more.begin(), more.end());
}

std::vector<CollectiveCall> forward_calls(const LocalOp& op) {
  std::vector<CollectiveCall> calls = op.forward_before;
  append(calls, op.forward_beside);
  append(calls, op.forward_after);
  return calls;
}

std::vector<CollectiveCall> backward_calls(const LocalOp& op) {
  std::vector<CollectiveCall> calls = op.backward_before;
  append(calls, op.beside_data_grad);
  append(calls, op.beside_weight_grad);
  append(calls, op.backward_after);
  return calls;
}

// Device and host seconds of a pass before the point where the host waits for the device.
struct BeforeSync {
  double device_s = 0, host_s = 0;
};

// An eager framework issues kernels one by one: a pass cannot be shorter than the host needs. Where the host waits for
// the device it loses its lead: what follows cannot start before it is issued, nor be issued before the wait ends. If
// it waits for every kernel (`blocking`), it never has one.
void apply_host_floor(PassCost& cost, double host_s, bool blocking, const BeforeSync& before = {}) {
  const double after_s = host_s - before.host_s;
  cost.host_s = blocking ? host_s : std::max(0.0, after_s + std::max(before.host_s, before.device_s) - cost.total_s);
  cost.total_s += cost.host_s;
}

}  // namespace

void PassCost::add(const PassCost& other) {
  total_s += other.total_s;
  compute_s += other.compute_s;
  host_s += other.host_s;
  for (std::size_t axis = 0; axis < kAxisCount; ++axis) {
    comm_s[axis] += other.comm_s[axis];
    exposed_s[axis] += other.exposed_s[axis];
    slack_s[axis] += other.slack_s[axis];
  }
}

namespace {

class BlockPricer {
 public:
  BlockPricer(const Block& block, const BlockContext& context, BlockRole role)
      : c_(context), is_head_(role == BlockRole::Head), is_layer_(role == BlockRole::Layer),
        lowered_(block, context, role) {}

  BlockCost price() {
    for (std::size_t i = 0; i < ops_.size(); ++i) {
      add(ops_[i], lowered_.again[i]);
      count_parameters(ops_[i]);
    }
    bool dispatch_again = false;
    for (std::size_t i = 0; i < ops_.size(); ++i) {
      dispatch_again |= ops_[i].op->kind == OpKind::Dispatch && lowered_.again[i] > 0;
    }
    overlap_exchange(cost_, ops_, c_, dispatch_again);
    copy_units();
    const double forward_launch_s = c_.profile.host_forward_s_per_op;
    const bool blocking = c_.profile.launch_blocking;
    apply_host_floor(cost_.forward, forward_kernels_ * forward_launch_s, blocking, sync_);
    apply_host_floor(cost_.recompute, kernels_again_ * forward_launch_s, blocking, sync_again_);
    const double launch_s = c_.profile.host_backward_s_per_op;
    apply_host_floor(cost_.backward, backward_kernels_ * launch_s, blocking);
    if (c_.split_backward) {  // the backward of a matmul is two kernels, one for each gradient
      apply_host_floor(cost_.data_grad, (backward_kernels_ - weight_kernels_ / 2) * launch_s, blocking);
      apply_host_floor(cost_.weight_grad, weight_kernels_ / 2 * launch_s, blocking);
    }
    return std::move(cost_);
  }

 private:
  // Dropless routing: the host reads how many rows each expert has before it can launch their matmuls (Megatron-Core
  // token_dispatcher.py, moe_utils.py). Rows padded to a capacity are known beforehand.
  void note_sync(const LocalOp& op, double again) {
    if (op.op->kind != OpKind::Dispatch || c_.sizes.routing.pad_to_capacity) return;
    sync_ = {cost_.forward.total_s, forward_kernels_ * c_.profile.host_forward_s_per_op};
    if (again > 0) sync_again_ = {cost_.recompute.total_s, kernels_again_ * c_.profile.host_forward_s_per_op};
  }

  void add(const LocalOp& op, double again) {
    note_sync(op, again);
    const OpPasses passes = price_passes(op, c_, timer_, !is_head_);
    const bool attention = op.op->kind == OpKind::Attention;  // its passes know what context parallelism leaves of it
    OpCost kernels;
    kernels.name = op.op->name;
    kernels.forward_s = attention ? passes.forward.compute_s : timer_.forward_s(op);
    kernels.data_grad_s = attention ? passes.backward.compute_s : timer_.data_grad_s(op);
    kernels.weight_grad_s = timer_.weight_grad_s(op);
    cost_.ops.push_back(std::move(kernels));
    cost_.forward.add(passes.forward);
    cost_.backward.add(passes.backward);
    cost_.data_grad.add(passes.data_grad);
    cost_.weight_grad.add(passes.weight_grad);
    const double flops = timer_.forward_flops(op);
    cost_.forward_flops += flops;
    cost_.backward_flops += timer_.backward_flops(op);
    forward_kernels_ += timer_.kernels(op) + passes.more_forward_kernels;
    backward_kernels_ += timer_.kernels(op) + passes.more_backward_kernels;
    if (cost_.ops.back().weight_grad_s > 0) weight_kernels_ += timer_.kernels(op);
    append(cost_.forward_calls, forward_calls(op));
    append(cost_.backward_calls, backward_calls(op));
    cast_weights(op, again);
    if (again <= 0) return;
    PassCost part = passes.forward;  // a share of the kernels, all of the collectives
    part.total_s += (again - 1) * passes.forward.compute_s;
    part.compute_s *= again;
    cost_.recompute.add(part);
    append(cost_.recompute_calls, forward_calls(op));
    cost_.recompute_flops += again * flops;
    kernels_again_ += timer_.kernels(op) + passes.more_forward_kernels;
  }

  bool is_cast(const LocalOp& op) const { return lowered_.narrow && timer_.casts(op); }

  bool owners_cast() const { return c_.zero > 0 && c_.profile.cast_parameters; }

  double shards(const LocalOp& op) const {  // data-parallel ranks that own a part of its weights each
    return c_.groups.grid().size(op.expert_weights ? Axis::EDP_SHARD : Axis::DP_SHARD);
  }

  // Parameters that ZeRO-3 gathers anew have no copy that lasts.
  bool keeps_casts() const { return c_.profile.cached_casts && c_.zero < 3; }

  // Once a step, spread evenly over its micro-batches, or in every forward and again in backward; frozen weights that
  // are kept cast once for all.
  void cast_weights(const LocalOp& op, double again) {
    if (!is_cast(op) || (keeps_casts() && !op.op->trainable)) return;
    const double weights = op.parameters / (owners_cast() ? shards(op) : 1);
    const bool every = !keeps_casts();
    const double cast_s = timer_.weight_cast_s(op, weights, every ? 1 : 2) / (every ? 1 : c_.micro_batches);
    add_kernel(cost_.forward, cast_s);
    if (!every) return;
    add_kernel(cost_.backward, cast_s);
    if (c_.split_backward) add_kernel(cost_.data_grad, cast_s);
    add_kernel(cost_.recompute, again * cast_s);
  }

  // FSDP's gathered parameters are taken apart before use, and gradients laid out for their reduction, by kernels on
  // the compute stream. What pipeline stages keep gathered is copied once a step: left out.
  void copy_units() {
    if (c_.unit_copies == UnitCopies::None) return;
    const auto copy_s = [&](double parameters, double bytes) { return stream_time_s(c_.device, bytes * parameters); };
    const FrameworkProfile& p = c_.profile;
    const double gathered_s = copy_s(cost_.dense_parameters + cost_.expert_parameters, p.fsdp_gather_copy_bytes);
    const double reduced_s = copy_s(cost_.dense_trainable + cost_.expert_trainable, p.fsdp_reduce_copy_bytes);
    const double again_s = c_.unit_copies == UnitCopies::BothWays ? gathered_s : 0;
    add_kernel(cost_.forward, gathered_s);
    add_kernel(cost_.backward, again_s + reduced_s);
    if (!c_.split_backward) return;
    add_kernel(cost_.data_grad, again_s);
    add_kernel(cost_.weight_grad, reduced_s);
  }

  static void add_kernel(PassCost& pass, double seconds) {
    pass.total_s += seconds;
    pass.compute_s += seconds;
  }

  void count_parameters(const LocalOp& op) {
    (op.expert_weights ? cost_.expert_parameters : cost_.dense_parameters) += op.parameters;
    OpCost& own = cost_.ops.back();
    own.expert = op.expert_weights;
    own.trainable = op.op->trainable ? op.parameters : 0;
    (op.expert_weights ? cost_.expert_trainable : cost_.dense_trainable) += own.trainable;
    if (is_layer_ && op.op->trainable && op.parameters > 0) note_matrix(op);
    if (is_cast(op) && keeps_casts() && !owners_cast()) {
      cost_.cast_bytes += op.parameters * operand_bytes(c_.precision) * stored_directions(timer_.recipe);
    }
    if (c_.zero != 3 && !op.op->trainable) return;  // ZeRO-1 and 2 gather what the update changed
    const bool narrow_gather = is_cast(op) && owners_cast();
    own.gathered_bytes =
        op.parameters * (narrow_gather ? operand_bytes(c_.precision) : lowered_.sizes.activation_bytes);
    (op.expert_weights ? cost_.expert_gathered_bytes : cost_.dense_gathered_bytes) += own.gathered_bytes;
  }

  void note_matrix(const LocalOp& op) {
    if (op.op->kind != OpKind::Matmul && op.op->kind != OpKind::GroupedMatmul) return;
    const Sharding s = op.op->sharding;
    const bool row = s == Sharding::Row || s == Sharding::ExpertRow,
               column = s == Sharding::Column || s == Sharding::ExpertColumn;
    const double split = row || column ? (op.expert_weights ? lowered_.sizes.etp : lowered_.sizes.tp) : 1;
    cost_.matrices.push_back({row ? op.out : op.in, row ? op.in : op.out, split, op.local_experts, op.expert_weights});
  }

  const BlockContext& c_;
  bool is_head_, is_layer_;
  const LoweredBlock lowered_;
  const OpTimer& timer_ = lowered_.timer;
  const std::vector<LocalOp>& ops_ = lowered_.ops;
  BlockCost cost_;
  BeforeSync sync_, sync_again_;
  double forward_kernels_ = 0, backward_kernels_ = 0, weight_kernels_ = 0, kernels_again_ = 0;
};

}  // namespace

BlockCost price_block(const Block& block, const BlockContext& context, BlockRole role) {
  return BlockPricer(block, context, role).price();
}

}  // namespace dts

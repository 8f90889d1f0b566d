#include "parallel/local_op.hpp"

#include <algorithm>
#include <string>
#include <tuple>
#include <unordered_map>

#include "parallel/expert_lowering.hpp"

namespace dts {

namespace {

using Kind = CollectiveKind;

enum class Layout { Tokens, Full, Split, Routed };

Layout needed(const Op& op) {
  switch (op.sharding) {
    case Sharding::Column:
    case Sharding::Replicated: return Layout::Full;
    case Sharding::Row:
    case Sharding::Heads: return Layout::Split;
    case Sharding::Expert:
    case Sharding::ExpertColumn:
    case Sharding::ExpertRow: return Layout::Routed;
    default: return op.kind == OpKind::Combine ? Layout::Routed : Layout::Tokens;
  }
}

// Partial sums never leave an op: row and vocabulary matmuls reduce them at once.
Layout produced(const Op& op) {
  switch (op.sharding) {
    case Sharding::Column:
    case Sharding::Heads: return Layout::Split;
    case Sharding::Replicated: return Layout::Full;
    case Sharding::Expert:
    case Sharding::ExpertColumn:
    case Sharding::ExpertRow: return Layout::Routed;
    default: return op.kind == OpKind::Dispatch ? Layout::Routed : Layout::Tokens;
  }
}

class BlockLowering {
 public:
  explicit BlockLowering(const LocalSizes& sizes) : s_(sizes) {}

  LocalOp lower(const Op& op, Layout from) {
    if (op.top_k > 0) enter_experts(op);
    LocalOp local;
    local.op = &op;
    place(op, local);
    if (s_.tp > 1) tensor_parallel(op, from, local);
    if (op.kind == OpKind::Dispatch || op.kind == OpKind::Combine) lower_exchange(s_, local);
    if (op.kind == OpKind::Attention && s_.cp > 1) context_parallel(op, local);
    if (op.kind == OpKind::Scan && s_.cp > 1) exchange_heads(op, local);
    return local;
  }

 private:
  // Ops between router and combine share one routing; not all of them state it.
  void enter_experts(const Op& op) {
    if (op.top_k == top_k_ && op.experts == experts_) return;
    top_k_ = op.top_k, experts_ = op.experts;
    if (experts_ > 0) {
      load_ = routed_load(s_.routing, static_cast<int>(experts_), top_k_, s_.ep, s_.tokens / s_.token_share());
    }
  }

  // A rank receives as many rows as it sends, on average.
  void place_routed(LocalOp& local) const {
    const double balanced = s_.tokens / s_.token_share() * top_k_ * s_.gathered_by_experts();
    local.rows = balanced * load_.kept;
    local.load = load_.fullest / load_.kept;
    if (local.op->kind != OpKind::GroupedMatmul) return;
    for (double load : load_.experts) local.expert_rows.push_back(load * balanced * s_.ep / experts_);
  }

  // Rows, features and weights of this rank.
  void place(const Op& op, LocalOp& local) const {
    const double tp = s_.tp, etp = s_.etp;
    local.in = op.in_features, local.out = op.out_features;
    local.heads = op.heads / tp, local.kv_heads = op.kv_heads / tp;
    local.rows = op.rows == Rows::Samples ? s_.samples : s_.tokens;
    if (op.rows == Rows::Routed) place_routed(local);
    double weight_share = 1;
    switch (op.sharding) {
      case Sharding::Sequence:
        if (op.rows == Rows::Tokens) local.rows /= s_.token_share();
        break;
      case Sharding::Column: local.out /= tp, weight_share = tp; break;
      case Sharding::Row: local.in /= tp, weight_share = tp; break;
      case Sharding::Heads: local.in /= tp, local.out /= tp, weight_share = tp; break;
      case Sharding::Vocab: weight_share = tp; break;
      case Sharding::ExpertColumn: local.out /= etp, weight_share = etp; break;
      case Sharding::ExpertRow: local.in /= etp, weight_share = etp; break;
      case Sharding::Expert: local.in /= etp, local.out /= etp; break;
      case Sharding::Replicated: break;
    }
    if (op.kind == OpKind::GroupedMatmul) {
      local.local_experts = op.experts / s_.ep;
      local.expert_weights = true;
      weight_share *= s_.ep;
    }
    local.parameters = parameter_count(op) / weight_share;
    local.feature_share = op.sharding == Sharding::Expert ? 1 / etp : 1 / weight_share;
  }

  double activation(double features) const { return s_.tokens * features * s_.activation_bytes; }

  // What a matmul reads after gathering it: cast first where the matmul would cast it anyway.
  CollectiveCall gather(const Op& op, double features, double& cast_share) const {
    const bool cast = s_.cast_bytes > 0 && op.kind == OpKind::Matmul;
    if (cast) cast_share = 1.0 / s_.tp;
    return {Kind::AllGather, Axis::TP, s_.tokens * features * (cast ? s_.cast_bytes : s_.activation_bytes)};
  }

  void tensor_parallel(const Op& op, Layout from, LocalOp& local) const {
    const Layout to = needed(op);
    const bool sp = s_.sequence_parallel;
    if (from == Layout::Tokens && to == Layout::Full) {
      const double bytes = activation(op.in_features);
      if (sp) local.forward_before.push_back(gather(op, op.in_features, local.cast_share));
      if (op.sharding == Sharding::Column) {
        // Only the shard was kept; frozen weights do not ask for the input again.
        if (sp && op.trainable) local.beside_data_grad.push_back(local.forward_before.back());
        local.beside_weight_grad.push_back({sp ? Kind::ReduceScatter : Kind::AllReduce, Axis::TP, bytes});
      } else if (sp) {
        local.backward_after.push_back({Kind::ReduceScatter, Axis::TP, bytes});
      }
    } else if (from == Layout::Full && op.sharding == Sharding::Column) {
      local.beside_weight_grad.push_back({Kind::AllReduce, Axis::TP, activation(op.in_features)});
    } else if (from == Layout::Split && (to == Layout::Tokens || to == Layout::Full)) {
      local.forward_before.push_back({Kind::AllGather, Axis::TP, activation(op.in_features)});
    } else if ((from == Layout::Tokens || from == Layout::Full) && to == Layout::Split) {
      local.backward_after.push_back({Kind::AllGather, Axis::TP, activation(op.in_features)});
    }
    if (op.sharding == Sharding::Row || op.sharding == Sharding::Vocab) {
      const double bytes = activation(op.out_features);
      local.forward_after.push_back({sp ? Kind::ReduceScatter : Kind::AllReduce, Axis::TP, bytes});
      if (sp) local.backward_before.push_back(gather(op, op.out_features, local.grad_cast_share));
    }
    if (op.gathers_output) {
      const double bytes = activation(op.out_features);
      local.forward_after.push_back({Kind::AllGather, Axis::TP, bytes});
      local.backward_before.push_back({Kind::ReduceScatter, Axis::TP, bytes});
    }
    if (op.kind == OpKind::CrossEntropy && op.sharding == Sharding::Heads) {
      for (int i = 0; i < 3; ++i) {  // maximum, predicted logit and sum of exponentials, fp32 per token
        local.forward_after.push_back({Kind::AllReduce, Axis::TP, 4 * s_.tokens});
      }
    }
  }

  void context_parallel(const Op& op, LocalOp& local) const {
    const double split = s_.head_split, across = s_.cp / split;
    const double kv_heads = std::max(local.kv_heads, split);  // fewer are sent to several ranks
    const double keys = s_.tokens * kv_heads * op.qk_head_dim * s_.activation_bytes;
    const double values = s_.tokens * kv_heads * op.v_head_dim * s_.activation_bytes;
    const double queries = s_.tokens * local.heads * op.qk_head_dim * s_.activation_bytes;
    const double output = s_.tokens * local.heads * op.v_head_dim * s_.activation_bytes;
    if (split > 1) {
      const double narrowed = s_.exchange_bytes / s_.activation_bytes;
      for (double bytes : {queries, keys, values}) {
        local.forward_before.push_back({Kind::AllToAll, Axis::CP_HEADS, bytes * narrowed});
        local.backward_after.push_back({Kind::AllToAll, Axis::CP_HEADS, bytes * narrowed});
      }
      local.forward_after.push_back({Kind::AllToAll, Axis::CP_HEADS, output * narrowed});
      local.backward_before.push_back({Kind::AllToAll, Axis::CP_HEADS, output * narrowed});
      local.heads /= split, local.kv_heads = kv_heads / split;
    }
    local.sequence_split = across;
    local.gathered_keys = s_.gather_keys;
    if (across > 1) s_.gather_keys ? gather_keys(keys * across, values * across, local) : ring(keys + values, local);
  }

  // A recurrence runs over the whole sequence: heads are exchanged for it and back (Megatron-Core
  // ssm/mamba_context_parallel.py), whatever attention does.
  void exchange_heads(const Op& op, LocalOp& local) const {
    const double in = activation(local.in), out = activation(op.heads / s_.tp * op.v_head_dim);
    local.forward_before.push_back({Kind::AllToAll, Axis::CP, in});
    local.forward_after.push_back({Kind::AllToAll, Axis::CP, out});
    local.backward_before.push_back({Kind::AllToAll, Axis::CP, out});
    local.backward_after.push_back({Kind::AllToAll, Axis::CP, in});
  }

  static void gather_keys(double keys, double values, LocalOp& local) {
    for (double bytes : {keys, values}) {
      local.forward_before.push_back({Kind::AllGather, Axis::CP_SEQUENCE, bytes});
      local.backward_before.push_back({Kind::AllGather, Axis::CP_SEQUENCE, bytes});
      local.backward_after.push_back({Kind::ReduceScatter, Axis::CP_SEQUENCE, bytes});
    }
  }

  static void ring(double bytes, LocalOp& local) {
    const CollectiveCall once{Kind::SendRecv, Axis::CP_SEQUENCE, bytes};
    const CollectiveCall twice{Kind::SendRecv, Axis::CP_SEQUENCE, 2 * bytes};
    const auto steps = static_cast<std::size_t>(local.sequence_split);
    local.forward_beside.assign(steps - 1, once);
    local.beside_data_grad.assign(steps, twice);
    local.beside_data_grad.front() = local.beside_data_grad.back() = once;
  }

  const LocalSizes& s_;
  double top_k_ = 1, experts_ = 0;  // of the routed region the ops are in
  RoutedLoad load_;
};

}  // namespace

bool operator<(const CollectiveCall& a, const CollectiveCall& b) noexcept {
  const auto key = [](const CollectiveCall& c) {
    return std::make_tuple(c.kind, c.axis, c.bytes, c.load, c.copies.top_k, c.copies.experts, c.copies.max_domains,
                           c.copies.sms);
  };
  return key(a) < key(b);
}

LocalSizes local_sizes(const ModelSpec& model, const Strategy& s, const FrameworkProfile& profile, double seq_len) {
  LocalSizes sizes;
  sizes.seq_len = model.tokens_per_sample > 0 ? model.tokens_per_sample : seq_len;
  sizes.samples = s.micro_batch;
  sizes.tokens = s.micro_batch * sizes.seq_len / s.cp;
  sizes.activation_bytes = s.precision == DType::FP32 || s.precision == DType::TF32 ? 4 : 2;
  sizes.exchange_bytes = profile.head_exchange_bytes > 0 ? profile.head_exchange_bytes : sizes.activation_bytes;
  sizes.head_split = head_split(s);
  sizes.gather_keys = s.cp_comm == ContextComm::AllGather;
  sizes.tp = s.tp, sizes.cp = s.cp, sizes.ep = s.ep, sizes.etp = s.etp;
  sizes.sequence_parallel = s.sequence_parallel && s.tp > 1;
  const Dispatcher dispatcher = s.moe_dispatcher == Dispatcher::Framework ? profile.moe_dispatcher : s.moe_dispatcher;
  sizes.routing = {dispatcher,          s.expert_load,   s.capacity_factor,
                   s.pad_to_capacity,   s.moe_max_nodes, s.overlap_shared_experts,
                   profile.exchange_sms};
  return sizes;
}

LocalSizes encoder_sizes(const ModelSpec& model, const Block& block, const Strategy& s, const FrameworkProfile& profile,
                         double seq_len) {
  LocalSizes sizes = local_sizes(model, s, profile, seq_len);
  if (block.tokens_per_sample > 0) sizes.seq_len = block.tokens_per_sample;
  sizes.tokens = s.micro_batch * sizes.seq_len;
  sizes.cp = sizes.head_split = 1;
  sizes.gather_keys = false;
  return sizes;
}

std::vector<LocalOp> lower_block(const Block& block, const LocalSizes& sizes) {
  BlockLowering lowering(sizes);
  std::vector<LocalOp> ops;
  ops.reserve(block.ops.size());
  std::unordered_map<std::string, const Op*> earlier;
  const Op* previous = nullptr;
  for (const Op& op : block.ops) {
    const Op* source = op.input.empty() ? previous : op.input == kBlockInput ? nullptr : earlier.at(op.input);
    ops.push_back(lowering.lower(op, source ? produced(*source) : Layout::Tokens));
    const bool written = source && (source->kind == OpKind::Norm || source->kind == OpKind::Activation);
    ops.back().fresh_input = written && (ops.back().forward_before.empty() || sizes.cast_bytes > 0);
    earlier.emplace(op.name, &op);
    previous = &op;
  }
  return ops;
}

}  // namespace dts

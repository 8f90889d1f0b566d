#include "pricing/recompute.hpp"

#include <algorithm>

#include "parallel/recompute_modules.hpp"

namespace dts {

namespace {

// The op of that kind that a matmul feeds: no other matmul lies between.
const Op* fed(const Block& block, std::size_t matmul, OpKind kind) {
  const auto it = std::find_if(block.ops.begin() + static_cast<std::ptrdiff_t>(matmul) + 1, block.ops.end(),
                               [&](const Op& op) { return op.kind == kind || op.kind == OpKind::Matmul; });
  return it == block.ops.end() || it->kind != kind ? nullptr : &*it;
}

// Output widths of the separate matmuls that a fused projection stands for: q, k, v before attention; gate and up
// before a gated activation (one that halves its input).
std::vector<double> fused_parts(const Block& block, std::size_t i) {
  const Op& op = block.ops[i];
  if (const Op* attention = fed(block, i, OpKind::Attention)) {
    const double q = attention->heads * attention->qk_head_dim, k = attention->kv_heads * attention->qk_head_dim;
    const double v = attention->kv_heads * attention->v_head_dim;
    if (op.out_features == q + k + v) return {q, k, v};
  }
  if (const Op* activation = fed(block, i, OpKind::Activation)) {
    if (op.out_features == activation->in_features && activation->in_features == 2 * activation->out_features) {
      return {activation->out_features, activation->out_features};
    }
  }
  return {op.out_features};
}

// torchtitan's per-op rule (parallelisms/parallelize_llama.py, Dec 2024): outputs of every second matmul and of
// attention are kept, the rest runs again.
std::vector<double> alternate_matmuls(const Block& block) {
  std::vector<double> shares(block.ops.size(), 1);
  int matmul = 0;
  for (std::size_t i = 0; i < block.ops.size(); ++i) {
    const Op& op = block.ops[i];
    if (op.kind == OpKind::Attention || op.kind == OpKind::GroupedMatmul || op.kind == OpKind::Dispatch ||
        op.kind == OpKind::Combine) {
      shares[i] = 0;  // attention and collectives are on its save list
    } else if (op.kind == OpKind::Matmul) {
      double again = 0;
      for (double width : fused_parts(block, i)) again += matmul++ % 2 == 1 ? width : 0;
      shares[i] = again / op.out_features;
    }
  }
  return shares;
}

// What no saved tensor depends on: the block's last matmul, whose input was kept or is there again, and the sums after
// it.
void stop_early(const Block& block, std::vector<double>& shares) {
  for (std::size_t i = block.ops.size(); i-- > 0;) {
    const Op& op = block.ops[i];
    const bool sum = op.kind == OpKind::Elementwise && !op.saves_input && op.saved_bytes_per_row == 0;
    if (sum || op.kind == OpKind::Matmul) shares[i] = 0;
    if (!sum) return;
  }
}

// MaxText policies that keep `query_proj`, `key_proj`, `value_proj` and `context` (layers/attentions.py checkpoint
// names): the norm before them runs again for their weight gradients, then all that follows attention.
std::vector<double> all_but_attention(const Block& block, bool stops_early) {
  std::vector<double> shares(block.ops.size(), 1);
  if (stops_early) stop_early(block, shares);
  std::size_t projected = 0;  // from here to the attention its projections lie, with norms and rotations that run again
  for (std::size_t i = 0; i < block.ops.size(); ++i) {
    if (block.ops[i].kind != OpKind::Attention) continue;
    for (; projected < i; ++projected) {
      if (block.ops[projected].kind == OpKind::Matmul) shares[projected] = 0;
    }
    shares[i] = 0;
  }
  return shares;
}

}  // namespace

bool keeps_outputs(Recompute recompute, const std::vector<RecomputeModule>& modules,
                   const FrameworkProfile& profile) noexcept {
  return recompute == Recompute::Selective && modules.empty() && profile.selective != SelectiveRule::CoreAttention;
}

std::vector<RecomputeModule> recomputed_modules(const std::vector<RecomputeModule>& named) {
  return named.empty() ? std::vector<RecomputeModule>{RecomputeModule::CoreAttention} : named;
}

std::vector<double> recomputed_shares(const Block& block, Recompute recompute,
                                      const std::vector<RecomputeModule>& modules, const FrameworkProfile& profile) {
  std::vector<double> shares(block.ops.size(), recompute == Recompute::Full ? 1 : 0);
  if (recompute == Recompute::Full && profile.recompute_stops_early) stop_early(block, shares);
  if (recompute != Recompute::Selective) return shares;
  if (keeps_outputs(recompute, modules, profile)) {
    return profile.selective == SelectiveRule::AlternateMatmuls
               ? alternate_matmuls(block)
               : all_but_attention(block, profile.recompute_stops_early);
  }
  for (const RecomputeRegion& region : recompute_regions(block.ops, recomputed_modules(modules))) {
    for (std::size_t i = 0; i < shares.size(); ++i) shares[i] = region.ops[i] ? 1 : shares[i];
  }
  return shares;
}

}  // namespace dts

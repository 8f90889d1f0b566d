#include "parallel/placed_model.hpp"

#include <algorithm>
#include <cmath>

namespace dts {

namespace {

bool copies_heads(const Op& op, int tp, KvHeads way) {
  return way != KvHeads::Refuse && op.kind == OpKind::Attention && op.kv_heads < tp && op.heads > op.kv_heads &&
         std::fmod(tp, op.kv_heads) == 0 && std::fmod(op.heads, tp) == 0;
}

// The projection, norm and rotation before the attention at `at` hold its keys: found by their widths.
void copy_heads(std::vector<Op>& ops, std::size_t at, int tp, KvHeads way) {
  Op& attention = ops[at];
  const double q = attention.heads * attention.qk_head_dim, k = attention.kv_heads * attention.qk_head_dim;
  const double v = attention.kv_heads * attention.v_head_dim;
  const double more_k = tp * attention.qk_head_dim - k, more = more_k + tp * attention.v_head_dim - v;
  for (std::size_t i = 0; i < at; ++i) {
    Op& op = ops[i];
    const bool projection = op.out_features == q + k + v || op.out_features == 2 * q + k + v;  // with an output gate
    if (op.kind == OpKind::Matmul && op.sharding == Sharding::Column && projection) {
      if (way == KvHeads::Gather) {
        op.gathers_output = true;
      } else {
        op.out_features += more;
      }
    } else if (op.kind == OpKind::Norm && op.norm_groups == attention.kv_heads && op.in_features == k) {
      op.in_features = op.out_features = k + more_k;
      op.norm_groups = tp;
    } else if (op.kind == OpKind::Elementwise && op.in_features == q + k) {
      op.in_features += more_k, op.out_features += more_k;
    }
  }
  attention.in_features += more;
  attention.kv_heads = tp;
}

void place_attention(Block& block, int tp, KvHeads way) {
  for (std::size_t i = 0; i < block.ops.size(); ++i) {
    if (copies_heads(block.ops[i], tp, way)) copy_heads(block.ops, i, tp, way);
  }
}

double padded(double vocabulary, double multiple) { return std::ceil(vocabulary / multiple) * multiple; }

// A loss over the vocabulary, and the matmul and the elementwise ops that make its logits.
void pad_outputs(Block& block, double multiple) {
  for (const Op& loss : std::vector<Op>(block.ops)) {
    if (loss.kind != OpKind::CrossEntropy || loss.sharding != Sharding::Heads) continue;
    const double vocabulary = loss.in_features, width = padded(vocabulary, multiple);
    for (Op& op : block.ops) {
      if (op.kind == OpKind::Norm || op.kind == OpKind::Embedding) continue;
      if (op.out_features == vocabulary) op.out_features = width;
      if (op.in_features == vocabulary && op.kind != OpKind::Matmul) op.in_features = width;
    }
  }
}

void pad_tables(Block& block, double multiple) {
  for (Op& op : block.ops) {
    if (op.kind == OpKind::Embedding && op.sharding == Sharding::Vocab)
      op.in_features = padded(op.in_features, multiple);
  }
}

}  // namespace

ModelSpec placed_model(const ModelSpec& model, const Strategy& s, const FrameworkProfile& profile) {
  ModelSpec placed = model;
  const double multiple = std::max(1.0, profile.vocabulary_multiple) * std::max(s.tp, 1);
  pad_tables(placed.stem, multiple);
  pad_outputs(placed.head, multiple);
  for (auto* runs : {&placed.encoder, &placed.layers, &placed.prediction}) {
    for (LayerRun& run : *runs) {
      if (s.tp > 1) place_attention(run.block, s.tp, profile.kv_heads_below_tp);
      if (runs == &placed.prediction) pad_outputs(run.block, multiple), pad_tables(run.block, multiple);
    }
  }
  return placed;
}

}  // namespace dts

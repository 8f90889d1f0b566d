// Blocks written as ops, shared by the memory tests.
#pragma once

#include <string>
#include <vector>

#include "workload/op.hpp"

namespace dts::test {

inline Op make_op(OpKind kind, std::string name, double in, double out, Sharding sharding, bool saves_input = true) {
  Op op;
  op.kind = kind;
  op.name = std::move(name);
  op.in_features = in;
  op.out_features = out;
  op.sharding = sharding;
  op.saves_input = saves_input;
  return op;
}

inline Op make_norm(std::string name, double width, bool layer_norm, std::string input = "") {
  Op op = make_op(OpKind::Norm, std::move(name), width, width, Sharding::Sequence);
  op.norm_has_bias = layer_norm;
  op.input = std::move(input);
  return op;
}

inline Op make_attention(double heads, double kv_heads, double head_dim) {
  Op op = make_op(OpKind::Attention, "attention", (heads + 2 * kv_heads) * head_dim, heads * head_dim, Sharding::Heads,
                  false);
  op.heads = heads;
  op.kv_heads = kv_heads;
  op.qk_head_dim = op.v_head_dim = head_dim;
  return op;
}

// GPT-2 layer: LayerNorm, fused qkv, attention, projection, dropout, add; LayerNorm, 4h GELU MLP, dropout, add.
inline std::vector<Op> gpt_layer(double hidden, double heads) {
  return {make_norm("norm1", hidden, true),
          make_op(OpKind::Matmul, "qkv", hidden, 3 * hidden, Sharding::Column),
          make_attention(heads, heads, hidden / heads),
          make_op(OpKind::Matmul, "proj", hidden, hidden, Sharding::Row),
          make_op(OpKind::Dropout, "dropout1", hidden, hidden, Sharding::Sequence, false),
          make_op(OpKind::Elementwise, "add1", hidden, hidden, Sharding::Sequence, false),
          make_norm("norm2", hidden, true),
          make_op(OpKind::Matmul, "fc1", hidden, 4 * hidden, Sharding::Column),
          make_op(OpKind::Activation, "gelu", 4 * hidden, 4 * hidden, Sharding::Heads),
          make_op(OpKind::Matmul, "fc2", 4 * hidden, hidden, Sharding::Row),
          make_op(OpKind::Dropout, "dropout2", hidden, hidden, Sharding::Sequence, false),
          make_op(OpKind::Elementwise, "add2", hidden, hidden, Sharding::Sequence, false)};
}

// Llama layer: RMSNorm, fused qkv, rope, attention, projection, add; RMSNorm, gated MLP, add.
inline std::vector<Op> llama_layer(double hidden, double heads, double kv_heads, double head_dim, double ffn) {
  const double q = heads * head_dim, kv = kv_heads * head_dim;
  return {make_norm("norm1", hidden, false),
          make_op(OpKind::Matmul, "qkv", hidden, q + 2 * kv, Sharding::Column),
          make_op(OpKind::Elementwise, "rope", q + 2 * kv, q + 2 * kv, Sharding::Heads, false),
          make_attention(heads, kv_heads, head_dim),
          make_op(OpKind::Matmul, "proj", q, hidden, Sharding::Row),
          make_op(OpKind::Elementwise, "add1", hidden, hidden, Sharding::Sequence, false),
          make_norm("norm2", hidden, false),
          make_op(OpKind::Matmul, "fc1", hidden, 2 * ffn, Sharding::Column),
          make_op(OpKind::Activation, "swiglu", 2 * ffn, ffn, Sharding::Heads),
          make_op(OpKind::Matmul, "fc2", ffn, hidden, Sharding::Row),
          make_op(OpKind::Elementwise, "add2", hidden, hidden, Sharding::Sequence, false)};
}

inline Op make_routed(OpKind kind, std::string name, double in, double out, Sharding sharding, double experts,
                      double top_k, bool saves_input = true) {
  Op op = make_op(kind, std::move(name), in, out, sharding, saves_input);
  op.rows = Rows::Routed;
  op.experts = experts;
  op.top_k = top_k;
  return op;
}

// The feed-forward half of a mixture-of-experts layer.
inline std::vector<Op> moe_feed_forward(double hidden, double ffn, double experts, double top_k) {
  Op router = make_op(OpKind::Router, "router", hidden, experts, Sharding::Sequence);
  router.experts = experts;
  router.top_k = top_k;
  Op dispatch = make_routed(OpKind::Dispatch, "dispatch", hidden, hidden, Sharding::Sequence, experts, top_k, false);
  dispatch.input = "norm";
  return {make_norm("norm", hidden, false),
          router,
          dispatch,
          make_routed(OpKind::GroupedMatmul, "fc1", hidden, 2 * ffn, Sharding::ExpertColumn, experts, top_k),
          make_routed(OpKind::Activation, "swiglu", 2 * ffn, ffn, Sharding::Expert, 0, 0),
          make_routed(OpKind::GroupedMatmul, "fc2", ffn, hidden, Sharding::ExpertRow, experts, top_k),
          make_routed(OpKind::Combine, "combine", hidden, hidden, Sharding::Sequence, experts, top_k, false)};
}

}  // namespace dts::test

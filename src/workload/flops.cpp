#include "workload/flops.hpp"

#include <algorithm>

namespace dts {

double mean_keys(double seq_len, bool causal, double window, double chunk) {
  if (chunk > 0 && chunk < seq_len) return mean_keys(chunk, causal, window);
  if (window > 0 && window < seq_len) return causal ? window * (1 - window / (2 * seq_len)) : window;
  return causal ? seq_len / 2 : seq_len;
}

Flops forward_flops(const Op& op, double seq_len) {
  const double rows = op.rows == Rows::Samples ? 1 : op.rows == Rows::Routed ? seq_len * op.top_k : seq_len;
  double flops = 0;
  switch (op.kind) {
    case OpKind::Matmul:
    case OpKind::GroupedMatmul: flops = 2 * rows * op.in_features * op.out_features; break;
    case OpKind::Router: flops = 2 * rows * op.in_features * op.experts; break;
    case OpKind::Conv2d:
      flops = 2 * rows * op.output_positions * op.kernel_area * op.in_features / op.groups * op.out_features;
      break;
    case OpKind::Scan:
    case OpKind::Custom: flops = rows * op.flops_per_row; break;
    case OpKind::Attention: {
      const double per_key = 2 * op.heads * (op.qk_head_dim + op.v_head_dim) * seq_len;
      double visible = seq_len;
      for (double limit : {op.window, op.chunk}) visible = limit > 0 ? std::min(limit, visible) : visible;
      return {per_key * mean_keys(seq_len, op.causal, op.window, op.chunk), per_key * visible};
    }
    default: break;
  }
  return {flops, flops};
}

Flops forward_flops(const Block& block, double seq_len) {
  Flops sum;
  for (const Op& op : block.ops) {
    const Flops f = forward_flops(op, seq_len);
    sum.causal += f.causal;
    sum.full += f.full;
  }
  return sum;
}

double training_passes(const Op& op) {
  const bool weights = op.shared || parameter_count(op) > 0;
  const bool no_weight_grad = weights ? !op.trainable : op.kind == OpKind::Custom;
  return no_weight_grad ? 2 : 3;
}

namespace {

void add_training(Flops& sum, const Block& block, double seq_len, double repeat) {
  for (const Op& op : block.ops) {
    const Flops f = forward_flops(op, seq_len);
    const double passes = training_passes(op);
    sum.causal += repeat * passes * f.causal;
    sum.full += repeat * passes * f.full;
  }
}

}  // namespace

Flops training_flops(const ModelSpec& model, double seq_len) {
  const double tokens = model.tokens_per_sample > 0 ? model.tokens_per_sample : seq_len;
  Flops sum;
  add_training(sum, model.stem, tokens, 1);
  for (const auto* runs : {&model.encoder, &model.layers, &model.prediction}) {
    for (const LayerRun& run : *runs) {
      add_training(sum, run.block, run.block.tokens_per_sample > 0 ? run.block.tokens_per_sample : tokens, run.repeat);
    }
  }
  add_training(sum, model.head, tokens, 1);
  return sum;
}

}  // namespace dts

#include "pricing/op_cost.hpp"

#include <cmath>

#include "compute/attention.hpp"
#include "compute/conv.hpp"
#include "compute/gemm.hpp"
#include "compute/memory_bound.hpp"
#include "compute/quantise.hpp"
#include "compute_model.hpp"
#include "workload/flops.hpp"

namespace dts {

namespace {

AttentionShape attention_shape(const LocalOp& op, const LocalSizes& s) {
  const Op& o = *op.op;
  return {s.samples, op.heads, op.kv_heads, s.seq_len, s.seq_len, o.qk_head_dim, o.v_head_dim, o.causal, o.window};
}

bool narrow(DType t) { return bytes_of(t) < 2; }

}  // namespace

// Context-parallel ranks hold two chunks each of the causal triangle, so each does 1/cp of the whole.
double OpTimer::forward_s(const LocalOp& op) const {
  const Op& o = *op.op;
  const double scale = sizes.activation_bytes / 2;  // stated bytes are for 2-byte activations
  switch (o.kind) {
    case OpKind::Matmul:
    case OpKind::GroupedMatmul: {
      const double quantise = narrow(precision) ? quantise_time_s(device, precision, op.rows * op.in) : 0;
      const GemmShape shape{op.rows / op.local_experts, op.out, op.in, op.local_experts};
      return quantise + (o.kind == OpKind::Matmul
                             ? gemm_time_s(device, precision, shape, GemmPass::Forward, sizes.activation_bytes)
                             : grouped_gemm_time_s(device, precision, shape, GemmPass::Forward, sizes.activation_bytes));
    }
    case OpKind::Attention: {
      const AttentionShape shape = attention_shape(op, sizes);
      const DType type = narrow(precision) ? DType::BF16 : precision;  // attention stays in 16 bits under fp8 recipes
      const double whole = profile.flash_attention
                               ? flash_attention_time_s(device, type, shape, false, profile.causal_skip)
                               : unfused_attention_time_s(device, type, shape, false, profile.attention_dropout > 0);
      return whole / sizes.cp;
    }
    case OpKind::Router:
      return gemm_time_s(device, DType::FP32, {op.rows, o.experts, op.in, 1}, GemmPass::Forward, 4) +
             stream_time_s(device, 8 * op.rows * o.experts);
    case OpKind::CrossEntropy: return stream_time_s(device, profile.cross_entropy_bytes / 2 * op.rows * op.in);
    case OpKind::Embedding: return stream_time_s(device, 2 * sizes.activation_bytes * op.rows * op.out);
    case OpKind::Dispatch:
    case OpKind::Combine:  // one read and one write of every routed copy
      return stream_time_s(device, 2 * sizes.activation_bytes * op.rows * o.top_k * op.in);
    case OpKind::Conv2d: return conv_time_s(device, precision, o, op.rows, GemmPass::Forward, sizes.activation_bytes);
    case OpKind::Custom:
      return work_time_s(device, precision, op.rows * o.flops_per_row,
                         op.rows * op.in * o.forward_bytes_per_element * scale);
    default:
      return stream_time_s(device, op.rows * op.in * o.forward_bytes_per_element * scale * profile.memory_pass_factor);
  }
}

double OpTimer::data_grad_s(const LocalOp& op) const {
  const Op& o = *op.op;
  const double scale = sizes.activation_bytes / 2;
  switch (o.kind) {
    case OpKind::Matmul:
    case OpKind::GroupedMatmul: {
      const double quantise = narrow(precision) ? quantise_time_s(device, precision, op.rows * op.out) : 0;
      const GemmShape shape{op.rows / op.local_experts, op.in, op.out, op.local_experts};
      return quantise + (o.kind == OpKind::Matmul
                             ? gemm_time_s(device, precision, shape, GemmPass::DataGrad, sizes.activation_bytes)
                             : grouped_gemm_time_s(device, precision, shape, GemmPass::DataGrad, sizes.activation_bytes));
    }
    case OpKind::Attention: {
      const AttentionShape shape = attention_shape(op, sizes);
      const DType type = narrow(precision) ? DType::BF16 : precision;
      const double whole = profile.flash_attention
                               ? flash_attention_time_s(device, type, shape, true, profile.causal_skip)
                               : unfused_attention_time_s(device, type, shape, true, profile.attention_dropout > 0);
      return whole / sizes.cp;
    }
    case OpKind::Router:
      return gemm_time_s(device, DType::FP32, {op.rows, op.in, o.experts, 1}, GemmPass::DataGrad, 4);
    case OpKind::CrossEntropy:
    case OpKind::Dispatch:
    case OpKind::Combine: return forward_s(op);
    case OpKind::Embedding: return 0;
    case OpKind::Conv2d: return conv_time_s(device, precision, o, op.rows, GemmPass::DataGrad, sizes.activation_bytes);
    case OpKind::Custom:
      return work_time_s(device, precision, op.rows * o.flops_per_row,
                         op.rows * op.in * o.backward_bytes_per_element * scale);
    default:
      return stream_time_s(device, op.rows * op.in * o.backward_bytes_per_element * scale * profile.memory_pass_factor);
  }
}

double OpTimer::weight_grad_s(const LocalOp& op) const {
  const Op& o = *op.op;
  if (!o.trainable || op.parameters <= 0) return 0;
  // Matmuls accumulate into the gradient buffer in their epilogue; other gradients are added in a pass of their own.
  const double accumulate = profile.grad_accumulate_bytes;
  switch (o.kind) {
    case OpKind::Matmul:
      return gemm_time_s(device, precision, {op.out, op.in, op.rows, 1}, GemmPass::WeightGrad, accumulate);
    case OpKind::GroupedMatmul:
      return grouped_gemm_time_s(device, precision, {op.out, op.in, op.rows / op.local_experts, op.local_experts},
                                 GemmPass::WeightGrad, accumulate);
    case OpKind::Router:
      return gemm_time_s(device, DType::FP32, {o.experts, op.in, op.rows, 1}, GemmPass::WeightGrad, accumulate);
    case OpKind::Conv2d: return conv_time_s(device, precision, o, op.rows, GemmPass::WeightGrad, accumulate);
    case OpKind::Embedding:  // scatter-add of the rows, then the dense gradient joins the buffer
      return stream_time_s(device, 2 * sizes.activation_bytes * op.rows * op.out + accumulate * op.parameters);
    case OpKind::Custom:
      return work_time_s(device, precision, op.rows * o.flops_per_row, accumulate * op.parameters);
    default: return stream_time_s(device, accumulate * op.parameters);
  }
}

double OpTimer::forward_flops(const LocalOp& op) const {
  const Op& o = *op.op;
  switch (o.kind) {
    case OpKind::Matmul:
    case OpKind::GroupedMatmul: return 2 * op.rows * op.in * op.out;
    case OpKind::Router: return 2 * op.rows * op.in * o.experts;
    case OpKind::Attention:
      return dts::forward_flops(o, sizes.seq_len).causal * sizes.samples * (op.heads / o.heads) / sizes.cp;
    case OpKind::Conv2d: return dts::forward_flops(o, 1).causal * op.rows;
    case OpKind::Custom: return op.rows * o.flops_per_row;
    default: return 0;
  }
}

int OpTimer::kernels(const LocalOp& op) const {
  switch (op.op->kind) {
    case OpKind::Matmul: return narrow(precision) ? 3 : 1;
    case OpKind::Attention: return profile.flash_attention ? 1 : 4;  // two batched matmuls, softmax, dropout
    case OpKind::Router: return 5;                                   // scores, softmax, top-k, map, auxiliary loss
    case OpKind::Dispatch:
    case OpKind::Combine: return 4;
    case OpKind::GroupedMatmul: return 2;
    case OpKind::CrossEntropy: return 4;
    default: return 1;
  }
}

}  // namespace dts

// Bytes that an op's kernels read and write in device memory, in one pass on one rank.
#include "compute/byte_costs.hpp"
#include "compute/conv.hpp"
#include "compute/tiled.hpp"
#include "pricing/op_cost.hpp"

namespace dts {

// Matmuls accumulate into the gradient buffer in their epilogue; other gradients are added in a pass of their own.
double OpTimer::accumulated_bytes() const noexcept {
  return profile.grad_accumulate_bytes > 0 ? profile.grad_accumulate_bytes : sizes.activation_bytes;
}

double OpTimer::output_bytes_per_element(const LocalOp& op, GemmPass pass) const noexcept {
  if (pass == GemmPass::WeightGrad) return accumulated_bytes();
  return op.op->kind == OpKind::Router ? bytes_of(DType::FP32) : sizes.activation_bytes;
}

double OpTimer::router_score_bytes(const LocalOp& op) const noexcept { return 8 * op.rows * op.op->experts; }

// Stated bytes are those of fused kernels on 2-byte activations.
double OpTimer::stated_bytes(const LocalOp& op, bool backward) const {
  const double per_element = backward ? op.op->backward_bytes_per_element : op.op->forward_bytes_per_element;
  if (op.op->kind == OpKind::Scan)
    return op.rows * op.in * op.op->forward_bytes_per_element * sizes.activation_bytes / 2;
  return op.busy_rows() * op.in * per_element * sizes.activation_bytes / 2 * profile.memory_pass_factor;
}

double OpTimer::gemm_bytes(const LocalOp& op, GemmPass pass) const {
  const DType type = compute_dtype(device, product_type(op, pass));
  const double output = output_bytes_per_element(op, pass);
  double bytes = 0;
  if (op.op->kind != OpKind::GroupedMatmul || op.expert_rows.empty()) {
    GemmShape all = pass_shape(product_of(op), pass);
    all.batch *= op.op->kind == OpKind::GroupedMatmul ? op.local_experts : 1;
    bytes = product_bytes(all, type, output);
  }
  for (double rows : op.expert_rows)
    bytes += rows > 0 ? product_bytes(pass_shape({rows, op.out, op.in}, pass), type, output) : 0;
  return bytes;
}

double OpTimer::weight_grad_bytes(const LocalOp& op) const {
  if (!trains_weights(*op.op)) return 0;
  switch (op.op->kind) {
    case OpKind::Matmul:
    case OpKind::GroupedMatmul:
    case OpKind::Router: return gemm_bytes(op, GemmPass::WeightGrad);
    case OpKind::Conv2d:
      return conv_bytes(device, precision, conv_shape(op), GemmPass::WeightGrad, accumulated_bytes());
    case OpKind::Embedding:
      return embedding_backward_bytes(op.rows, op.out, sizes.activation_bytes, op.parameters / op.out,
                                      profile.grad_accumulate_bytes > 0);
    default: return accumulated_bytes() * op.parameters;
  }
}

double OpTimer::permute_passes() const noexcept {
  return sizes.routing.dispatcher == Dispatcher::DeepEP ? profile.deepep_permute_passes : profile.permute_passes;
}

double OpTimer::bytes(const LocalOp& op, GemmPass pass) const {
  if (pass == GemmPass::WeightGrad) return weight_grad_bytes(op);
  const bool backward = pass == GemmPass::DataGrad;
  const double element = sizes.activation_bytes;
  switch (op.op->kind) {
    case OpKind::Matmul:
    case OpKind::GroupedMatmul: return gemm_bytes(op, pass);
    case OpKind::Attention: return attention_bytes(op, backward);
    case OpKind::Router: return gemm_bytes(op, pass) + (backward ? 0 : router_score_bytes(op));
    case OpKind::CrossEntropy: return profile.cross_entropy_bytes / 2 * op.rows * op.in;
    case OpKind::Embedding: return backward ? 0 : embedding_forward_bytes(op.rows, op.out, element);
    case OpKind::Dispatch:
    case OpKind::Combine: return permute_passes() * element * op.permuted_rows * op.in;
    case OpKind::Conv2d: return conv_bytes(device, precision, conv_shape(op), pass, output_bytes_per_element(op, pass));
    case OpKind::Scan: return stated_bytes(op, backward) * (backward ? kScanBackward : 1);
    default: return inside_experts(op) ? 0 : stated_bytes(op, backward);
  }
}

}  // namespace dts

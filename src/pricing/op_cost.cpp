#include "pricing/op_cost.hpp"

#include <algorithm>

#include "compute/attention.hpp"
#include "compute/byte_costs.hpp"
#include "compute/conv.hpp"
#include "compute/gemm.hpp"
#include "compute/grouped.hpp"
#include "compute/memory_bound.hpp"
#include "compute/quantise.hpp"
#include "workload/flops.hpp"

namespace dts {

namespace {

bool narrow(DType t) { return bytes_of(t) < 2; }

// Matmuls of fewer features stay in 16 bits: low-rank adapters run outside the 8-bit linear layers (NeMo, Megatron-Bridge
// ParallelLinearAdapter).
constexpr double kFewestCastFeatures = 64;

double custom_flops(const LocalOp& op) { return op.busy_rows() * op.feature_share * op.op->flops_per_row; }

ConvShape conv_shape(const LocalOp& op) {
  const Op& o = *op.op;
  return {op.rows, op.in, op.out, o.input_positions, o.output_positions, o.kernel_area, o.groups};
}

}  // namespace

double OpTimer::gemm_s(const LocalOp& op, const GemmShape& forward, GemmPass pass, DType type, double output_bytes) const {
  const GemmShape shape = pass_shape(forward, pass);
  if (op.op->kind != OpKind::GroupedMatmul) return gemm_time_s(device, type, shape, pass, output_bytes);
  const GroupedKernel& kernel = profile.grouped_single_launch ? kGroupedSingleLaunch : kGroupedMultiStream;
  if (!op.expert_rows.empty()) {
    return grouped_rows_time_s(device, type, op.expert_rows, op.out, op.in, pass, output_bytes, kernel);
  }
  return grouped_gemm_time_s(device, type, op.local_experts, shape, pass, output_bytes, kernel);
}

// 16-bit operands with fp32 results, or fp32 throughout.
double OpTimer::router_s(const LocalOp& op, GemmPass pass, double output_bytes) const {
  const bool narrow_operands = !profile.moe_router_fp32 && sizes.activation_bytes < 4;
  return gemm_s(op, {op.rows, op.op->experts, op.in}, pass, narrow_operands ? DType::BF16 : DType::FP32, output_bytes);
}

QuantiseRecipe quantise_recipe(DType precision, Fp8Recipe fp8, Int8Recipe int8) noexcept {
  if (bytes_of(precision) < 1) return QuantiseRecipe::Fp4Block;
  if (precision == DType::INT8) return int8 == Int8Recipe::SwitchBack ? QuantiseRecipe::Int8Switch : QuantiseRecipe::Int8Row;
  switch (fp8) {
    case Fp8Recipe::Delayed: return QuantiseRecipe::Fp8Delayed;
    case Fp8Recipe::Blockwise: return QuantiseRecipe::Fp8Block;
    case Fp8Recipe::MXFP8: return QuantiseRecipe::Mxfp8;
    default: return QuantiseRecipe::Fp8Tensor;
  }
}

// A cast that the producer makes is what it writes more.
double OpTimer::quantise_s(double elements, int directions, bool fresh) const {
  if (!narrow(precision)) return 0;
  const bool known_scale = recipe == QuantiseRecipe::Fp8Delayed || recipe == QuantiseRecipe::Mxfp8;
  if (fresh && profile.fused_casts && recipe == QuantiseRecipe::Fp8Tensor) {  // its maximum comes with the producer
    return quantise_time_s(device, QuantiseRecipe::Fp8Delayed, elements, directions);
  }
  if (!fresh || !profile.fused_casts || !known_scale) return quantise_time_s(device, recipe, elements, directions);
  const int copies = std::min(directions, stored_directions(recipe));
  return elements * copies * operand_bytes(precision) / (device.memory.stream_efficiency * device.hbm_Bps);
}

bool OpTimer::casts(const LocalOp& op) const {
  const bool matmul = op.op->kind == OpKind::Matmul || op.op->kind == OpKind::GroupedMatmul;
  return narrow(precision) && matmul && std::min(op.op->in_features, op.op->out_features) >= kFewestCastFeatures;
}

DType OpTimer::matmul_type(const LocalOp& op, DType wanted) const { return narrow(wanted) && !casts(op) ? DType::BF16 : wanted; }

double OpTimer::weight_cast_s(const LocalOp& op, double weights, int directions) const {
  return casts(op) ? quantise_s(weights, directions) : 0;
}

DType OpTimer::weight_grad_type() const noexcept { return recipe == QuantiseRecipe::Int8Switch ? DType::BF16 : precision; }

double OpTimer::recast_s(const LocalOp& op) const {
  if (!casts(op) || profile.cached_casts || bytes_of(weight_grad_type()) >= 2) return 0;
  return op.op->trainable ? quantise_s(op.rows * op.in * op.cast_share, 1) : 0;  // for the weight gradient
}

// What biases of experts add: passes over the products' results.
double OpTimer::expert_bias_s(const LocalOp& op, double bytes) const {
  const bool biased = op.op->kind == OpKind::GroupedMatmul && op.op->bias && bytes > 0;
  return biased ? stream_time_s(device, bytes * op.busy_rows() * op.out * sizes.activation_bytes / 2) : 0;
}

bool OpTimer::inside_experts(const LocalOp& op) const {
  return profile.fused_experts && op.op->kind == OpKind::Activation && op.op->rows == Rows::Routed;
}

// `at_gate`: the operand lies between the gate and a matmul.
bool OpTimer::cast_by_experts(const LocalOp& op, bool at_gate) const {
  return profile.fused_experts && op.op->kind == OpKind::GroupedMatmul && at_gate;
}

// Stated bytes are those of fused kernels on 2-byte activations.
double OpTimer::pass_bytes(const LocalOp& op, double bytes_per_element) const {
  return op.busy_rows() * op.in * bytes_per_element * sizes.activation_bytes / 2 * profile.memory_pass_factor;
}

double OpTimer::scan_s(const LocalOp& op, bool backward) const {
  const Op& o = *op.op;
  const double bytes = op.rows * op.in * o.forward_bytes_per_element * sizes.activation_bytes / 2;
  return scan_time_s(device, precision, std::max(o.qk_head_dim, o.v_head_dim), forward_flops(op), bytes, backward);
}

double OpTimer::forward_s(const LocalOp& op) const {
  const Op& o = *op.op;
  const double element = sizes.activation_bytes;
  if (inside_experts(op)) return 0;
  switch (o.kind) {
    case OpKind::Matmul:
    case OpKind::GroupedMatmul:
      return (casts(op) && !cast_by_experts(op, op.fresh_input) ? quantise_s(op.busy_rows() * op.in * op.cast_share,
                                     o.trainable && profile.cached_casts && bytes_of(weight_grad_type()) < 2 ? 2 : 1, op.fresh_input)
                        : 0) +
             gemm_s(op, {op.busy_rows() / op.local_experts, op.out, op.in}, GemmPass::Forward, matmul_type(op, precision), element) +
             expert_bias_s(op, profile.expert_bias_forward_bytes);
    case OpKind::Attention: return attention_s(op, false);
    case OpKind::Router:  // fp32 scores
      return router_s(op, GemmPass::Forward, 4) +
             stream_time_s(device, 8 * op.rows * o.experts);
    case OpKind::CrossEntropy: return stream_time_s(device, profile.cross_entropy_bytes / 2 * op.rows * op.in);
    case OpKind::Embedding: return stream_time_s(device, embedding_forward_bytes(op.rows, op.out, element));
    case OpKind::Dispatch:
    case OpKind::Combine: return permute_time_s(device, profile.permute_passes * element * op.permuted_rows * op.in);
    case OpKind::Conv2d: return conv_time_s(device, precision, conv_shape(op), GemmPass::Forward, element);
    case OpKind::Custom:
      return roofline_time_s(device, precision, custom_flops(op), pass_bytes(op, o.forward_bytes_per_element));
    case OpKind::Scan: return scan_s(op, false);
    case OpKind::Norm: return norm_time_s(device, pass_bytes(op, o.forward_bytes_per_element));
    default: return stream_time_s(device, pass_bytes(op, o.forward_bytes_per_element));
  }
}

double OpTimer::data_grad_s(const LocalOp& op) const {
  const Op& o = *op.op;
  const double element = sizes.activation_bytes;
  if (inside_experts(op)) return 0;
  switch (o.kind) {
    case OpKind::Matmul:
    case OpKind::GroupedMatmul:
      return (casts(op) && !cast_by_experts(op, o.sharding == Sharding::ExpertColumn) ? quantise_s(op.busy_rows() * op.out * op.grad_cast_share, o.trainable && bytes_of(weight_grad_type()) < 2 ? 2 : 1)
                        : 0) +
             gemm_s(op, {op.busy_rows() / op.local_experts, op.out, op.in}, GemmPass::DataGrad, matmul_type(op, precision), element) +
             expert_bias_s(op, profile.expert_bias_backward_bytes);
    case OpKind::Attention: return attention_s(op, true);
    case OpKind::Router: return router_s(op, GemmPass::DataGrad, 4);
    case OpKind::CrossEntropy:
    case OpKind::Dispatch:
    case OpKind::Combine: return forward_s(op);
    case OpKind::Embedding: return 0;
    case OpKind::Conv2d: return conv_time_s(device, precision, conv_shape(op), GemmPass::DataGrad, element);
    case OpKind::Custom:
      return roofline_time_s(device, precision, custom_flops(op), pass_bytes(op, o.backward_bytes_per_element));
    case OpKind::Scan: return scan_s(op, true);
    case OpKind::Norm: return norm_time_s(device, pass_bytes(op, o.backward_bytes_per_element));
    default: return stream_time_s(device, pass_bytes(op, o.backward_bytes_per_element));
  }
}

double OpTimer::weight_grad_s(const LocalOp& op) const {
  const Op& o = *op.op;
  if (!trains_weights(o)) return 0;
  // Matmuls accumulate into the gradient buffer in their epilogue; other gradients are added in a pass of their own.
  const double accumulate = profile.grad_accumulate_bytes > 0 ? profile.grad_accumulate_bytes : sizes.activation_bytes;
  switch (o.kind) {
    case OpKind::Matmul:
    case OpKind::GroupedMatmul:
      return gemm_s(op, {op.busy_rows() / op.local_experts, op.out, op.in}, GemmPass::WeightGrad, matmul_type(op, weight_grad_type()), accumulate);
    case OpKind::Router: return router_s(op, GemmPass::WeightGrad, accumulate);
    case OpKind::Conv2d: return conv_time_s(device, precision, conv_shape(op), GemmPass::WeightGrad, accumulate);
    case OpKind::Embedding:
      return stream_time_s(device, embedding_backward_bytes(op.rows, op.out, sizes.activation_bytes, op.parameters / op.out,
                                                            profile.grad_accumulate_bytes > 0));
    case OpKind::Custom:
      return roofline_time_s(device, precision, custom_flops(op), accumulate * op.parameters);
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
      return dts::forward_flops(o, sizes.seq_len).causal * sizes.samples * (op.heads / o.heads) / op.sequence_split;
    case OpKind::Conv2d: return dts::forward_flops(o, 1).causal * op.rows;
    case OpKind::Scan:
    case OpKind::Custom: return op.rows * op.feature_share * o.flops_per_row;
    default: return 0;
  }
}

double OpTimer::backward_flops(const LocalOp& op) const {
  const double forward = forward_flops(op);
  if (op.op->kind == OpKind::Attention) return 2 * forward;
  if (op.op->kind == OpKind::Scan) return 2 * forward;
  return forward * (trains_weights(*op.op) ? 2 : 1);
}

int OpTimer::kernels(const LocalOp& op) const {
  switch (op.op->kind) {
    case OpKind::Matmul: return casts(op) ? 1 + quantise_kernels(recipe) : 1;
    case OpKind::Attention: return attention_kernels(op);
    case OpKind::Router: return 5;                                   // scores, softmax, top-k, map, auxiliary loss
    case OpKind::Dispatch:
    case OpKind::Combine: return 4;
    case OpKind::GroupedMatmul:  // one launch, or for each expert a product and, of narrow types, a cast
      return profile.grouped_single_launch ? 2 : 2 + static_cast<int>(op.local_experts) * (narrow(precision) ? 2 : 1);
    case OpKind::CrossEntropy: return 4;
    case OpKind::Scan: return kScanKernels;
    default: return 1;
  }
}

}  // namespace dts

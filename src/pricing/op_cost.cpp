#include "pricing/op_cost.hpp"

#include <algorithm>

#include "compute/attention.hpp"
#include "compute/conv.hpp"
#include "compute/gemm.hpp"
#include "compute/grouped.hpp"
#include "compute/memory_bound.hpp"
#include "compute/quantise.hpp"
#include "workload/flops.hpp"

namespace dts {

namespace {

bool narrow(DType t) { return bytes_of(t) < 2; }

// Matmuls of fewer features stay in 16 bits: low-rank adapters run outside the 8-bit linear layers (NeMo,
// Megatron-Bridge ParallelLinearAdapter).
constexpr double kFewestCastFeatures = 64;

double custom_flops(const LocalOp& op) { return op.busy_rows() * op.feature_share * op.op->flops_per_row; }

}  // namespace

ConvShape conv_shape(const LocalOp& op) noexcept {
  const Op& o = *op.op;
  return {op.rows, op.in, op.out, o.input_positions, o.output_positions, o.kernel_area, o.groups};
}

GemmShape OpTimer::product_of(const LocalOp& op) const noexcept {
  if (op.op->kind == OpKind::Router) return {op.rows, op.op->experts, op.in};
  return {op.busy_rows() / op.local_experts, op.out, op.in};
}

DType OpTimer::product_type(const LocalOp& op, GemmPass pass) const {
  if (op.op->kind == OpKind::Router) {  // 16-bit operands with fp32 results, or fp32 throughout
    return !profile.moe_router_fp32 && sizes.activation_bytes < 4 ? DType::BF16 : DType::FP32;
  }
  return matmul_type(op, pass == GemmPass::WeightGrad ? weight_grad_type() : precision);
}

double OpTimer::gemm_s(const LocalOp& op, GemmPass pass) const {
  const bool block_scaled = recipe == QuantiseRecipe::Mxfp8 && product_type(op, pass) == DType::FP8;
  return product_s(op, pass) / (block_scaled ? device.gemm_fp8.block_scaled_rate : 1);
}

double OpTimer::product_s(const LocalOp& op, GemmPass pass) const {
  const GemmShape shape = pass_shape(product_of(op), pass);
  const DType type = product_type(op, pass);
  const double output_bytes = output_bytes_per_element(op, pass);
  if (op.op->kind != OpKind::GroupedMatmul) {
    return products ? products->seconds({&device, type, pass, shape, output_bytes})
                    : gemm_time_s(device, type, shape, pass, output_bytes);
  }
  const GroupedKernel& kernel = profile.grouped_single_launch ? kGroupedSingleLaunch : kGroupedMultiStream;
  if (!op.expert_rows.empty()) {
    return grouped_rows_time_s(device, type, op.expert_rows, op.out, op.in, pass, output_bytes, kernel);
  }
  return grouped_gemm_time_s(device, type, op.local_experts, shape, pass, output_bytes, kernel);
}

QuantiseRecipe quantise_recipe(DType precision, Fp8Recipe fp8, Int8Recipe int8) noexcept {
  if (bytes_of(precision) < 1) return QuantiseRecipe::Fp4Block;
  if (precision == DType::INT8)
    return int8 == Int8Recipe::SwitchBack ? QuantiseRecipe::Int8Switch : QuantiseRecipe::Int8Row;
  switch (fp8) {
    case Fp8Recipe::Delayed: return QuantiseRecipe::Fp8Delayed;
    case Fp8Recipe::Blockwise: return QuantiseRecipe::Fp8Block;
    case Fp8Recipe::MXFP8: return QuantiseRecipe::Mxfp8;
    default: return QuantiseRecipe::Fp8Tensor;
  }
}

// Transformer Engine casts the rows of each expert by a kernel of their own, but for delayed scaling (v2.8 to v2.12
// csrc/extensions/cast.cpp multi_tensor_quantize_impl).
double OpTimer::cast_tensors(const LocalOp& op) const noexcept {
  const bool apart = op.op->kind == OpKind::GroupedMatmul && !profile.grouped_single_launch;
  return apart && recipe != QuantiseRecipe::Fp8Delayed ? std::max(op.local_experts, 1.0) : 1;
}

// A cast that the producer makes is what it writes more.
double OpTimer::quantise_s(double elements, int directions, bool fresh, double tensors) const {
  if (!narrow(precision)) return 0;
  const bool known_scale = recipe == QuantiseRecipe::Fp8Delayed || recipe == QuantiseRecipe::Mxfp8;
  if (fresh && profile.fused_casts && recipe == QuantiseRecipe::Fp8Tensor) {  // its maximum comes with the producer
    return quantise_time_s(device, QuantiseRecipe::Fp8Delayed, elements, directions);
  }
  if (!fresh || !profile.fused_casts || !known_scale) {
    return quantise_time_s(device, recipe, elements, directions, tensors);
  }
  const int copies = std::min(directions, stored_directions(recipe));
  return elements * copies * operand_bytes(precision) / (device.memory.stream_efficiency * device.hbm_Bps);
}

bool OpTimer::casts(const LocalOp& op) const {
  const bool matmul = op.op->kind == OpKind::Matmul || op.op->kind == OpKind::GroupedMatmul;
  return narrow(precision) && matmul && std::min(op.op->in_features, op.op->out_features) >= kFewestCastFeatures;
}

DType OpTimer::matmul_type(const LocalOp& op, DType wanted) const {
  return narrow(wanted) && !casts(op) ? DType::BF16 : wanted;
}

double OpTimer::weight_cast_s(const LocalOp& op, double weights, int directions) const {
  return casts(op) ? quantise_s(weights, directions, false, cast_tensors(op)) : 0;
}

DType OpTimer::weight_grad_type() const noexcept {
  return recipe == QuantiseRecipe::Int8Switch ? DType::BF16 : precision;
}

double OpTimer::recast_s(const LocalOp& op) const {
  if (!casts(op) || profile.cached_casts || bytes_of(weight_grad_type()) >= 2) return 0;
  return op.op->trainable ? quantise_s(op.rows * op.in * op.cast_share, 1, false, cast_tensors(op))
                          : 0;  // for the weight gradient
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

// Operands that the weight gradient reads narrow too are cast along both dimensions.
double OpTimer::cast_input_s(const LocalOp& op) const {
  if (!casts(op) || cast_by_experts(op, op.fresh_input)) return 0;
  const bool kept = op.op->trainable && profile.cached_casts && bytes_of(weight_grad_type()) < 2;
  return quantise_s(op.busy_rows() * op.in * op.cast_share, kept ? 2 : 1, op.fresh_input, cast_tensors(op));
}

double OpTimer::cast_gradient_s(const LocalOp& op) const {
  if (!casts(op) || cast_by_experts(op, op.op->sharding == Sharding::ExpertColumn)) return 0;
  const bool both = op.op->trainable && bytes_of(weight_grad_type()) < 2;
  return quantise_s(op.busy_rows() * op.out * op.grad_cast_share, both ? 2 : 1, false, cast_tensors(op));
}

double OpTimer::pass_s(const LocalOp& op, GemmPass pass) const {
  const Op& o = *op.op;
  if (inside_experts(op)) return 0;
  const bool backward = pass == GemmPass::DataGrad;
  switch (o.kind) {
    case OpKind::Matmul:
    case OpKind::GroupedMatmul: {
      const double biased = backward ? profile.expert_bias_backward_bytes : profile.expert_bias_forward_bytes;
      return (backward ? cast_gradient_s(op) : cast_input_s(op)) + gemm_s(op, pass) + expert_bias_s(op, biased);
    }
    case OpKind::Attention: return attention_s(op, backward);
    case OpKind::Router: return gemm_s(op, pass) + (backward ? 0 : stream_time_s(device, router_score_bytes(op)));
    case OpKind::Dispatch:
    case OpKind::Combine: return permute_time_s(device, bytes(op, pass));
    case OpKind::Conv2d:
      return conv_time_s(device, precision, conv_shape(op), pass, output_bytes_per_element(op, pass));
    case OpKind::Custom: return roofline_time_s(device, precision, custom_flops(op), bytes(op, pass));
    case OpKind::Scan:
      return scan_time_s(device, precision, std::max(o.qk_head_dim, o.v_head_dim), forward_flops(op),
                         stated_bytes(op, false), backward);
    case OpKind::Norm: return norm_time_s(device, bytes(op, pass));
    default: return stream_time_s(device, bytes(op, pass));
  }
}

double OpTimer::forward_s(const LocalOp& op) const { return pass_s(op, GemmPass::Forward); }
double OpTimer::data_grad_s(const LocalOp& op) const { return pass_s(op, GemmPass::DataGrad); }

double OpTimer::weight_grad_s(const LocalOp& op) const {
  constexpr GemmPass kPass = GemmPass::WeightGrad;
  if (!trains_weights(*op.op)) return 0;
  switch (op.op->kind) {
    case OpKind::Matmul:
    case OpKind::GroupedMatmul:
    case OpKind::Router: return gemm_s(op, kPass);
    case OpKind::Conv2d:
      return conv_time_s(device, precision, conv_shape(op), kPass, output_bytes_per_element(op, kPass));
    case OpKind::Custom: return roofline_time_s(device, precision, custom_flops(op), bytes(op, kPass));
    default: return stream_time_s(device, bytes(op, kPass));
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

double OpTimer::flops(const LocalOp& op, GemmPass pass) const {
  const double forward = forward_flops(op);
  const bool own_gradients = op.op->kind == OpKind::Attention || op.op->kind == OpKind::Scan;
  switch (pass) {
    case GemmPass::Forward: return forward;
    case GemmPass::DataGrad: return own_gradients ? 2 * forward : forward;
    default: return own_gradients || !trains_weights(*op.op) ? 0 : forward;
  }
}

double OpTimer::backward_flops(const LocalOp& op) const {
  return flops(op, GemmPass::DataGrad) + flops(op, GemmPass::WeightGrad);
}

int OpTimer::kernels(const LocalOp& op) const {
  switch (op.op->kind) {
    case OpKind::Matmul: return casts(op) ? 1 + quantise_kernels(recipe) : 1;
    case OpKind::Attention: return attention_kernels(op);
    case OpKind::Router: return 5;  // scores, softmax, top-k, map, auxiliary loss
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

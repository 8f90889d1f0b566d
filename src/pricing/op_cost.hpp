// Kernel time of one lowered op: which cost function of compute/ applies, with which shape.
#pragma once

#include "compute/attention.hpp"
#include "compute/conv.hpp"
#include "compute/gemm.hpp"
#include "compute/quantise.hpp"
#include "hardware/device.hpp"
#include "parallel/local_op.hpp"
#include "parallel/profile.hpp"
#include "pricing/product_times.hpp"

namespace dts {

// Steps of ring attention: on the rank's own keys, and on those of each other rank.
struct RingKernels {
  double own_s = 0, later_s = 0;
};

ConvShape conv_shape(const LocalOp& op) noexcept;
QuantiseRecipe quantise_recipe(DType precision, Fp8Recipe fp8, Int8Recipe int8) noexcept;

struct OpTimer {
  const DeviceSpec& device;
  const FrameworkProfile& profile;
  const LocalSizes& sizes;
  DType precision;
  QuantiseRecipe recipe = QuantiseRecipe::Fp8Tensor;
  ProductTimes* products = nullptr;  // null: none are kept

  double forward_s(const LocalOp& op) const;
  double data_grad_s(const LocalOp& op) const;
  double weight_grad_s(const LocalOp& op) const;
  // What the kernels of these read and write in device memory; casts, biases of experts and copies of exchanges aside.
  double bytes(const LocalOp& op, GemmPass pass) const;
  RingKernels ring_kernels_s(const LocalOp& op, bool backward) const;
  double exchange_copies_s(const LocalOp& op) const;  // of context parallelism over heads, one way
  // Casting `weights` of a matmul to the narrow type, for forward and data gradient (2) or one of them (1).
  double weight_cast_s(const LocalOp& op, double weights, int directions) const;
  DType product_type(const LocalOp& op, GemmPass pass) const;  // of a matmul's operands
  DType attention_type() const noexcept;
  DType weight_grad_type() const noexcept;        // of the weight gradient's product
  double recast_s(const LocalOp& op) const;       // casts that backward repeats because forward's were not kept
  double forward_flops(const LocalOp& op) const;  // hardware FLOPs on this rank, unmasked attention half included once
  double flops(const LocalOp& op, GemmPass pass) const;
  double backward_flops(const LocalOp& op) const;  // data gradient, and weight gradient where weights are trained
  int kernels(const LocalOp& op) const;            // kernels the host launches in a forward pass

  bool inside_experts(const LocalOp& op) const;  // a gate that the experts' matmuls make
  bool cast_by_experts(const LocalOp& op, bool at_gate) const;

  bool casts(const LocalOp& op) const;  // whether its operands are cast to the narrow type

 private:
  DType matmul_type(const LocalOp& op, DType wanted) const;
  GemmShape product_of(const LocalOp& op) const noexcept;  // forward; of one expert
  double pass_s(const LocalOp& op, GemmPass pass) const;   // forward or data gradient
  double gemm_s(const LocalOp& op, GemmPass pass) const;
  double product_s(const LocalOp& op, GemmPass pass) const;  // of operands with a scale per tensor
  double cast_input_s(const LocalOp& op) const;
  double cast_gradient_s(const LocalOp& op) const;
  double attention_s(const LocalOp& op, bool backward) const;
  int attention_kernels(const LocalOp& op) const;
  double attention_kernel_s(const LocalOp& op, const AttentionShape& shape, bool backward) const;
  double gathered_attention_s(const LocalOp& op, bool backward) const;
  double permute_passes() const noexcept;
  double cast_tensors(const LocalOp& op) const noexcept;  // how many kernels cast an operand
  double quantise_s(double elements, int directions, bool fresh, double tensors) const;
  double expert_bias_s(const LocalOp& op, double bytes) const;

  double accumulated_bytes() const noexcept;  // per weight whose gradient is added up
  double output_bytes_per_element(const LocalOp& op, GemmPass pass) const noexcept;
  double stated_bytes(const LocalOp& op, bool backward) const;
  double router_score_bytes(const LocalOp& op) const noexcept;
  double gemm_bytes(const LocalOp& op, GemmPass pass) const;
  double weight_grad_bytes(const LocalOp& op) const;
  UnfusedAttentionBytes score_bytes(const LocalOp& op, const AttentionShape& shape) const;
  double attention_bytes(const LocalOp& op, bool backward) const;
};

}  // namespace dts

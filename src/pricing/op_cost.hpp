// Kernel time of one lowered op: which cost function of compute/ applies, with which shape.
#pragma once

#include "compute/gemm.hpp"
#include "hardware/device.hpp"
#include "parallel/local_op.hpp"
#include "parallel/profile.hpp"

namespace dts {

struct OpTimer {
  const DeviceSpec& device;
  const FrameworkProfile& profile;
  const LocalSizes& sizes;
  DType precision;

  double forward_s(const LocalOp& op) const;
  double data_grad_s(const LocalOp& op) const;
  double weight_grad_s(const LocalOp& op) const;
  double forward_flops(const LocalOp& op) const;  // hardware FLOPs on this rank, unmasked attention half included once
  double backward_flops(const LocalOp& op) const;  // data gradient, and weight gradient where weights are trained
  int kernels(const LocalOp& op) const;           // kernels the host launches in a forward pass

 private:
  double gemm_s(const LocalOp& op, const GemmShape& forward, GemmPass pass, DType type, double output_bytes) const;
  double router_s(const LocalOp& op, GemmPass pass, double output_bytes) const;
  double attention_s(const LocalOp& op, bool backward) const;
  double quantise_s(double elements) const;
  double pass_bytes(const LocalOp& op, double bytes_per_element) const;
};

}  // namespace dts

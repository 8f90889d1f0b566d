// A device (accelerator or CPU) as the compute model sees it: datasheet facts, and kernel constants fitted per
// generation. Three rates are kept apart: peak (datasheet), burst = peak * burst_share (library kernels, cool chip) and
// sustained = burst * sustained_share (inside a training step, under the power cap). Values and their sources:
// catalog/compute_constants.yaml; what the constants mean: docs/guide/compute.md. Left out: clocks as a function of
// temperature, and differences between devices of one type.
#pragma once

#include <array>
#include <string>

#include "hardware/dtype.hpp"

namespace dts {

enum class DeviceKind { GPU, CPU, TPU, ACCELERATOR };
enum class Clock { Burst, Sustained };  // an isolated short benchmark, or a long training step

struct DTypeRate {
  double peak_flops = 0;          // dense peak, FLOP/s; 0 = the device cannot compute in this type
  double burst_share = 0.77;      // best library matmul / peak
  double sustained_share = 0.85;  // training-step clock / burst clock
};

// Matmul time as tiles and waves; one set per generation. Defaults are the "generic" set, fitted over all
// generations together.
struct GemmConstants {
  double small_tile_rate = 0.923;    // r1: rate of 128-wide tiles against 256x128
  double tiny_tile_rate = 0.673;     // r3: further factor of 64x64 tiles
  double prologue_k = 171.8;         // k0: prologue and epilogue expressed in k
  double floor_s = 1.92e-6;          // t0
  double memory_efficiency = 0.787;  // e_bw
  double overlap_power = 3.01;       // p: p-norm that joins compute and memory time
  double wave_quantisation = 0.402;  // w: 1 = full wave quantisation, 0 = perfect balancing
  double split_k_floor_s = 2.39e-6;  // cs
  double l2_factor = 1;              // l2x: bandwidth of split-K partial sums against memory
  double block_scaled_rate = 1;      // of 8-bit operands with a scale per 32 elements over a scale per tensor
};

// Flash-style attention; one burst rate per head_dim class, as a share of peak.
struct AttentionConstants {
  double rate_d64 = 0.33, rate_d128 = 0.36, rate_d256 = 0.34;
  double rate_mla = 0;          // query/key dimension unlike value dimension (192/128); 0 = as their mean
  double block_overhead = 53;   // c0, keys per row block
  double causal_overhead = 64;  // cd, keys per row block of the masked triangle
  double block_q = 128;         // rows per block
  double floor_s = 4e-6;
  double cast_bytes = 0;       // moved to make 8-bit copies of what the kernel reads, per element
  bool skips_window = true;    // leaves out the blocks before a sliding window
  double sustained_share = 0;  // training-step clock / burst clock; 0 = that of matmuls, which draw more power
};

struct MemoryConstants {
  double stream_efficiency = 0.88;     // achieved / datasheet bandwidth, streaming kernels
  double norm_efficiency = 0.87;       // fused norms and softmax
  double gather_efficiency = 0.35;     // token permutation
  double optimizer_efficiency = 0.88;  // multi-tensor optimizer kernels
  double kernel_floor_s = 1.9e-6;      // t0 of one small kernel inside a graph
};

// Conversion of one operand to a scaled 8- or 4-bit format.
struct QuantiseConstants {
  double bytes_per_element = 5;  // moved per input element
  double efficiency = 0.606;     // of the datasheet bandwidth
  double floor_s = 7.67e-6;
};

struct DeviceSpec {
  std::string name = "generic-gpu";
  DeviceKind kind = DeviceKind::GPU;
  double hbm_bytes = 80e9;
  double hbm_Bps = 2.0e12;
  int sm_count = 108;  // streaming multiprocessors, compute units or cores
  std::array<DTypeRate, kDTypeCount> rates{};
  GemmConstants gemm;      // 16-bit and wider
  GemmConstants gemm_fp8;  // fp8 and int8
  GemmConstants gemm_fp4;
  AttentionConstants attention_forward;
  AttentionConstants attention_backward;  // rates hold for 2.5x the forward FLOPs
  MemoryConstants memory;
  QuantiseConstants quantise_fp8_tensor;                         // one scale per tensor: two kernels
  QuantiseConstants quantise_fp8_block{3, 0.439, 2.23e-6};       // one scale per 1x128 block: one kernel
  QuantiseConstants quantise_fp4_block{2.5625, 0.491, 4.59e-6};  // one scale per 16 elements
  bool systolic = false;          // matrix unit pads to 128 and has no waves (TPU, Trainium)
  bool measured_kernels = false;  // false: generic constants, larger errors

  const DTypeRate& rate(DType t) const noexcept { return rates[index_of(t)]; }
};

// The type in which the device computes work of type `wanted`: itself, else the next wider type it supports, else the
// widest narrower one (as compilers for matrix units without fp32 do).
DType compute_dtype(const DeviceSpec& device, DType wanted) noexcept;

// Matmul rate of a full machine, FLOP/s, in `compute_dtype(device, t)`; 0 if the device computes in no type.
double matmul_flops(const DeviceSpec& device, DType t, Clock clock) noexcept;

// Throws ConfigError naming every field that is not physical.
void check_device(const DeviceSpec& device);

}  // namespace dts

#include "compute/attention.hpp"

#include <algorithm>
#include <cmath>

#include "compute/numeric.hpp"

namespace dts {
namespace {

constexpr double kBackwardFlops = 2.5;           // five products where forward has two
constexpr double kTailPower = 4;                 // joins the mean load of a multiprocessor with the longest block
constexpr double kUnfusedMatmulShare = 0.55;     // of peak, batched products of the scores (assumed)
constexpr double kUnfusedBandwidthShare = 0.75;  // passes over the scores
constexpr double kAlignedDims = 8;               // rows of 16 bytes, as 16-bit tensor-core kernels load them
constexpr double kScalarShare = 0.9;             // of the fp32 peak, products of other rows (BLOOM with 108 per head)
constexpr double kUnfusedKernels[] = {4, 6};     // product, softmax, dropout, product; their gradients

bool has_work(const AttentionShape& s) noexcept {
  return s.batch > 0 && s.heads > 0 && s.kv_heads > 0 && s.q_len > 0 && s.kv_len > 0 && s.qk_dim > 0 && s.v_dim > 0;
}

// Attention kernels of training compute in 16 bits whatever the type of the matmuls.
DType attention_dtype(const DeviceSpec& device, DType t) noexcept {
  if (bytes_of(t) >= 2) return compute_dtype(device, t);
  return device.rate(DType::BF16).peak_flops > 0 ? DType::BF16 : compute_dtype(device, DType::FP16);
}

double clock_share(const AttentionConstants& c, const DTypeRate& rate, Clock clock) noexcept {
  if (clock == Clock::Burst) return 1;
  return c.sustained_share > 0 ? c.sustained_share : rate.sustained_share;
}

// Linear between the fitted head dimensions; below 64 a block takes as long as at 64.
double rate_share(const AttentionConstants& c, double qk_dim, double v_dim) noexcept {
  if (qk_dim > v_dim && c.rate_mla > 0) return c.rate_mla;
  const double d = (qk_dim + v_dim) / 2;
  if (d <= 64) return c.rate_d64 * d / 64;
  if (d <= 128) return c.rate_d64 + (c.rate_d128 - c.rate_d64) * (d - 64) / 64;
  return c.rate_d128 + (c.rate_d256 - c.rate_d128) * std::min((d - 128) / 128, 1.0);
}

// Sum over row blocks of the keys each sees, keys rounded up to whole blocks.
double visible_keys(const AttentionShape& s, double block, bool skip, bool skips_window) noexcept {
  const double rows = pieces(s.q_len, block), all = block * pieces(s.kv_len, block);
  const double cap = s.window > 0 && skip && skips_window ? std::min(all, s.window + block) : all;
  if (!s.causal || !skip) return rows * cap;
  const double before = std::max(s.kv_len - s.q_len, 0.0);  // keys that every query sees
  const double growing = std::min(std::max(std::floor((cap - before) / block), 0.0), rows);
  return growing * before + block * growing * (growing + 1) / 2 + (rows - growing) * cap;
}

// Bytes moved to make the 8-bit copies that a kernel reads: of q, k and v forward, of the output's gradient backward.
double cast_bytes(const AttentionConstants& c, const AttentionShape& s, bool backward) noexcept {
  const double queries = s.heads * s.q_len, keys = s.kv_heads * s.kv_len;
  const double elements = backward ? queries * s.v_dim : queries * s.qk_dim + keys * (s.qk_dim + s.v_dim);
  return c.cast_bytes * s.batch * elements;
}

double tensor_bytes(const AttentionShape& s, double element_bytes, bool backward) noexcept {
  const double dims = s.qk_dim + s.v_dim;
  const double once = s.batch * dims * (s.heads * s.q_len + s.kv_heads * s.kv_len) * element_bytes;
  return backward ? 2 * once : once;
}

}  // namespace

double flash_attention_time_s(const DeviceSpec& device, DType dtype, const AttentionShape& s, bool backward,
                              bool causal_skip, Clock clock) noexcept {
  if (!has_work(s)) return 0;
  const AttentionConstants& c = backward ? device.attention_backward : device.attention_forward;
  const DType t = attention_dtype(device, dtype);
  const DTypeRate& rate = device.rate(t);
  const double flops = rate_share(c, s.qk_dim, s.v_dim) * rate.peak_flops * clock_share(c, rate, clock);
  // One row block against one key on one multiprocessor.
  const double sms = device.sm_count;
  const double key_s = 2 * c.block_q * (s.qk_dim + s.v_dim) * (backward ? kBackwardFlops : 1) / (flops / sms);
  const double rows = pieces(s.q_len, c.block_q);
  const double overhead = c.block_overhead + (s.causal ? c.causal_overhead : 0);
  const double keys = visible_keys(s, c.block_q, causal_skip, c.skips_window) + rows * overhead;
  const double longest = c.block_q * pieces(s.kv_len, c.block_q) + c.block_overhead;
  const double compute_s = p_norm(s.batch * s.heads * keys / sms * key_s, longest * key_s, kTailPower);
  const double stream_Bps = device.memory.stream_efficiency * device.hbm_Bps;
  const double memory_s = tensor_bytes(s, bytes_of(t), backward) / stream_Bps;
  return saturate(c.floor_s + cast_bytes(c, s, backward) / stream_Bps + std::max(compute_s, memory_s));
}

double flash_attention_bytes(const DeviceSpec& device, DType dtype, const AttentionShape& s, bool backward) noexcept {
  return tensor_bytes(s, bytes_of(attention_dtype(device, dtype)), backward);
}

double scan_time_s(const DeviceSpec& device, DType dtype, double head_dim, double forward_flops, double forward_bytes,
                   bool backward) noexcept {
  if (!(forward_flops > 0 || forward_bytes > 0)) return 0;
  const DTypeRate& rate = device.rate(attention_dtype(device, dtype));
  const AttentionConstants& c = backward ? device.attention_backward : device.attention_forward;
  const double again = backward ? kScanBackward : 1;
  const double compute_s =
      again * forward_flops /
      (rate_share(c, head_dim, head_dim) * rate.peak_flops * clock_share(c, rate, Clock::Sustained));
  const double memory_s = again * forward_bytes / (device.memory.stream_efficiency * device.hbm_Bps);
  return saturate(kScanKernels * again * device.memory.kernel_floor_s + std::max(compute_s, memory_s));
}

namespace {

double score_count(const AttentionShape& s) noexcept { return s.batch * s.heads * s.q_len * s.kv_len; }

// Batched products of the scores; rows that are not whole 16 bytes keep them off tensor cores (NVIDIA, Matrix
// Multiplication Background: multiples of 8 elements).
double unfused_product_flops(const DeviceSpec& device, DType type, const AttentionShape& s) noexcept {
  const double fast = kUnfusedMatmulShare * device.rate(type).peak_flops, scalar = device.rate(DType::FP32).peak_flops;
  const bool aligned = std::fmod(s.qk_dim, kAlignedDims) == 0 && std::fmod(s.v_dim, kAlignedDims) == 0;
  return aligned || bytes_of(type) > 2 || scalar <= 0 ? fast : std::min(fast, kScalarShare * scalar);
}

}  // namespace

double unfused_attention_bytes(const AttentionShape& s, bool backward, const UnfusedAttentionBytes& bytes) noexcept {
  return score_count(s) * (backward ? bytes.backward_bytes_per_score : bytes.forward_bytes_per_score);
}

double unfused_attention_time_s(const DeviceSpec& device, DType dtype, const AttentionShape& s, bool backward,
                                const UnfusedAttentionBytes& bytes) noexcept {
  if (!has_work(s)) return 0;
  const double scores = score_count(s);
  const double products = 2 * scores * (s.qk_dim + s.v_dim) * (backward ? 2 : 1);
  return saturate(kUnfusedKernels[backward] * device.memory.kernel_floor_s +
                  unfused_attention_bytes(s, backward, bytes) / (kUnfusedBandwidthShare * device.hbm_Bps) +
                  products / unfused_product_flops(device, attention_dtype(device, dtype), s));
}

}  // namespace dts

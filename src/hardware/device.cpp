#include "hardware/device.hpp"

#include <initializer_list>
#include <utility>

#include "error.hpp"

namespace dts {
namespace {

// Wider types in the order in which software falls back to them.
constexpr DType kWider[kDTypeCount][5] = {
    {DType::FP64, DType::FP64, DType::FP64, DType::FP64, DType::FP64},  // fp64
    {DType::FP32, DType::FP64, DType::FP64, DType::FP64, DType::FP64},  // fp32
    {DType::TF32, DType::FP32, DType::FP64, DType::FP64, DType::FP64},  // tf32
    {DType::FP16, DType::TF32, DType::FP32, DType::FP64, DType::FP64},  // fp16
    {DType::BF16, DType::TF32, DType::FP32, DType::FP64, DType::FP64},  // bf16
    {DType::FP8, DType::BF16, DType::FP16, DType::TF32, DType::FP32},   // fp8
    {DType::FP4, DType::FP8, DType::BF16, DType::FP16, DType::FP32},    // fp4
    {DType::INT8, DType::BF16, DType::FP16, DType::FP32, DType::FP64},  // int8
};

using Field = std::pair<const char*, double>;

void check_positive(Checker& check, const std::string& where, std::initializer_list<Field> fields) {
  for (const Field& f : fields) check.positive(where + f.first, f.second);
}

void check_non_negative(Checker& check, const std::string& where, std::initializer_list<Field> fields) {
  for (const Field& f : fields) check.non_negative(where + f.first, f.second);
}

void check_share(Checker& check, const std::string& where, double value, double limit) {
  check.require(value > 0 && value <= limit, where, number_text(value), "a share in (0, " + number_text(limit) + "]");
}

void check_rates(Checker& check, const DeviceSpec& d) {
  bool any = false;
  for (std::size_t i = 0; i < kDTypeCount; ++i) {
    const std::string where = "device.rates[" + std::string(kDTypeNames[i]) + "].";
    const DTypeRate& r = d.rates[i];
    if (!check.non_negative(where + "peak_flops", r.peak_flops) || r.peak_flops == 0) continue;
    any = true;
    check_share(check, where + "burst_share", r.burst_share, 1);
    check_share(check, where + "sustained_share", r.sustained_share, 1);
  }
  check.require(any, "device.rates", "no type with a peak", "a peak rate in at least one type",
                "set rates[bf16].peak_flops");
}

void check_gemm(Checker& check, const std::string& where, const GemmConstants& g) {
  check_positive(
      check, where,
      {{"small_tile_rate", g.small_tile_rate}, {"tiny_tile_rate", g.tiny_tile_rate}, {"l2_factor", g.l2_factor}});
  check_share(check, where + "block_scaled_rate", g.block_scaled_rate, 1);
  check_non_negative(check, where,
                     {{"prologue_k", g.prologue_k}, {"floor_s", g.floor_s}, {"split_k_floor_s", g.split_k_floor_s}});
  check_share(check, where + "memory_efficiency", g.memory_efficiency, 1.5);  // above 1: hits in the cache
  check.require(g.overlap_power >= 1 && g.overlap_power <= 64, where + "overlap_power", number_text(g.overlap_power),
                "a power from 1 (no overlap) to 64");
  check.require(g.wave_quantisation >= 0 && g.wave_quantisation <= 1, where + "wave_quantisation",
                number_text(g.wave_quantisation), "a share in [0, 1]");
}

constexpr double kMostAttention = 2;  // 8-bit kernels run at up to twice the 16-bit peak

void check_attention(Checker& check, const std::string& where, const AttentionConstants& a) {
  check_share(check, where + "rate_d64", a.rate_d64, kMostAttention);
  check_share(check, where + "rate_d128", a.rate_d128, kMostAttention);
  check_share(check, where + "rate_d256", a.rate_d256, kMostAttention);
  check.require(a.rate_d128 <= 2 * a.rate_d64 && a.rate_d256 <= 2 * a.rate_d128, where + "rate_*",
                number_text(a.rate_d64) + ", " + number_text(a.rate_d128) + ", " + number_text(a.rate_d256),
                "rates that at most double with head_dim", "a larger head cannot be cheaper");
  check.require(a.rate_mla >= 0 && a.rate_mla <= kMostAttention, where + "rate_mla", number_text(a.rate_mla),
                "0 or a share up to 2");
  check.require(a.sustained_share >= 0 && a.sustained_share <= 1, where + "sustained_share",
                number_text(a.sustained_share), "0 (that of matmuls) or a share up to 1");
  check_positive(check, where, {{"block_q", a.block_q}});
  check_non_negative(check, where,
                     {{"block_overhead", a.block_overhead},
                      {"causal_overhead", a.causal_overhead},
                      {"cast_bytes", a.cast_bytes},
                      {"floor_s", a.floor_s}});
}

void check_quantise(Checker& check, const std::string& where, const QuantiseConstants& q) {
  check_positive(check, where, {{"bytes_per_element", q.bytes_per_element}});
  check_share(check, where + "efficiency", q.efficiency, 1);
  check_non_negative(check, where, {{"floor_s", q.floor_s}});
}

void check_memory(Checker& check, const MemoryConstants& m) {
  check_share(check, "device.memory.stream_efficiency", m.stream_efficiency, 1);
  check_share(check, "device.memory.norm_efficiency", m.norm_efficiency, 1);
  check_share(check, "device.memory.gather_efficiency", m.gather_efficiency, 1);
  check_share(check, "device.memory.optimizer_efficiency", m.optimizer_efficiency, 1);
  check.non_negative("device.memory.kernel_floor_s", m.kernel_floor_s);
}

}  // namespace

DType compute_dtype(const DeviceSpec& device, DType wanted) noexcept {
  for (DType t : kWider[index_of(wanted)])
    if (device.rate(t).peak_flops > 0) return t;
  for (DType t : {DType::BF16, DType::FP16, DType::FP8, DType::INT8, DType::FP4})
    if (device.rate(t).peak_flops > 0) return t;
  return wanted;
}

double matmul_flops(const DeviceSpec& device, DType t, Clock clock) noexcept {
  const DTypeRate& r = device.rate(compute_dtype(device, t));
  return r.peak_flops * r.burst_share * (clock == Clock::Sustained ? r.sustained_share : 1);
}

void check_device(const DeviceSpec& d) {
  Checker check;
  check_positive(check, "device.", {{"hbm_bytes", d.hbm_bytes}, {"hbm_Bps", d.hbm_Bps}});
  check.at_least("device.sm_count", d.sm_count, 1);
  check_rates(check, d);
  check_gemm(check, "device.gemm.", d.gemm);
  check_gemm(check, "device.gemm_fp8.", d.gemm_fp8);
  check_gemm(check, "device.gemm_fp4.", d.gemm_fp4);
  check_attention(check, "device.attention_forward.", d.attention_forward);
  check_attention(check, "device.attention_backward.", d.attention_backward);
  check_memory(check, d.memory);
  check_quantise(check, "device.quantise_fp8_tensor.", d.quantise_fp8_tensor);
  check_quantise(check, "device.quantise_fp8_block.", d.quantise_fp8_block);
  check_quantise(check, "device.quantise_fp4_block.", d.quantise_fp4_block);
  check.throw_if_any();
}

}  // namespace dts

#include "compute/tiled.hpp"

#include "compute/numeric.hpp"

namespace dts {
namespace {

constexpr double kStepK = 64;       // k is consumed in steps of 64
constexpr double kMinSliceK = 128;  // a split keeps at least this much k per slice
constexpr double kSplits[] = {1, 2, 4, 8, 16};

struct Tile {
  double m, n, rate;
};

// Waves of `units` thread blocks per multiprocessor; w = 1 rounds up, w = 0 balances perfectly.
double waves(double units, double w) noexcept { return units <= 1 ? 1 : units + w * (std::ceil(units) - units); }

double candidate_s(const DeviceSpec& d, const GemmConstants& c, const TiledWork& work, const Tile& tile,
                   double split) noexcept {
  const GemmShape& s = work.shape;
  const double sms = d.sm_count;
  const double blocks = pieces(s.m, tile.m) * pieces(s.n, tile.n) * s.batch * split;
  const double depth = kStepK * pieces(s.k, kStepK * split) + c.prologue_k;
  const double block_s = 2 * tile.m * tile.n * depth / (work.flops / sms * tile.rate);
  const double bandwidth_Bps = c.memory_efficiency * d.hbm_Bps;
  double memory_s = work.bytes / bandwidth_Bps;
  // Partial sums: fp32, written and read once per slice.
  if (split > 1) memory_s += 8 * split * s.m * s.n * s.batch / (c.l2_factor * bandwidth_Bps);
  const double time_s = p_norm(waves(blocks / sms, c.wave_quantisation) * block_s, memory_s, c.overlap_power);
  return split > 1 ? time_s + c.split_k_floor_s : time_s;
}

// A matrix unit that streams padded operands: no waves, no prologue.
double systolic_s(const DeviceSpec& d, const GemmConstants& c, const TiledWork& work) noexcept {
  const GemmShape& s = work.shape;
  const double m = 8 * pieces(s.m, 8), n = 128 * pieces(s.n, 128), k = 128 * pieces(s.k, 128);
  return p_norm(2 * m * n * k * s.batch / work.flops, work.bytes / (c.memory_efficiency * d.hbm_Bps), c.overlap_power);
}

}  // namespace

const GemmConstants& gemm_constants(const DeviceSpec& device, DType t) noexcept {
  if (t == DType::FP4) return device.gemm_fp4;
  return t == DType::FP8 || t == DType::INT8 ? device.gemm_fp8 : device.gemm;
}

double tiled_time_s(const DeviceSpec& d, const GemmConstants& c, const TiledWork& work) noexcept {
  const GemmShape& s = work.shape;
  if (!(s.m > 0 && s.n > 0 && s.k > 0 && s.batch > 0)) return 0;
  if (d.systolic) return saturate(c.floor_s + systolic_s(d, c, work));
  const double r1 = c.small_tile_rate;
  const Tile tiles[] = {{256, 128, 1}, {128, 256, 1}, {128, 128, r1},
                        {128, 64, r1}, {64, 128, r1}, {64, 64, r1 * c.tiny_tile_rate}};
  double best_s = std::numeric_limits<double>::max();
  for (const Tile& tile : tiles)
    for (double split : kSplits)
      if (split == 1 || (work.split_k && s.k >= kMinSliceK * split))
        best_s = std::min(best_s, saturate(candidate_s(d, c, work, tile, split)));
  return saturate(c.floor_s + best_s);
}

}  // namespace dts

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

struct Products {
  const GemmShape *begin, *end;
  double bytes, flops;
  bool split_k;
};

// Waves of `units` thread blocks per multiprocessor; w = 1 rounds up, w = 0 balances perfectly.
double waves(double units, double w) noexcept { return units <= 1 ? 1 : units + w * (std::ceil(units) - units); }

// What the tiles of all products come to.
struct Blocks {
  double count = 0;
  double depth = 0;  // k of a block with its prologue, mean
  double deepest = 0;
  double results = 0;  // elements of C
};

Blocks blocks_of(const Products& p, const Tile& tile, double split, double prologue_k) noexcept {
  Blocks b;
  for (const GemmShape* s = p.begin; s != p.end; ++s) {
    const double count = pieces(s->m, tile.m) * pieces(s->n, tile.n) * s->batch * split;
    const double depth = kStepK * pieces(s->k, kStepK * split) + prologue_k;
    b.count += count;
    b.depth += (depth - b.depth) * (count / b.count);
    b.deepest = std::max(b.deepest, depth);
    b.results += s->m * s->n * s->batch;
  }
  return b;
}

double candidate_s(const DeviceSpec& d, const GemmConstants& c, const Products& p, const Tile& tile,
                   double split) noexcept {
  const double sms = d.sm_count;
  const Blocks blocks = blocks_of(p, tile, split, c.prologue_k);
  const double step_s = 2 * tile.m * tile.n / (p.flops / sms * tile.rate);
  const double bandwidth_Bps = c.memory_efficiency * d.hbm_Bps;
  double memory_s = p.bytes / bandwidth_Bps;
  // Partial sums: fp32, written and read once per slice.
  if (split > 1) memory_s += 8 * split * blocks.results / (c.l2_factor * bandwidth_Bps);
  const double busy = std::max(waves(blocks.count / sms, c.wave_quantisation) * blocks.depth, blocks.deepest);
  const double time_s = p_norm(busy * step_s, memory_s, c.overlap_power);
  return split > 1 ? time_s + c.split_k_floor_s : time_s;
}

// A matrix unit that streams padded operands: no waves, no prologue.
double systolic_s(const DeviceSpec& d, const GemmConstants& c, const Products& p) noexcept {
  double work = 0;
  for (const GemmShape* s = p.begin; s != p.end; ++s) {
    work += 2 * (8 * pieces(s->m, 8)) * (128 * pieces(s->n, 128)) * (128 * pieces(s->k, 128)) * s->batch;
  }
  return p_norm(work / p.flops, p.bytes / (c.memory_efficiency * d.hbm_Bps), c.overlap_power);
}

double products_s(const DeviceSpec& d, const GemmConstants& c, const Products& p) noexcept {
  if (d.systolic) return saturate(c.floor_s + systolic_s(d, c, p));
  const double r1 = c.small_tile_rate;
  const Tile tiles[] = {{256, 128, 1}, {128, 256, 1}, {128, 128, r1},
                        {128, 64, r1}, {64, 128, r1}, {64, 64, r1 * c.tiny_tile_rate}};
  double best_s = std::numeric_limits<double>::max();
  for (const Tile& tile : tiles)
    for (double split : kSplits)
      if (split == 1 || (p.split_k && p.begin->k >= kMinSliceK * split))
        best_s = std::min(best_s, saturate(candidate_s(d, c, p, tile, split)));
  return saturate(c.floor_s + best_s);
}

bool has_work(const GemmShape& s) noexcept { return s.m > 0 && s.n > 0 && s.k > 0 && s.batch > 0; }

}  // namespace

const GemmConstants& gemm_constants(const DeviceSpec& device, DType t) noexcept {
  if (t == DType::FP4) return device.gemm_fp4;
  return t == DType::FP8 || t == DType::INT8 ? device.gemm_fp8 : device.gemm;
}

double tiled_time_s(const DeviceSpec& d, const GemmConstants& c, const TiledWork& work) noexcept {
  if (!has_work(work.shape)) return 0;
  return products_s(d, c, {&work.shape, &work.shape + 1, work.bytes, work.flops, work.split_k});
}

double tiled_time_s(const DeviceSpec& d, const GemmConstants& c, const std::vector<GemmShape>& shapes, double bytes,
                    double flops) noexcept {
  if (shapes.empty() || !std::all_of(shapes.begin(), shapes.end(), has_work)) return 0;
  return products_s(d, c, {shapes.data(), shapes.data() + shapes.size(), bytes, flops, false});
}

}  // namespace dts

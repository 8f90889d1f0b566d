#include "parallel/recompute_layers.hpp"

#include "parallel/stage_map.hpp"
#include "parallel/stages.hpp"

namespace dts {

int recompute_unit(const Strategy& s) noexcept {
  return s.recompute == Recompute::Full && s.recompute_method == RecomputeMethod::Uniform && s.recompute_layers > 1
             ? s.recompute_layers
             : 1;
}

bool recomputes_by_place(const Strategy& s) noexcept {
  if (s.recompute != Recompute::Full) return false;
  if (s.recompute_method == RecomputeMethod::Uniform) return recompute_unit(s) > 1;
  return s.recompute_method == RecomputeMethod::Every || s.recompute_layers >= 0;
}

bool recomputes_prediction(const Strategy& s) noexcept {
  return s.recompute != Recompute::Full || s.recompute_method != RecomputeMethod::Block || s.recompute_layers < 0;
}

std::vector<char> recomputed_layers(const ModelSpec& model, const Strategy& s) {
  std::vector<char> layers(static_cast<std::size_t>(layer_count(model)), 1);
  if (!recomputes_by_place(s) || s.recompute_method == RecomputeMethod::Uniform) return layers;
  const std::vector<ChunkLayers> chunks = partition(model, s);
  const StagePlacement place = placement(s);
  const int every = s.recompute_layers < 0 ? 2 : s.recompute_layers;
  for (int rank = 0; rank < s.pp; ++rank) {
    int seen = 0;
    for (int c = 0; c < place.chunks; ++c) {
      const int stage = place.stage_of(rank, c);
      const ChunkLayers& chunk = chunks[static_cast<std::size_t>(stage)];
      for (int i = 0; i < chunk.count; ++i) {
        const bool again = s.recompute_method == RecomputeMethod::Block ? i < s.recompute_layers : ++seen % every == 0;
        layers[static_cast<std::size_t>(chunk.first + i)] = again;
      }
    }
  }
  return layers;
}

}  // namespace dts

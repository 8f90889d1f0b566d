#include "parallel/stages.hpp"

#include <cstddef>

#include "parallel/stage_map.hpp"

namespace dts {

std::vector<int> layers_per_virtual_stage(int layers, const Strategy& strategy) {
  if (!strategy.layers_per_stage.empty()) return strategy.layers_per_stage;
  const int stages = strategy.pp * strategy.vpp;
  const int remainder = layers % stages;
  std::vector<int> counts(static_cast<std::size_t>(stages), layers / stages + (remainder > 0 ? 1 : 0));
  int surplus = remainder > 0 ? stages - remainder : 0;
  for (int i = 0; surplus > 0; ++i, --surplus) {  // last, first, last but one, second ...
    const int stage = i % 2 == 0 ? stages - 1 - i / 2 : i / 2;
    --counts[static_cast<std::size_t>(stage)];
  }
  return counts;
}

std::vector<ChunkLayers> partition(const ModelSpec& model, const Strategy& strategy) {
  const std::vector<int> counts = layers_per_virtual_stage(layer_count(model), strategy);
  std::vector<ChunkLayers> chunks(counts.size());
  int first = 0;
  for (std::size_t s = 0; s < counts.size(); ++s) {
    chunks[s] = {first, counts[s], s == 0, s + 1 == counts.size()};
    first += counts[s];
  }
  if (placement(strategy).copies() == 2) {
    const std::vector<ChunkLayers> other = chunks;
    chunks.insert(chunks.end(), other.begin(), other.end());
  }
  return chunks;
}

}  // namespace dts

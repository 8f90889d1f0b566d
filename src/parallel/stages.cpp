#include "parallel/stages.hpp"

#include <cstddef>
#include <string>

#include "parallel/stage_map.hpp"

namespace dts {

namespace {

bool sized(const Strategy& s) {
  return s.first_rank_layers > 0 || s.last_rank_layers > 0 || s.embedding_as_layer || s.loss_as_layer;
}

// Layers of all ranks whose size is not given, the embedding and the loss counted where they are; and those ranks.
int shared_layers(int layers, const Strategy& s) {
  return layers + (s.embedding_as_layer ? 1 : 0) + (s.loss_as_layer ? 1 : 0) - s.first_rank_layers - s.last_rank_layers;
}
int sharing_ranks(const Strategy& s) {
  return s.pp - (s.first_rank_layers > 0 ? 1 : 0) - (s.last_rank_layers > 0 ? 1 : 0);
}

std::vector<int> sized_layers(int layers, const Strategy& s) {
  const int ranks = sharing_ranks(s), even = ranks > 0 ? shared_layers(layers, s) / ranks : 0;
  std::vector<int> counts;
  for (int stage = 0; stage < s.pp * s.vpp; ++stage) {
    const int rank = stage % s.pp;
    const int given = rank == 0 ? s.first_rank_layers : rank == s.pp - 1 ? s.last_rank_layers : 0;
    counts.push_back((given > 0 ? given : even) / s.vpp);
  }
  if (s.embedding_as_layer) --counts.front();
  if (s.loss_as_layer) --counts.back();
  return counts;
}

}  // namespace

void check_stage_sizes(Checker& check, int layers, const Strategy& s) {
  const bool ends = s.first_rank_layers != 0 || s.last_rank_layers != 0,
             as_layers = s.embedding_as_layer || s.loss_as_layer;
  if (!ends && !as_layers) return;
  const std::string name =
      ends ? "strategy.first_rank_layers, last_rank_layers" : "strategy.embedding_as_layer, loss_as_layer";
  const std::string got =
      ends ? std::to_string(s.first_rank_layers) + ", " + std::to_string(s.last_rank_layers) : "true";
  bool ok = check.require(s.first_rank_layers >= 0 && s.last_rank_layers >= 0,
                          [&] { return Violation{name, got, "0 or more", ""}; });
  ok &= check.require(s.layers_per_stage.empty(),
                      [&] { return Violation{name, got, "nothing beside layers_per_stage", ""}; });
  ok &= check.require(!(ends && as_layers),
                      [&] { return Violation{name, got, "nothing beside embedding_as_layer and loss_as_layer", ""}; });
  ok &= check.require(s.pp > 1, [&] { return Violation{name, got, "pp > 1", ""}; });
  ok &= check.require(placement(s).map == StageMap::Loop, [&] {
    return Violation{name, got, "a schedule whose first and last stage are on the end ranks", ""};
  });
  if (!ok) return;
  const int shared = shared_layers(layers, s), ranks = sharing_ranks(s);
  const int each = ranks > 0 ? shared / ranks : 0;
  const std::string what =
      "the " + std::to_string(shared) + " layers left to divide by " + std::to_string(ranks) + " ranks, then by vpp";
  check.require(shared >= 0 && (ranks > 0 ? shared % ranks == 0 : shared == 0) && each % s.vpp == 0,
                [&] { return Violation{name, got, what, ""}; });
  check.require(s.first_rank_layers % s.vpp == 0 && s.last_rank_layers % s.vpp == 0,
                [&] { return Violation{name, got, "multiples of vpp = " + std::to_string(s.vpp), ""}; });
  check.require(!as_layers || each >= s.vpp, [&] { return Violation{name, got, "a layer for each stage", ""}; });
}

std::vector<int> layers_per_virtual_stage(int layers, const Strategy& strategy) {
  if (!strategy.layers_per_stage.empty()) return strategy.layers_per_stage;
  if (sized(strategy)) return sized_layers(layers, strategy);
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

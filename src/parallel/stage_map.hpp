// Where the virtual stages of a pipeline stand. Each of `pp` ranks holds `chunks` of them; virtual stage s of chunk
// q = s / pp stands on rank
//   Loop           s mod pp
//   Wave           s mod pp where q is even, pp-1 - s mod pp where it is odd: the last stage of a chunk and the first
//   of
//                  the next share a rank and need no transfer. With two chunks: a V.
//   Bidirectional  as Wave with two chunks, but chunk 1 is a second copy of the model that runs the other way (Li &
//                  Hoefler arXiv:2107.06925): stage pp + s is stage s of that copy, and nothing flows between the two.
#pragma once

#include <vector>

#include "parallel/strategy.hpp"

namespace dts {

enum class StageMap { Loop, Wave, Bidirectional };

struct StagePlacement {
  StageMap map = StageMap::Loop;
  int pp = 1, chunks = 1;

  int stages() const noexcept { return pp * chunks; }
  int copies() const noexcept { return map == StageMap::Bidirectional ? 2 : 1; }
  int length() const noexcept { return stages() / copies(); }  // stages that one micro-batch walks
  int stage_of(int rank, int chunk) const noexcept { return chunk * pp + (turned(chunk) ? pp - 1 - rank : rank); }
  int chunk_of(int stage) const noexcept { return stage / pp; }
  int rank_of(int stage) const noexcept { return turned(stage / pp) ? pp - 1 - stage % pp : stage % pp; }
  int next(int stage) const noexcept { return (stage + 1) % length() == 0 ? -1 : stage + 1; }  // -1: the loss
  int previous(int stage) const noexcept { return stage % length() == 0 ? -1 : stage - 1; }    // -1: the input
  // Whether one rank holds the first and the last stage, so that tied embeddings are one table there.
  bool ends_meet() const noexcept { return copies() == 2 || rank_of(0) == rank_of(length() - 1); }
  // Micro-batches of a stage: all of them, or with two copies one half each, the first half on copy 0.
  bool visits(int stage, int micro_batch, int micro_batches) const noexcept;

 private:
  bool turned(int chunk) const noexcept { return map != StageMap::Loop && chunk % 2 == 1; }
};

// The neighbours of each stage, looked up: an order asks for them with every pass.
struct StageNeighbours {
  explicit StageNeighbours(const StagePlacement& placement) {
    for (int stage = 0; stage < placement.stages(); ++stage) {
      next.push_back(placement.next(stage)), previous.push_back(placement.previous(stage));
      rank.push_back(placement.rank_of(stage));
    }
  }
  std::vector<int> next, previous, rank;
};

StageMap stage_map(PipelineSchedule schedule);
StagePlacement placement(const Strategy& strategy);

}  // namespace dts

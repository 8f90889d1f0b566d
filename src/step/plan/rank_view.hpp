// Which ranks of a pipeline stage act together. A unit runs chunk passes together: ranks coupled inside a pass by
// tensor, context or expert parallelism. A lane runs data-parallel collectives together: a gradient group. Every stage
// is cut the same way; a place is a rank's position in its stage.
//
// Where states are sharded within parts of a gradient group (HSDP), the collectives of a part and those across parts
// are taken as meetings of the whole lane: never earlier than what really waits, the same where ranks are alike.
#pragma once

#include <cstdint>
#include <vector>

#include "parallel/rank_grid.hpp"

namespace dts {

struct RankView {
  std::vector<int> first_stage;                          // rank of each place in stage 0
  int stage_stride = 0;                                  // from there to the same place of the next stage
  std::vector<std::uint32_t> unit_of, lane_of;           // per place; units and lanes are numbered by their first place
  std::vector<std::vector<std::uint32_t>> units, lanes;  // their places, ascending

  explicit RankView(const RankGrid& grid);
  int rank(std::uint32_t place, int stage) const noexcept { return first_stage[place] + stage * stage_stride; }
};

}  // namespace dts

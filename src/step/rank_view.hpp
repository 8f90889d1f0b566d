// Which ranks stand behind a pipeline rank: the units that run a chunk pass together (ranks coupled inside the pass by
// tensor, context or expert parallelism) and the lanes of data-parallel groups. Folded: one of each.
#pragma once

#include <vector>

#include "parallel/rank_grid.hpp"

namespace dts {

struct RankView {
  int ranks = 0;
  // units[pipeline rank][replica]: member ranks.
  std::vector<std::vector<std::vector<int>>> units;
  // lanes[pipeline rank][lane]: member ranks of one data-parallel collective; replica_lanes: across the groups that
  // shard states.
  std::vector<std::vector<std::vector<int>>> lanes, replica_lanes;
  std::vector<int> replica_of, lane_of, replica_lane_of;  // per rank

  static RankView folded(int pp);
  // Ranks joined by a tensor, context, expert or expert-tensor group, directly or through others, form a unit.
  static RankView expanded(const RankGrid& grid);
};

}  // namespace dts

#include "step/rank_view.hpp"

#include <cstddef>

namespace dts {

RankView RankView::folded(int pp) {
  RankView view;
  view.ranks = pp;
  for (int s = 0; s < pp; ++s) {
    view.units.push_back({{s}});
    view.lanes.push_back({{s}});
  }
  view.replica_of.assign(static_cast<std::size_t>(pp), 0);
  view.lane_of = view.replica_of;
  return view;
}

RankView RankView::expanded(const RankGrid& grid, int coupled_dp) {
  RankView view;
  view.ranks = grid.world();
  const auto pp = static_cast<std::size_t>(grid.size(Axis::PP));
  const auto replicas = static_cast<std::size_t>((grid.size(Axis::DP) + coupled_dp - 1) / coupled_dp);
  view.units.assign(pp, std::vector<std::vector<int>>(replicas));
  view.lanes.resize(pp);
  view.replica_of.resize(static_cast<std::size_t>(view.ranks));
  view.lane_of.resize(static_cast<std::size_t>(view.ranks));
  for (int rank = 0; rank < view.ranks; ++rank) {
    const int replica = grid.coordinate(rank, Axis::DP) / coupled_dp;
    view.replica_of[static_cast<std::size_t>(rank)] = replica;
    view.units[static_cast<std::size_t>(grid.coordinate(rank, Axis::PP))][static_cast<std::size_t>(replica)].push_back(rank);
  }
  for (std::vector<int>& group : grid.groups(Axis::DP_CP)) {
    auto& lanes = view.lanes[static_cast<std::size_t>(grid.coordinate(group.front(), Axis::PP))];
    for (int rank : group) view.lane_of[static_cast<std::size_t>(rank)] = static_cast<int>(lanes.size());
    lanes.push_back(std::move(group));
  }
  return view;
}

}  // namespace dts

#include "step/rank_view.hpp"

#include <algorithm>
#include <cstddef>
#include <numeric>

namespace dts {

RankView RankView::folded(int pp) {
  RankView view;
  view.ranks = pp;
  for (int s = 0; s < pp; ++s) {
    view.units.push_back({{s}});
    view.lanes.push_back({{s}});
  }
  view.replica_of.assign(static_cast<std::size_t>(pp), 0);
  view.replica_lanes = view.lanes;
  view.lane_of = view.replica_lane_of = view.replica_of;
  return view;
}

RankView RankView::expanded(const RankGrid& grid) {
  RankView view;
  view.ranks = grid.world();
  const auto world = static_cast<std::size_t>(view.ranks), pp = static_cast<std::size_t>(grid.size(Axis::PP));
  std::vector<int> root(world);  // smallest known member of a rank's unit
  std::iota(root.begin(), root.end(), 0);
  const auto find = [&](int rank) {
    while (root[static_cast<std::size_t>(rank)] != rank) rank = root[static_cast<std::size_t>(rank)];
    return rank;
  };
  for (Axis axis : {Axis::TP, Axis::CP, Axis::EP, Axis::ETP}) {
    if (grid.size(axis) == 1) continue;
    for (const std::vector<int>& group : grid.groups(axis)) {
      for (int member : group) {
        const int a = find(group.front()), b = find(member);
        root[static_cast<std::size_t>(std::max(a, b))] = std::min(a, b);
      }
    }
  }
  view.units.resize(pp);
  view.replica_of.resize(world);
  for (int rank = 0; rank < view.ranks; ++rank) {
    auto& units = view.units[static_cast<std::size_t>(grid.coordinate(rank, Axis::PP))];
    const int first = find(rank);
    int& replica = view.replica_of[static_cast<std::size_t>(rank)];
    replica = first == rank ? static_cast<int>(units.size()) : view.replica_of[static_cast<std::size_t>(first)];
    if (first == rank) units.emplace_back();
    units[static_cast<std::size_t>(replica)].push_back(rank);
  }
  const auto lay = [&](Axis axis, std::vector<std::vector<std::vector<int>>>& all, std::vector<int>& lane_of) {
    all.resize(pp);
    lane_of.resize(world);
    for (std::vector<int>& group : grid.groups(axis)) {
      auto& lanes = all[static_cast<std::size_t>(grid.coordinate(group.front(), Axis::PP))];
      for (int rank : group) lane_of[static_cast<std::size_t>(rank)] = static_cast<int>(lanes.size());
      lanes.push_back(std::move(group));
    }
  };
  lay(Axis::DP_SHARD, view.lanes, view.lane_of);
  if (grid.size(Axis::DP_REPLICA) > 1) lay(Axis::DP_REPLICA, view.replica_lanes, view.replica_lane_of);
  return view;
}

}  // namespace dts

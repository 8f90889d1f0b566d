#include "step/plan/rank_view.hpp"

#include <cstddef>
#include <numeric>

namespace dts {

namespace {

// Numbers the sets that `first_of` (the first member of each place's set) describes.
void number_sets(const std::vector<std::uint32_t>& first_of, std::vector<std::uint32_t>& set_of,
                 std::vector<std::vector<std::uint32_t>>& sets) {
  set_of.resize(first_of.size());
  for (std::uint32_t place = 0; place < first_of.size(); ++place) {
    const bool opens = first_of[place] == place;
    set_of[place] = opens ? static_cast<std::uint32_t>(sets.size()) : set_of[first_of[place]];
    if (opens) sets.emplace_back();
    sets[set_of[place]].push_back(place);
  }
}

// Smallest member of each place's set; sets grow by joining.
class Joined {
 public:
  explicit Joined(std::size_t places) : root_(places) { std::iota(root_.begin(), root_.end(), 0u); }

  std::uint32_t first(std::uint32_t place) {
    while (root_[place] != place) place = root_[place] = root_[root_[place]];
    return place;
  }
  void join(std::uint32_t a, std::uint32_t b) {
    a = first(a), b = first(b);
    (a < b ? root_[b] : root_[a]) = a < b ? a : b;
  }
  std::vector<std::uint32_t> firsts() {
    std::vector<std::uint32_t> all(root_.size());
    for (std::uint32_t place = 0; place < all.size(); ++place) all[place] = first(place);
    return all;
  }

 private:
  std::vector<std::uint32_t> root_;
};

}  // namespace

RankView::RankView(const RankGrid& grid) {
  std::vector<std::uint32_t> place_of(static_cast<std::size_t>(grid.world()));
  for (int rank = 0; rank < grid.world(); ++rank) {
    if (grid.coordinate(rank, Axis::PP) != 0) continue;
    place_of[static_cast<std::size_t>(rank)] = static_cast<std::uint32_t>(first_stage.size());
    first_stage.push_back(rank);
  }
  if (grid.size(Axis::PP) > 1) stage_stride = grid.group(0, Axis::PP)[1];
  const auto sets_along = [&](const std::vector<Axis>& axes) {
    Joined sets(first_stage.size());
    for (Axis axis : axes) {
      if (grid.size(axis) == 1) continue;
      for (std::uint32_t place = 0; place < first_stage.size(); ++place) {
        if (grid.coordinate(first_stage[place], axis) != 0) continue;
        for (int member : grid.group(first_stage[place], axis))
          sets.join(place, place_of[static_cast<std::size_t>(member)]);
      }
    }
    return sets.firsts();
  };
  number_sets(sets_along({Axis::TP, Axis::CP, Axis::EP, Axis::ETP}), unit_of, units);
  number_sets(sets_along({Axis::DP, Axis::CP}), lane_of, lanes);
}

}  // namespace dts

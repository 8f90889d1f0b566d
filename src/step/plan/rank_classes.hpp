// Rank classes: which units and lanes of a job stand for which others. The coarsest partition in which the members of a
// class start alike (their passes and collectives take the same time on every stage) and meet the same classes: a unit
// the same lane classes, a lane the same unit classes. Found by refining until nothing splits (the equitable partition
// of a graph; Hopcroft 1971). Times only pass between ranks as a maximum over whoever meets, so one member's timeline
// is that of all: exact, not an approximation.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/spread.hpp"
#include "step/plan/rank_view.hpp"

namespace dts {

struct RankClasses {
  Spread spread;                                      // classes of units and of lanes, and which meet
  std::vector<std::uint32_t> unit_class;              // per unit
  std::vector<std::uint32_t> first_unit, first_lane;  // the member that stands for each class
  std::vector<double> units_in;                       // per unit class

  static RankClasses one();                       // every unit alike: one rank per stage
  static RankClasses each(const RankView& view);  // every unit and lane its own class
  // Colours: equal where members start alike. Classes are numbered by their first member.
  static RankClasses coarsest(const RankView& view, std::vector<std::uint32_t> unit_colour,
                              std::vector<std::uint32_t> lane_colour);
};

// Equal keys get equal colours, numbered by first appearance.
std::vector<std::uint32_t> colours_of(const std::vector<std::vector<double>>& keys);

}  // namespace dts

#include "step/plan/rank_classes.hpp"

#include <algorithm>
#include <map>
#include <numeric>

namespace dts {

namespace {

using Colours = std::vector<std::uint32_t>;

template <class Key>
Colours number(const std::vector<Key>& keys) {
  std::map<Key, std::uint32_t> known;
  Colours colours;
  colours.reserve(keys.size());
  for (const Key& key : keys)
    colours.push_back(known.try_emplace(key, static_cast<std::uint32_t>(known.size())).first->second);
  return colours;
}

std::uint32_t count(const Colours& colours) {
  return colours.empty() ? 0 : *std::max_element(colours.begin(), colours.end()) + 1;
}

// Colours met by a set of places.
Colours met(const Colours& places, const Colours& set_of, const Colours& colour) {
  Colours all;
  for (std::uint32_t place : places) all.push_back(colour[set_of[place]]);
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

// Splits members of one colour that meet different colours of the other kind.
Colours refined(const std::vector<Colours>& sets, const Colours& colour, const Colours& other_of,
                const Colours& other_colour) {
  std::vector<Colours> keys(sets.size());
  for (std::size_t i = 0; i < sets.size(); ++i) {
    keys[i] = met(sets[i], other_of, other_colour);
    keys[i].push_back(colour[i]);  // last, so that equal colours need not be compared first
  }
  return number(keys);
}

Colours firsts(const Colours& colour) {
  Colours first(count(colour), static_cast<std::uint32_t>(colour.size()));
  for (std::uint32_t i = 0; i < colour.size(); ++i) first[colour[i]] = std::min(first[colour[i]], i);
  return first;
}

RankClasses classes(const RankView& view, const Colours& unit_colour, const Colours& lane_colour) {
  RankClasses c;
  c.spread.units = count(unit_colour), c.spread.lanes = count(lane_colour);
  c.unit_class = unit_colour;
  c.first_unit = firsts(unit_colour), c.first_lane = firsts(lane_colour);
  for (std::uint32_t unit : c.first_unit)
    c.spread.lanes_of_unit.add_row(met(view.units[unit], view.lane_of, lane_colour));
  for (std::uint32_t lane : c.first_lane)
    c.spread.units_of_lane.add_row(met(view.lanes[lane], view.unit_of, unit_colour));
  c.units_in.assign(c.spread.units, 0);
  for (std::uint32_t unit_class : unit_colour) c.units_in[unit_class] += 1;
  return c;
}

Colours distinct(std::size_t members) {
  Colours colours(members);
  std::iota(colours.begin(), colours.end(), 0u);
  return colours;
}

}  // namespace

std::vector<std::uint32_t> colours_of(const std::vector<std::vector<double>>& keys) { return number(keys); }

RankClasses RankClasses::one() {
  RankClasses c;
  c.spread = Spread::one();
  c.unit_class = c.first_unit = c.first_lane = {0};
  c.units_in = {1};
  return c;
}

RankClasses RankClasses::each(const RankView& view) {
  return classes(view, distinct(view.units.size()), distinct(view.lanes.size()));
}

RankClasses RankClasses::coarsest(const RankView& view, Colours unit_colour, Colours lane_colour) {
  for (;;) {
    Colours lanes = refined(view.lanes, lane_colour, view.unit_of, unit_colour);
    Colours units = refined(view.units, unit_colour, view.lane_of, lanes);
    const bool stable = count(lanes) == count(lane_colour) && count(units) == count(unit_colour);
    lane_colour = std::move(lanes), unit_colour = std::move(units);
    if (stable) return classes(view, unit_colour, lane_colour);
  }
}

}  // namespace dts

#include "schedule/tape_stretches.hpp"

#include "schedule/tape_places.hpp"

namespace dts {

namespace {

TapeStretch stretch_at(const RankTape& tape, std::size_t p) {
  TapeStretch s;
  const Walker walker(tape);
  for_places(tape, p, [&](const Place& place) {
    const TapeSum& block = sum_of(walker.block_at(place), walker.kind_at(place));
    const double now = total(s.after) + block.highest;
    if (now > s.highest) {
      s.highest = now, s.peak = s.after;
      add(s.peak, block.peak);
      s.moment = {place.pass - p, place.block, block.event};
    }
    add(s.after, left(walker, place));
  });
  s.left = total(s.after);
  return s;
}

}  // namespace

TapeStretches::TapeStretches(const RankTape& tape)
    : tape_(tape), passes_(tape.passes), known_(tape.chunks.size() * kClasses) {
  list_.reserve(2 * tape.chunks.size());  // forward and backward
}

const StretchSums& TapeStretches::at(std::size_t p) {
  const std::size_t own = class_of(passes_[p]);
  StretchSums& sums = starts_pair(p) ? pairs_[{own, class_of(passes_[p + 1])}] : known_[own];
  if (sums.stretch == StretchSums::kNew) {
    const TapeStretch& made = list_.emplace_back(stretch_at(tape_, p));
    sums = {made.highest, made.left, list_.size() - 1};
  }
  return sums;
}

std::size_t TapeStretches::see_known(std::size_t p, Fullest& fullest) const {
  Fullest seen = fullest;
  for (const std::size_t end = passes_.size(); p < end; ++p) {
    const StretchSums& sums = known_[class_of(passes_[p])];
    if (sums.stretch == StretchSums::kNew) break;
    seen.see(p, sums);
  }
  fullest = seen;
  return p;
}

std::size_t TapeStretches::count_known(std::size_t p, std::size_t end, std::vector<double>& times) const {
  for (; p < end; ++p) {
    const StretchSums& sums = known_[class_of(passes_[p])];
    if (sums.stretch == StretchSums::kNew) break;
    ++times[sums.stretch];
  }
  return p;
}

}  // namespace dts

// A rank's tape in stretches, each one pass or a pair, over what is held before it: what the fullest moment follows
// from.
#pragma once

#include <cstddef>
#include <map>
#include <utility>
#include <vector>

#include "schedule/rank_tape.hpp"

namespace dts {

struct TapeStretch {
  CategoryBytes peak{}, after{};
  double highest = 0, left = 0;  // in all; the second: after it
  TapeMoment moment;             // of the fullest, its pass counted from the first
};

struct StretchSums {  // what most passes are asked for; kept together
  static constexpr std::size_t kNew = static_cast<std::size_t>(-1);
  double highest = 0, left = 0;
  std::size_t stretch = kNew;  // its number
};

struct Fullest {
  double now, most;  // bytes held, and at most so far
  std::size_t pass;  // of the latter

  void see(std::size_t p, const StretchSums& sums) {
    const double highest = now + sums.highest;
    if (highest > most) most = highest, pass = p;
    now += sums.left;
  }
};

// The stretches of a tape: passes of one chunk and kind are alike, and so are pairs of them.
class TapeStretches {
 public:
  explicit TapeStretches(const RankTape& tape);

  const StretchSums& at(std::size_t p);
  bool starts_pair(std::size_t p) const { return passes_[p].with_next && p + 1 < passes_.size(); }
  // Sees the passes from one on whose stretches are known and no pairs; gives the first that it leaves. In a file of
  // its own, so that sums stay in registers.
  std::size_t see_known(std::size_t p, Fullest& fullest) const;
  // Adds how often each stretch runs in passes like those, up to the end.
  std::size_t count_known(std::size_t p, std::size_t end, std::vector<double>& times) const;

  const TapeStretch& operator[](std::size_t stretch) const { return list_[stretch]; }
  std::size_t size() const noexcept { return list_.size(); }

 private:
  static constexpr std::size_t kClasses = 8;  // of a chunk: kinds of passes, alone or the first of a pair
  static std::size_t class_of(const Pass& pass) {
    return static_cast<std::size_t>(pass.chunk) * kClasses + static_cast<std::size_t>(pass.kind) * 2 +
           (pass.with_next ? 1 : 0);
  }

  const RankTape& tape_;
  const std::vector<Pass>& passes_;
  std::vector<StretchSums> known_;  // by class
  std::map<std::pair<std::size_t, std::size_t>, StretchSums> pairs_;
  std::vector<TapeStretch> list_;
};

}  // namespace dts

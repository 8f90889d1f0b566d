// Where a run stands between two windows, as what may be repeated is told from it.
#pragma once

#include <cstddef>
#include <vector>

#include "step/account/breakdown.hpp"
#include "step/account/exposure.hpp"
#include "step/account/pass_counts.hpp"
#include "step/run/choices.hpp"
#include "step/run/pass_memo.hpp"
#include "step/run/rank_times.hpp"

namespace dts {

// Where a run stands, and what it has added up by then.
struct RunMoment {
  std::vector<double> times_s;  // kRankTimes of each rank, then what is to arrive
  std::vector<PassMemo::State> states;
  std::size_t unknown_passes = 0;  // of which nothing is known that would tell what a repetition of them does
  std::vector<BreakdownRecorder::Waits> waits;  // per rank
  std::vector<ExposureRecorder::Added> added;   // per rank
  std::vector<std::size_t> lengths;             // of the lists of intervals
  PassCounts counts;

  // A stream whose time has passed and stays so decides nothing; of what is to arrive none is so.
  double latest_idle_s(std::size_t i) const {
    return i < states.size() * kRankTimes ? times_s[i / kRankTimes * kRankTimes] : PassMemo::kNever;
  }
};

// Windows, or periods of windows, that repeat what ran since a moment. `of`, `before`: what the last two windows chose,
// where not all times move by the same; else null.
struct Repetition {
  const RunMoment& since;
  std::size_t times;
  const Choices *of, *before;
};

}  // namespace dts

// What later operations of a pipeline rank may depend on, beside the arrivals.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "step/run/pass_memo.hpp"

namespace dts {

inline constexpr std::size_t kRankTimes = 7;  // of one rank, the end of its compute first

struct RankTimes {
  double free_s = 0, sent_s[2] = {0, 0};  // compute, the streams of transfers
  double exchanged_s = 0;                 // the end of the last exchange
  double busy_s = 0;                      // collectives and copies
  double waited_s = 0;                    // of plain passes, not yet in the breakdown
  std::uint32_t passes = 0, synced = 0;   // run; known as tasks
  bool stood_still = false;               // since
  PassMemo::State state = PassMemo::kUnknown;
  std::array<double, 3> leaving_s{PassMemo::kNever, PassMemo::kNever, PassMemo::kNever};  // RankTasks::leaving
};

template <class Rank, class Visit>
void for_times(Rank& r, Visit visit) {  // kRankTimes of them
  visit(r.free_s), visit(r.sent_s[0]), visit(r.sent_s[1]), visit(r.exchanged_s);
  for (auto& leaving_s : r.leaving_s) visit(leaving_s);
}

}  // namespace dts

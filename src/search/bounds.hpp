// What a strategy takes at least, from the prices of its blocks alone: no order of passes, no timeline, no tapes over a
// step. A search leaves out what cannot win by these bounds, so it loses no optimum.
//   time    every pass of a pipeline rank, after the forwards before its first stage and, where backwards run whole,
//           before the backwards behind its last one, and what data parallelism adds to every micro-batch
//           (search/stream_bound.hpp); expert exchanges that a paired pass may hide count nothing, and neither do
//           transfers, the update and what comes once in a step
//   memory  weights, gradients and optimizer states, and what the layers save of the micro-batches that are in flight
//           at the same time in any order (one), in 1F1B (its warm-up and one) or in GPipe and breadth-first (all)
#pragma once

#include <limits>
#include <vector>

#include "search/book_shelf.hpp"
#include "search/strategy_table.hpp"
#include "step/plan/job.hpp"

namespace dts {

struct StrategyBounds {                 // per row; NaN where `evaluate` would refuse it
  std::vector<double> step_time_s;      // 0 on clusters of several kinds of nodes
  std::vector<double> allocated_bytes;  // of the rank that holds most
};

struct BoundsAsked {
  bool memory = true;                                           // else time alone, and no bytes
  double room_bytes = std::numeric_limits<double>::infinity();  // strategies that allocate more need no time: infinite
};
StrategyBounds strategy_bounds(const Job& job, const StrategyTable& table, const BoundsAsked& asked, int threads,
                               BookShelf& shelf);

}  // namespace dts

// What a strategy takes at least, from the prices of its blocks alone: no order of passes, no timeline, no tapes over a
// step. A search leaves out what cannot win by these bounds, so it loses no optimum.
//   time    every pass of a pipeline rank, after the forwards before its first stage and, where backwards run whole,
//           before the backwards behind its last one; expert exchanges that a paired pass may hide count nothing, and
//           neither do data parallelism, transfers, interference and the update
//   memory  weights, gradients and optimizer states, and what the layers save of the micro-batches that are in flight
//           at the same time in any order (one), in 1F1B (its warm-up and one) or in GPipe and breadth-first (all)
#pragma once

#include <vector>

#include "search/book_shelf.hpp"
#include "search/strategy_table.hpp"
#include "step/job.hpp"

namespace dts {

struct StrategyBounds {                 // per row; NaN where `evaluate` would refuse it
  std::vector<double> step_time_s;      // 0 on clusters of several kinds of nodes
  std::vector<double> allocated_bytes;  // of the rank that holds most
};

// `memory` false: time alone, and no bytes.
StrategyBounds strategy_bounds(const Job& job, const StrategyTable& table, bool memory, int threads, BookShelf& shelf);

}  // namespace dts

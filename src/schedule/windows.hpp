// Windows of an order: stretches of each rank's passes that repeat with later micro-batches, as the steady state of
// 1F1B does. A window of a rank begins with the forward of every `period`-th micro-batch on its chunk 0.
#pragma once

#include <cstddef>
#include <vector>

#include "parallel/strategy.hpp"
#include "schedule/pass.hpp"

namespace dts {

struct OrderWindows {
  std::size_t count = 0;                   // of consecutive windows that are alike on every rank
  std::vector<std::size_t> first, length;  // per rank: where they begin, passes of one
  bool begun = false;                      // each of several chunks of every rank before the first of them
};

// Micro-batches after which the steady state of a strategy's order repeats; 0 where nothing is known to. Of two orders
// whose micro-batches differ by a multiple of it, both longer than `shortest_order`, the longer has further windows
// like those of the shorter, and is the same before and after them (a test holds it for every schedule).
int order_period(const Strategy& strategy);
// Windows that a shortened order keeps at least: the first, unless every chunk has begun before it, the one that stands
// for others, the last.
int kept_windows(const Strategy& strategy);
// Fewest micro-batches for which that holds and `windows` windows are alike.
int shortest_order(const Strategy& strategy, int windows);

// Whether the ranks of an order without blocking transfers can run in lockstep (step/run/lockstep_run.hpp): stages go
// round the ranks, passes run one by one, and a steady state is one forward, one backward.
bool runs_in_lockstep(const Strategy& strategy);
// Fewest micro-batches for which such an order has a window that stands for others, from where every rank has run a
// backward.
int shortest_lockstep(const Strategy& strategy);

// `period`: in micro-batches that one stage sees, half of them where the model has two copies.
OrderWindows windows_of(const PipelineOrder& order, int period);

}  // namespace dts

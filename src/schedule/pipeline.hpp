// Pipeline schedules as orders: which chunk passes each pipeline rank runs, one after the other. A schedule is a rule
// of a few lines; times come from the engine.
#pragma once

#include <vector>

#include "parallel/strategy.hpp"

namespace dts {

enum class PassKind { Forward, Backward };

struct Pass {
  PassKind kind;
  int chunk;  // 0 .. vpp-1 on this rank; virtual stage = chunk * pp + rank
  int micro_batch;
};

using PipelineOrder = std::vector<std::vector<Pass>>;  // one list per pipeline rank

// GPipe (Huang et al. arXiv:1811.06965): all forwards, then all backwards.
PipelineOrder gpipe(int pp, int micro_batches);
// PipeDream-flush (Narayanan et al. arXiv:2006.09503): warm-up of pp-1-rank forwards, then one forward, one backward.
PipelineOrder one_f_one_b(int pp, int micro_batches);
// Interleaved 1F1B (Narayanan et al. arXiv:2104.04473): vpp chunks a rank, groups of pp micro-batches.
PipelineOrder interleaved(int pp, int vpp, int micro_batches);

PipelineOrder pipeline_order(const Strategy& strategy, int micro_batches);

}  // namespace dts

// What the collectives of sharded gradients and parameters add to the least time of a step. They come with every
// micro-batch (ZeRO-2, ZeRO-3), on one stream of a rank:
// - a step takes as long as that stream is busy;
// - where a forward that gathers comes after a backward that reduces, what the one reduces last and the other gathers
//   first run between them, one after the other;
// - what is reduced beside compute slows it (engine/interference.hpp). A reduction is issued before all compute that
// may
//   run beside it, so nothing of that is missed.
// ZeRO-0 and 1 communicate once in a step, for which nothing is added.
#pragma once

#include <memory>
#include <vector>

#include "parallel/stages.hpp"
#include "step/plan/data_parallel.hpp"
#include "step/plan/priced_model.hpp"

namespace dts {

class StreamBound {
 public:
  StreamBound(const Job& job, const PricedModel& priced, const GroupPricer& groups,
              const std::vector<ChunkLayers>& chunks);

  // Of a pipeline rank that holds these chunks and runs `passes` micro-batches on each: computes `busy_s` at least,
  // waits `idle_s` at its begin and end, and runs a forward right after a backward `turns` times.
  struct Rank {
    const std::vector<std::size_t>& chunks;
    double passes, busy_s, idle_s, turns;
  };
  double least_s(const Rank& rank) const;

 private:
  struct Use {  // of the stream, a micro-batch of a chunk
    double gathered_s = 0, reduced_s = 0;
    double turn_s = 0;          // what its first unit reduces and gathers, where it does both
    double held = 1, work = 1;  // least share of the multiprocessors held, and of compute that slows
  };
  Use use_of(const Job& job, const PricedModel& priced, const ChunkLayers& chunk, bool first) const;

  DataParallel parallel_;
  StepPlan rules_;
  std::vector<Use> uses_;  // per chunk; empty: nothing comes with every micro-batch
};

}  // namespace dts

// What a pipeline rank holds besides its blocks' tapes: states, buffers, dummy gradients, gathered parameters,
// workspaces.
#pragma once

#include <cstddef>
#include <map>
#include <vector>

#include "memory/memory_report.hpp"
#include "parallel/stages.hpp"
#include "schedule/rank_tape.hpp"
#include "step/plan/job.hpp"
#include "step/plan/step_plan.hpp"

namespace dts {

class RankResidents {
 public:
  // `chunks`: the layers of every virtual stage. All must outlive it.
  RankResidents(const Job& job, const PlannedStep& step, const RankGrid& grid, const std::vector<ChunkLayers>& chunks)
      : job_(job), step_(step), grid_(grid), chunks_(chunks) {}

  // Adds them to the tape; buffers and dummy gradients appear in the first step and stay. Returns the bytes that lie in
  // other tiers instead.
  TierBytes hold(int rank, RankTape& tape);

 private:
  double dummy_gradients(const std::vector<std::size_t>& runs);
  double kept_logits(int rank) const;

  const Job& job_;
  const PlannedStep& step_;
  const RankGrid& grid_;
  const std::vector<ChunkLayers>& chunks_;
  std::map<std::vector<std::size_t>, double> dummy_gradients_;  // bytes by runs of layers
};

}  // namespace dts

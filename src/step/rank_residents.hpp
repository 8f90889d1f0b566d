// What a pipeline rank holds besides its blocks' tapes: states, buffers, dummy gradients, gathered parameters, workspaces.
#pragma once

#include "memory/saved_bytes.hpp"
#include "schedule/rank_tape.hpp"
#include "step/job.hpp"
#include "step/step_plan.hpp"

namespace dts {

// Adds them to the tape; buffers and dummy gradients appear in the first step and stay. `context` is that of the layers.
// Returns the bytes that lie on the host instead.
double hold_residents(const Job& job, const PlannedStep& step, const RankGrid& grid, const SavedContext& context, int rank,
                      RankTape& tape);

}  // namespace dts

// What each pipeline rank holds at its peak, from the same plan as the timeline: states of its parameters, activations
// of the passes in flight, what runs at the worst moment, buffers and workspaces (memory/*.hpp), as one tape per rank.
#pragma once

#include <memory>
#include <vector>

#include "memory/memory_report.hpp"
#include "schedule/rank_tape.hpp"
#include "step/plan/job.hpp"
#include "step/plan/step_plan.hpp"

namespace dts {

// What a delayed weight gradient keeps of a stage's activations, of the stage that keeps most; at most 1. Needs no
// order.
double weight_share(const Job& job, const PlannedStep& step, const RankGrid& grid);

// Time of each unit's copy of activations to their tier, or back (offload_activations).
void price_activation_copies(const Job& job, PlannedStep& step, const RankGrid& grid);

// What each pipeline rank allocates, in host order; the tapes of its blocks are shared between ranks.
struct StepTapes {
  std::shared_ptr<const ModelTapes> blocks;
  std::vector<RankTape> ranks;
  std::vector<TierBytes> tiers;  // per rank: what lies elsewhere
};
StepTapes tapes_of_step(const Job& job, const PlannedStep& step, const RankGrid& grid);
// With what a replay asks for besides: how far the host is ahead (step/memory/host_lead.hpp).
StepTapes replayed_tapes(const Job& job, const PlannedStep& step, const RankGrid& grid);

// The peaks of the tapes, and what lies outside the allocator.
std::vector<MemoryReport> memory_of_step(const Job& job, const PlannedStep& step, const StepTapes& tapes);

}  // namespace dts

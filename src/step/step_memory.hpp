// What each pipeline rank holds at its peak, from the same plan as the timeline: states of its parameters, activations
// of the passes in flight, temporaries of the worst moment, buffers and workspaces (memory/*.hpp).
#pragma once

#include <vector>

#include "memory/memory_report.hpp"
#include "step/job.hpp"
#include "step/step_plan.hpp"

namespace dts {

// What a delayed weight gradient keeps of a stage's activations, of the stage that keeps most; at most 1. Needs no order.
double weight_share(const Job& job, const PlannedStep& step, const RankGrid& grid);

// Time of each unit's copy of activations to the host, or back (offload_activations).
void price_activation_copies(const Job& job, PlannedStep& step, const RankGrid& grid);

std::vector<MemoryReport> memory_of_step(const Job& job, const PlannedStep& step, const RankGrid& grid);

}  // namespace dts

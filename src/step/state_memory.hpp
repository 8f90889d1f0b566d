// Weights, gradients and optimizer states of one pipeline rank, on the device or its host.
#pragma once

#include "memory/memory_report.hpp"
#include "parallel/rank_grid.hpp"
#include "step/job.hpp"
#include "step/step_plan.hpp"

namespace dts {

void add_states(const Job& job, const PlannedStep& step, const RankGrid& grid, int rank, MemoryReport& report);

}  // namespace dts

// Sums over the stages of a step.
#pragma once

#include <vector>

#include "step/account/exposure.hpp"
#include "step/tasks/step_program.hpp"

namespace dts {

// FLOPs that all ranks execute: forward, data gradient, weight gradient and recomputation.
double hardware_flops(const StepPlan& plan, double ranks_per_stage);

// Collectives and transfers of the busiest pipeline rank, overlapped or not.
double communication_s(const std::vector<StageTraffic>& stages);

StageTraffic mean_of(const std::vector<StageTraffic>& stages);

}  // namespace dts

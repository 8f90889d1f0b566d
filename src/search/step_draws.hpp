// Step times of many draws of the stragglers, on several threads.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "training_simulator.hpp"

namespace dts {

// Draws 0 to `count` - 1, as `step_times` gives them. `threads` 0: one per core; results do not depend on it.
std::vector<double> step_times_of_draws(const Job& job, const StragglerSpec& stragglers, int count,
                                        const std::optional<FlowStepOptions>& flow, int threads);

}  // namespace dts

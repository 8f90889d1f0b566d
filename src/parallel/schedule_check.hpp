// What each pipeline schedule asks of pp, vpp and the number of micro-batches, and of the backward pass.
#pragma once

#include "error.hpp"
#include "parallel/strategy.hpp"

namespace dts {

// Whether the schedule itself places weight gradients apart from input gradients.
bool cuts_backward(PipelineSchedule schedule);

// Adds violations to `check`. Degrees and batch sizes are at least 1.
void check_schedule(Checker& check, const Strategy& strategy);

}  // namespace dts

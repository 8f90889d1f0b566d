// What each pipeline schedule asks of pp, vpp and the number of micro-batches.
#pragma once

#include "error.hpp"
#include "parallel/strategy.hpp"

namespace dts {

// Adds violations to `check`. Degrees and batch sizes are at least 1.
void check_schedule(Checker& check, const Strategy& strategy);

}  // namespace dts

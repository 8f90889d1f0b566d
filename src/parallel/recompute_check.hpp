// What recomputation asks of a model and of the rest of a strategy.
#pragma once

#include "error.hpp"
#include "parallel/strategy.hpp"
#include "workload/model.hpp"

namespace dts {

// Adds violations to `check`.
void check_recompute(Checker& check, const ModelSpec& model, const Strategy& strategy);

}  // namespace dts

// Every divisibility and capacity rule of a layout, checked at once: the error names each violation and the nearest
// legal values.
#pragma once

#include "error.hpp"
#include "hardware/cluster.hpp"
#include "parallel/strategy.hpp"
#include "workload/model.hpp"

namespace dts {

// Adds all violations, or without texts finds the first. `devices` is the number of devices of the cluster.
void check_layout(Checker& check, const ModelSpec& model, const Strategy& strategy, long long devices, double seq_len);
// Throws ConfigError listing them.
void check_layout(const ModelSpec& model, const Strategy& strategy, long long devices, double seq_len);

}  // namespace dts

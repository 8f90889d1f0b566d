// Which part of each op's forward runs again before backward.
#pragma once

#include <vector>

#include "parallel/profile.hpp"
#include "parallel/strategy.hpp"
#include "workload/model.hpp"

namespace dts {

// One share in [0, 1] per op. Full: everything, or all that a saved tensor depends on (torch's non-reentrant checkpoints,
// XLA). Selective: by the framework's rule.
std::vector<double> recomputed_shares(const Block& block, Recompute recompute, const FrameworkProfile& profile);

}  // namespace dts

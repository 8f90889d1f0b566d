// Which part of each op's forward runs again before backward.
#pragma once

#include <vector>

#include "parallel/profile.hpp"
#include "parallel/strategy.hpp"
#include "workload/model.hpp"

namespace dts {

// One share in [0, 1] per op. Full: everything, or all that a saved tensor depends on (torch's non-reentrant
// checkpoints, XLA). Selective: the ops of the named modules (parallel/recompute_modules.hpp), or by the framework's
// rule.
std::vector<double> recomputed_shares(const Block& block, Recompute recompute,
                                      const std::vector<RecomputeModule>& modules, const FrameworkProfile& profile);
// Whether op outputs are kept one by one, by torchtitan's rule.
bool keeps_outputs(Recompute recompute, const std::vector<RecomputeModule>& modules,
                   const FrameworkProfile& profile) noexcept;
// The modules of Selective: those named, or Megatron's default.
std::vector<RecomputeModule> recomputed_modules(const std::vector<RecomputeModule>& named);

}  // namespace dts

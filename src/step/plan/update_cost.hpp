// Seconds of the weight update of one pipeline rank: bytes of the rule over the bandwidth of multi-tensor kernels, and
// for Muon the iterations on the matrices of the layers. The framework's `optimizer_bytes` are Adam's; what lies beyond
// the 28 of a fused update (norm, copies) is paid whatever the rule. fp16 adds loss scaling: unscaled gradients, and
// whether any rank found an infinity, which is one more collective.
//
// Muon with sharded states deals whole matrices to the data-parallel ranks (Megatron-Core layer_wise_optimizer.py); the
// fullest rank holds an even share or the largest matrix. With sharded parameters the matrices are exchanged for that,
// in 16 bits, and back.
#pragma once

#include "pricing/group_pricer.hpp"
#include "step/plan/job.hpp"
#include "step/plan/stage_cost.hpp"

namespace dts {

// `blocks`: all blocks of the rank.
double update_s(const Job& job, const GroupPricer& groups, const std::vector<const BlockCost*>& blocks);

// Of the same rule over some of the rank's parameters, matrix iterations and what ranks agree on left out.
double device_update_s(const Job& job, const GroupPricer& groups, double parameters);

// Bytes per parameter of a vectorised update on the host, which reads gradients and writes a copy to send back.
double host_update_bytes(const Strategy& strategy, double gradient_bytes);

}  // namespace dts

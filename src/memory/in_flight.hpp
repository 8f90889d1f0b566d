// How many chunk passes of activations a pipeline stage holds at its fullest. A chunk is one of the `vpp` parts of a
// stage; without interleaving the stage is one chunk. Zero-bubble schedules are left out.
#pragma once

#include "parallel/strategy.hpp"

namespace dts {

// GPipe: every micro-batch of every chunk. 1F1B: min(pp - stage, M). Interleaved (Narayanan et al. 2021,
// arXiv:2104.04473; Megatron-Core `schedules.py`): min(2 (pp - stage - 1) + (vpp - 1) * group + 1, M * vpp) chunks,
// `group` micro-batches running through one virtual stage before the next (0 = pp).
// `stage` counts from 0. Throws ConfigError when a count is below 1 or the stage does not exist.
long long chunks_in_flight(PipelineSchedule schedule, int pp, int vpp, int stage, long long micro_batches,
                           int group = 0);

}  // namespace dts

// The closed formula that schedules and memory peaks are checked against: how many chunk passes of activations a
// pipeline stage holds at its fullest. A chunk is one of the `vpp` parts of a stage; without interleaving the stage is
// one chunk. Zero-bubble schedules are left out.
#pragma once

#include <algorithm>
#include <string>

#include "error.hpp"
#include "parallel/strategy.hpp"

namespace dts {

// GPipe: every micro-batch of every chunk. 1F1B: min(pp - stage, M). Interleaved (Narayanan et al. 2021,
// arXiv:2104.04473; Megatron-Core `schedules.py`): min(2 (pp - stage - 1) + (vpp - 1) * group + 1, M * vpp) chunks,
// `group` micro-batches running through one virtual stage before the next (0 = pp).
// `stage` counts from 0. Throws ConfigError when a count is below 1 or the stage does not exist.
inline long long chunks_in_flight(PipelineSchedule schedule, int pp, int vpp, int stage, long long micro_batches,
                                  int group = 0) {
  Checker check;
  check.at_least("pp", pp, 1);
  check.at_least("vpp", vpp, 1);
  check.at_least("micro_batches", micro_batches, 1);
  check.at_least("group", group, 0);
  check.require(stage >= 0 && stage < pp, "stage", std::to_string(stage), "0 to pp - 1 = " + std::to_string(pp - 1));
  check.throw_if_any();
  const long long all = micro_batches * vpp;
  if (schedule == PipelineSchedule::GPipe) return all;
  const long long behind = pp - stage - 1;  // stages between this one and the loss
  if (vpp == 1) return std::min(behind + 1, all);
  const long long width = group == 0 ? pp : group;
  return std::min(2 * behind + (vpp - 1) * width + 1, all);
}

}  // namespace dts

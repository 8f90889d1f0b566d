#include "memory/in_flight.hpp"

#include <algorithm>

#include "error.hpp"

namespace dts {

long long chunks_in_flight(PipelineSchedule schedule, int pp, int vpp, int stage, long long micro_batches, int group) {
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

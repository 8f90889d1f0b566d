// What the tasks of a step send between ranks: bytes, by the size convention of comm/collective.hpp, and how many ranks
// take part. Collectives inside passes are part of their pass.
#pragma once

#include <cstdint>

#include "parallel/rank_grid.hpp"
#include "step/tasks/step_program.hpp"

namespace dts {

struct Message {
  double bytes = 0;
  std::int32_t ranks = 0;  // 0: nothing is sent
};

// A unit of dense and expert weights has a collective of each: the bytes of both, the ranks of the larger group.
Message message_of(const StepPlan& plan, const RankGrid& grid, const TaskInfo& task);

}  // namespace dts

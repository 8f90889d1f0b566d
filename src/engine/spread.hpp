// Execution of one program for many ranks that behave alike or nearly so. A task stands for a family of instances, one
// per member of its space; an instance waits for those instances of earlier tasks that share a rank with it. The order
// of tasks is every rank's order, so the program is stored once and swept once, with arrays over the members.
//
// Two spaces: units, the ranks that run a pass together, and lanes, the ranks of one data-parallel collective. A third,
// the world, has one member. Rule of a timeline, causes included: engine/timeline.hpp, which this is for one unit and
// one lane.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "engine/timeline.hpp"

namespace dts {

enum class Space : std::uint8_t { Unit, Lane, World };

// The members of one space that share a rank with each member of another: rows of `other`, cut by `begin`.
struct Relation {
  std::vector<std::uint32_t> begin{0}, other;

  void add_row(const std::vector<std::uint32_t>& row);
};

struct Spread {
  std::uint32_t units = 1, lanes = 1;
  Relation lanes_of_unit, units_of_lane;

  std::uint32_t size(Space space) const noexcept {
    return space == Space::Unit ? units : space == Space::Lane ? lanes : 1;
  }
  static Spread one();  // one unit, one lane
};

// Of one task, valid during a visit.
struct Instances {
  const double *start_s, *end_s;
  const double* planned_s;  // without what others on the device hold
  const TaskId* cause;      // earlier task that set the start, kNoTask for a start at 0
  std::uint32_t count;
  const double* contended_s = nullptr;  // lost to others on shared links (engine/shared_run.hpp); null: none
};

struct SpreadEnd {
  double makespan_s = 0;
  TaskId last = kNoTask;  // the first task that ends then
};

// `price` fills a task's seconds, one per instance; `visit` sees every task in order. Times of a task are kept until
// the last task that waits for it. `slows`: tasks on a device slow each other; else their seconds have it already.
SpreadEnd execute(const Program& program, const std::vector<Space>& space_of, const Spread& spread,
                  const std::function<void(TaskId, double*)>& price,
                  const std::function<void(TaskId, const Instances&)>& visit, bool slows = true);

}  // namespace dts

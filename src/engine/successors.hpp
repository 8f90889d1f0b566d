// Which instances may start: counts of unfinished predecessors over the spaces of a program (engine/spread.hpp).
#pragma once

#include <cstdint>
#include <vector>

#include "engine/spread.hpp"

namespace dts {

class Successors {
 public:
  Successors(const Program& program, const std::vector<Space>& space_of, const Spread& spread);

  const std::vector<std::size_t>& first() const noexcept { return first_; }  // instances of a task, one after another
  bool ready(TaskId task, std::uint32_t instance) const noexcept { return missing_[first_[task] + instance] == 0; }

  // start(task, instance) for each instance that now may.
  template <class Start>
  void ended(TaskId task, std::uint32_t instance, Start start) {
    for (std::size_t i = begin_[task]; i < begin_[task + 1]; ++i) {
      const TaskId next = after_[i];
      for_related(space_of_[task], instance, space_of_[next], [&](std::uint32_t k) {
        if (--missing_[first_[next] + k] == 0) start(next, k);
      });
    }
  }

  // visit(unit, instances of the space that meet it) for each unit that an instance meets.
  template <class Visit>
  void for_units(Space space, std::uint32_t instance, Visit visit) const {
    for_related(space, instance, Space::Unit, [&](std::uint32_t unit) { visit(unit, meeting(space, unit)); });
  }

 private:
  template <class Visit>
  void for_related(Space from, std::uint32_t instance, Space to, Visit visit) const {
    if (from == to) return visit(instance);
    if (to == Space::World) return visit(0);
    if (from == Space::World) {
      for (std::uint32_t k = 0; k < spread_.size(to); ++k) visit(k);
      return;
    }
    const Relation& related = from == Space::Lane ? spread_.units_of_lane : spread_.lanes_of_unit;
    for (std::uint32_t i = related.begin[instance]; i < related.begin[instance + 1]; ++i) visit(related.other[i]);
  }
  std::uint32_t meeting(Space from, std::uint32_t unit) const noexcept {
    return from == Space::Lane ? spread_.lanes_of_unit.begin[unit + 1] - spread_.lanes_of_unit.begin[unit] : 1;
  }
  std::uint32_t waits_for(Space earlier, Space later, std::uint32_t instance) const noexcept;

  const std::vector<Space>& space_of_;
  const Spread& spread_;
  std::vector<std::size_t> first_, begin_;
  std::vector<TaskId> after_;
  std::vector<std::uint32_t> missing_;
};

}  // namespace dts

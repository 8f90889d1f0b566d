// Which collectives hold multiprocessors of each unit at the moment: from the start of the first instance that meets
// the unit to the end of the last (engine/spread.cpp takes several lanes the same way).
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "engine/program.hpp"

namespace dts {

class HeldUnits {
 public:
  explicit HeldUnits(std::size_t units) : held_(units) {}

  // One of the task's `meets` instances there starts or ends; true where what is held changes.
  bool change(std::size_t unit, TaskId task, double share, std::uint32_t meets, bool starts) {
    std::vector<Held>& held = held_[unit];
    auto at = std::find_if(held.begin(), held.end(), [&](const Held& h) { return h.task == task; });
    if (at == held.end()) at = held.insert(held.end(), {task, share, 0, 0});
    if (starts) return ++at->started == 1;
    if (++at->ended < meets) return false;
    held.erase(at);
    return true;
  }

  // Held by tasks issued before this one.
  double share_before(std::size_t unit, TaskId task) const {
    double share = 0;
    for (const Held& h : held_[unit]) share += h.task < task ? h.share : 0;
    return share;
  }

 private:
  struct Held {
    TaskId task;
    double share;
    std::uint32_t started, ended;
  };
  std::vector<std::vector<Held>> held_;
};

}  // namespace dts

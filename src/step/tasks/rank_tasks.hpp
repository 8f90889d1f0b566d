// What later tasks of a pipeline rank may wait for.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include "step/tasks/step_tasks.hpp"

namespace dts {

struct KeptTasks {  // how many of the last ones matter
  std::size_t recent = 0, reductions = 0, offloads = 0;
  bool gathers_wait = false, reloads_wait = false;  // every one of them, for one of the recent ones
  bool reloads = false;                             // something comes from the host for a pass
};

struct RankTasks {
  Tasks recent;  // its last pieces
  std::array<TaskId, 3> leaving{kNoTask, kNoTask,
                                kNoTask};  // the last reduction, the last between replicas, the last copy
  Tasks reductions;                        // the last ones
  Tasks offloads;                          // of activations, the last ones

  // The last ones of each list one after the other; kNoTask where there are fewer.
  void read(const KeptTasks& kept, Tasks& out) const {
    out.clear();
    const auto last = [&](const Tasks& list, std::size_t count) {
      out.insert(out.end(), count - std::min(count, list.size()), kNoTask);
      out.insert(out.end(), list.end() - static_cast<std::ptrdiff_t>(std::min(count, list.size())), list.end());
    };
    last(recent, kept.recent), last(reductions, kept.reductions), last(offloads, kept.offloads);
  }
  void write(const KeptTasks& kept, const Tasks& from) {
    auto at = from.begin();
    const auto fill = [&](Tasks& list, std::size_t count) {
      const auto end = at + static_cast<std::ptrdiff_t>(count);
      list.assign(std::find_if(at, end, [](TaskId task) { return task != kNoTask; }), end);
      at = end;
    };
    fill(recent, kept.recent), fill(reductions, kept.reductions), fill(offloads, kept.offloads);
  }
};

}  // namespace dts

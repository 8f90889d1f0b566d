#include "engine/timeline.hpp"

#include <algorithm>

#include "engine/interference.hpp"

namespace dts {

Timeline execute(const Program& program) {
  const std::size_t n = program.size();
  Timeline t;
  t.start_s.resize(n);
  t.end_s.resize(n);
  t.cause.resize(n, kNoTask);
  std::vector<TaskId> on_stream(program.streams(), kNoTask);
  std::vector<std::vector<Held>> held(program.devices());
  for (TaskId task = 0; task < n; ++task) {
    double start = 0;
    TaskId cause = kNoTask;
    const auto wait_for = [&](TaskId earlier) {
      if (earlier != kNoTask && t.end_s[earlier] > start) {
        start = t.end_s[earlier];
        cause = earlier;
      }
    };
    program.for_streams(task, [&](StreamId s) { wait_for(on_stream[s]); });
    program.for_deps(task, wait_for);
    t.start_s[task] = start;
    t.end_s[task] = start + program.duration_s(task);
    const DeviceUse use = program.use(task);
    if (use.work > 0) {
      program.for_streams(task, [&](StreamId s) {
        std::vector<Held>& beside = held[program.device_of(s)];
        forget_before(beside, start);
        if (!beside.empty()) t.end_s[task] = std::max(t.end_s[task], slowed_end_s(start, program.duration_s(task), use.work, beside));
      });
    }
    if (use.held > 0 && t.end_s[task] > start) {
      program.for_streams(task, [&](StreamId s) { held[program.device_of(s)].push_back({start, t.end_s[task], use.held}); });
    }
    t.cause[task] = cause;
    program.for_streams(task, [&](StreamId s) { on_stream[s] = task; });
    if (t.last == kNoTask || t.end_s[task] > t.makespan_s) {
      t.makespan_s = t.end_s[task];
      t.last = task;
    }
  }
  return t;
}

std::vector<TaskId> critical_path(const Timeline& timeline) {
  std::vector<TaskId> path;
  for (TaskId task = timeline.last; task != kNoTask; task = timeline.cause[task]) path.push_back(task);
  std::reverse(path.begin(), path.end());
  return path;
}

}  // namespace dts

#include "engine/timeline.hpp"

#include <algorithm>

namespace dts {

TaskId LongestPath::add(double seconds, const StreamId* streams, std::size_t stream_count, const TaskId* deps,
                        std::size_t dep_count, DeviceUse use) {
  double start = 0;
  TaskId cause = kNoTask;
  const auto wait_for = [&](TaskId earlier) {
    if (earlier != kNoTask && end_s_[earlier] > start) start = end_s_[earlier], cause = earlier;
  };
  for (std::size_t i = 0; i < stream_count; ++i) wait_for(on_stream_[streams[i]]);
  for (std::size_t i = 0; i < dep_count; ++i) wait_for(deps[i]);
  start_s_ = start, cause_ = cause;
  double end = start + seconds;
  if (use.work > 0) {
    for (std::size_t i = 0; i < stream_count; ++i) share_device(streams[i], seconds, use, end);
  }
  const auto task = static_cast<TaskId>(end_s_.size());
  if (use.held > 0 && end > start) {
    for (std::size_t i = 0; i < stream_count; ++i)
      held_[streams[i] / device_streams_].add({start, end, use.held, task});
  }
  end_s_.push_back(end);
  for (std::size_t i = 0; i < stream_count; ++i) on_stream_[streams[i]] = task;
  if (last_ == kNoTask || end > makespan_s_) makespan_s_ = end, last_ = task;
  return task;
}

void LongestPath::share_device(StreamId stream, double seconds, DeviceUse use, double& end_s) {
  HeldList& beside = held_[stream / device_streams_];
  beside.forget_before(start_s_);
  if (!beside.empty()) end_s = std::max(end_s, slowed_end_s(start_s_, seconds, use.work, beside));
}

Timeline execute(const Program& program) {
  const std::size_t n = program.size();
  Timeline t;
  t.start_s.reserve(n), t.end_s.reserve(n), t.cause.reserve(n);
  LongestPath path(program.streams(), program.device_streams());
  path.reserve(n);
  for (TaskId task = 0; task < n; ++task) {
    path.add(program.duration_s(task), program.streams_of(task), program.stream_count(task), program.deps_of(task),
             program.dep_count(task), program.use(task));
    t.start_s.push_back(path.start_s());
    t.end_s.push_back(path.end_s(task));
    t.cause.push_back(path.cause());
  }
  t.makespan_s = path.makespan_s(), t.last = path.last();
  return t;
}

std::vector<TaskId> critical_path(const Timeline& timeline) {
  std::vector<TaskId> path;
  for (TaskId task = timeline.last; task != kNoTask; task = timeline.cause[task]) path.push_back(task);
  std::reverse(path.begin(), path.end());
  return path;
}

}  // namespace dts

// Execution with fixed durations. The order on every stream is known beforehand, so the timeline is a longest path:
// one max-plus sweep in program order, linear in tasks, no event queue.
#pragma once

#include <vector>

#include "engine/interference.hpp"
#include "engine/program.hpp"

namespace dts {

inline constexpr TaskId kNoTask = static_cast<TaskId>(-1);

// The sweep, task by task as they are issued: nothing is kept of a task but its end.
class LongestPath {
 public:
  explicit LongestPath(StreamId streams, StreamId device_streams = 0)
      : on_stream_(streams, kNoTask), held_(device_streams > 0 ? streams / device_streams : 0),
        device_streams_(device_streams) {}

  // Seconds on the grid (engine/time_grid.hpp); kNoTask among the dependencies is none.
  TaskId add(double seconds, const StreamId* streams, std::size_t stream_count, const TaskId* deps,
             std::size_t dep_count, DeviceUse use = {});

  std::size_t size() const noexcept { return end_s_.size(); }
  double end_s(TaskId task) const noexcept { return end_s_[task]; }
  TaskId on_stream(StreamId stream) const noexcept { return on_stream_[stream]; }
  // Of the task added last: when it started, and the task whose end set that (Timeline::cause).
  double start_s() const noexcept { return start_s_; }
  const TaskId& cause() const noexcept { return cause_; }
  double makespan_s() const noexcept { return makespan_s_; }
  TaskId last() const noexcept { return last_; }  // the first task that ends then
  // What is held on a stream's device, and may slow the task added last.
  const HeldList& held_beside(StreamId stream) const { return held_[stream / device_streams_]; }
  void reserve(std::size_t tasks) { end_s_.reserve(tasks); }

  // For tasks whose times are known (step/run/pass_memo.hpp): their end, their place on a stream, and whether they end
  // last.
  void add_known(double end_s) { end_s_.push_back(end_s); }
  void set_on_stream(StreamId stream, TaskId task) noexcept { on_stream_[stream] = task; }
  bool see_end(double end_s) noexcept {
    if (last_ != kNoTask && end_s <= makespan_s_) return false;
    makespan_s_ = end_s, last_ = static_cast<TaskId>(end_s_.size()) - 1;
    return true;
  }
  bool shares_devices() const noexcept { return device_streams_ > 0; }
  HeldList& held_on(StreamId stream) { return held_[stream / device_streams_]; }

 private:
  void share_device(StreamId stream, double seconds, DeviceUse use, double& end_s);

  std::vector<double> end_s_;
  std::vector<TaskId> on_stream_;
  std::vector<HeldList> held_;  // per device
  StreamId device_streams_;
  double start_s_ = 0, makespan_s_ = 0;
  TaskId cause_ = kNoTask, last_ = kNoTask;
};

struct Timeline {
  std::vector<double> start_s, end_s;
  // The task whose end set this task's start: the previous task on a shared stream if that was last to end, else the
  // dependency that was; kNoTask for a task that starts at 0. Following causes back gives the critical path.
  std::vector<TaskId> cause;
  double makespan_s = 0;
  TaskId last = kNoTask;  // a task that ends at makespan_s
};

Timeline execute(const Program& program);

// Tasks on the critical path, first to last.
std::vector<TaskId> critical_path(const Timeline& timeline);

}  // namespace dts

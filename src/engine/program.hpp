// A program: tasks in issue order, each on one or more streams, with dependencies on earlier tasks. A collective is
// one task on the streams of all its members: it starts when the last of them is ready. Structure of arrays.
#pragma once

#include <cstdint>
#include <vector>

namespace dts {

using TaskId = std::uint32_t;
using StreamId = std::uint32_t;

// What a task takes of its device, and what it loses to others there (engine/interference.hpp).
struct DeviceUse {
  double work = 0;  // share of its duration that slows down beside what others hold
  double held = 0;  // share of the multiprocessors that it holds
};

class Program {
 public:
  // Streams stand device by device, `device_streams` each; 0: tasks do not slow each other.
  explicit Program(StreamId streams = 0, StreamId device_streams = 0)
      : streams_(streams), device_streams_(device_streams) {}

  // Dependencies must be earlier tasks. Returns the new task's id.
  // Durations are put on the grid of engine/time_grid.hpp.
  TaskId add(double duration_s, const StreamId* streams, std::size_t stream_count, const TaskId* deps,
             std::size_t dep_count, DeviceUse use = {});
  TaskId add(double duration_s, const std::vector<StreamId>& streams, const std::vector<TaskId>& deps,
             DeviceUse use = {}) {
    return add(duration_s, streams.data(), streams.size(), deps.data(), deps.size(), use);
  }

  std::size_t size() const noexcept { return duration_s_.size(); }
  StreamId streams() const noexcept { return streams_; }
  double duration_s(TaskId t) const noexcept { return duration_s_[t]; }
  const double* duration_of(TaskId t) const noexcept { return &duration_s_[t]; }
  bool shares_devices() const noexcept { return device_streams_ > 0; }
  StreamId device_streams() const noexcept { return device_streams_; }
  StreamId devices() const noexcept { return device_streams_ > 0 ? streams_ / device_streams_ : 0; }
  StreamId device_of(StreamId stream) const noexcept { return stream / device_streams_; }
  DeviceUse use(TaskId t) const noexcept { return shares_devices() ? use_[t] : DeviceUse{}; }

  const StreamId* streams_of(TaskId t) const noexcept { return stream_.data() + stream_begin_[t]; }
  std::size_t stream_count(TaskId t) const noexcept { return stream_begin_[t + 1] - stream_begin_[t]; }
  const TaskId* deps_of(TaskId t) const noexcept { return dep_.data() + dep_begin_[t]; }
  std::size_t dep_count(TaskId t) const noexcept { return dep_begin_[t + 1] - dep_begin_[t]; }

  template <class Visit>
  void for_streams(TaskId t, Visit visit) const {
    for (std::uint32_t i = stream_begin_[t]; i < stream_begin_[t + 1]; ++i) visit(stream_[i]);
  }
  template <class Visit>
  void for_deps(TaskId t, Visit visit) const {
    for (std::uint32_t i = dep_begin_[t]; i < dep_begin_[t + 1]; ++i) visit(dep_[i]);
  }

 private:
  StreamId streams_, device_streams_;
  std::vector<DeviceUse> use_;  // empty unless devices are shared
  std::vector<double> duration_s_;
  std::vector<std::uint32_t> stream_begin_{0}, dep_begin_{0};
  std::vector<StreamId> stream_;
  std::vector<TaskId> dep_;
};

}  // namespace dts

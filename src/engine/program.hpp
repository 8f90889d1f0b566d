// A program: tasks in issue order, each on one or more streams, with dependencies on earlier tasks. A collective is
// one task on the streams of all its members: it starts when the last of them is ready. Structure of arrays.
#pragma once

#include <cstdint>
#include <vector>

namespace dts {

using TaskId = std::uint32_t;
using StreamId = std::uint32_t;

class Program {
 public:
  explicit Program(StreamId streams = 0) : streams_(streams) {}

  // Dependencies must be earlier tasks. Returns the new task's id.
  TaskId add(double duration_s, const std::vector<StreamId>& streams, const std::vector<TaskId>& deps);

  std::size_t size() const noexcept { return duration_s_.size(); }
  StreamId streams() const noexcept { return streams_; }
  double duration_s(TaskId t) const noexcept { return duration_s_[t]; }

  template <class Visit>
  void for_streams(TaskId t, Visit visit) const {
    for (std::uint32_t i = stream_begin_[t]; i < stream_begin_[t + 1]; ++i) visit(stream_[i]);
  }
  template <class Visit>
  void for_deps(TaskId t, Visit visit) const {
    for (std::uint32_t i = dep_begin_[t]; i < dep_begin_[t + 1]; ++i) visit(dep_[i]);
  }

 private:
  StreamId streams_;
  std::vector<double> duration_s_;
  std::vector<std::uint32_t> stream_begin_{0}, dep_begin_{0};
  std::vector<StreamId> stream_;
  std::vector<TaskId> dep_;
};

}  // namespace dts

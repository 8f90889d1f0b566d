// Emits the tasks of a step onto the streams of the pipeline ranks: into a program, or into a run that executes them at
// once.
#pragma once

#include <algorithm>
#include <array>
#include <vector>

#include "interrupt.hpp"
#include "step/tasks/step_program.hpp"

namespace dts {

using Tasks = std::vector<TaskId>;

// What a pass waits for: few, so nothing is allocated.
class FewTasks {
 public:
  FewTasks() = default;
  FewTasks(std::initializer_list<TaskId> tasks) {
    for (TaskId task : tasks) add(task);
  }
  FewTasks(const FewTasks& o) : count_(o.count_) { std::copy_n(o.list_.begin(), count_, list_.begin()); }
  FewTasks& operator=(const FewTasks& o) {
    count_ = o.count_;
    std::copy_n(o.list_.begin(), count_, list_.begin());
    return *this;
  }
  void add(TaskId task) {
    if (task != kNoTask) list_.at(count_++) = task;
  }
  void add(const FewTasks& more) {
    for (std::size_t i = 0; i < more.count_; ++i) add(more.list_[i]);
  }
  const TaskId* data() const noexcept { return list_.data(); }
  std::size_t size() const noexcept { return count_; }

 private:
  std::array<TaskId, 24> list_;
  std::size_t count_ = 0;
};

// One task as it is emitted.
struct IssuedTask {
  const TaskInfo& info;
  double seconds, own_s;
  const StreamId* streams;
  std::size_t stream_count;
  const TaskId* deps;
  std::size_t dep_count;
  DeviceUse use;
};

class TaskSink {
 public:
  virtual ~TaskSink() = default;
  virtual TaskId add(const IssuedTask& task) = 0;
};

class StepTasks {
 public:
  explicit StepTasks(TaskSink& sink) : sink_(sink) {}

  // On one stream of each of the pipeline ranks. `own_s`: the part of `seconds` that a slow rank stretches, and that
  // slows beside collectives; `held`: the share of a device's multiprocessors that the task holds.
  TaskId add(const TaskInfo& info, double seconds, const int* ranks, std::size_t rank_count, const TaskId* deps,
             std::size_t dep_count, double own_s = 0, double held = 0);
  template <class Deps>
  TaskId add(const TaskInfo& info, double seconds, int rank, const Deps& deps, double own_s = 0, double held = 0) {
    const StreamId stream = stream_of(rank, info.stream);
    return add(info, seconds, own_s, held, &stream, 1, deps.data(), deps.size());
  }
  template <class Deps>
  TaskId add(const TaskInfo& info, double seconds, const std::vector<int>& ranks, const Deps& deps) {
    return add(info, seconds, ranks.data(), ranks.size(), deps.data(), deps.size());
  }

 private:
  TaskId add(const TaskInfo& info, double seconds, double own_s, double held, const StreamId* streams,
             std::size_t stream_count, const TaskId* deps, std::size_t dep_count) {
    poll_interrupt(8);
    const double work = info.stream == StreamKind::Compute && seconds > 0 ? std::min(1.0, own_s / seconds) : 0;
    return sink_.add({info, seconds, own_s, streams, stream_count, deps, dep_count, {work, std::min(1.0, held)}});
  }

  TaskSink& sink_;
  std::vector<StreamId> streams_;
};

// Emits a whole step; gives one task of each pass class.
std::vector<TaskInfo> emit_step(const StepPlan& plan, TaskSink& sink);

}  // namespace dts

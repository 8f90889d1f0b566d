// Issues passes that are cut into pieces, and the end of a step, as tasks.
#pragma once

#include "step/tasks/data_parallel_tasks.hpp"
#include "step/tasks/step_tasks.hpp"

namespace dts {

class StepIssuer {
 public:
  StepIssuer(const StepPlan& plan, TaskSink& sink) : plan_(plan), tasks_(sink), parallel_(plan, tasks_) {}
  StepIssuer(const StepIssuer&) = delete;
  StepIssuer& operator=(const StepIssuer&) = delete;

  // `inputs`: what feeds the pass, and its partner's where it is the first of a pair. Gives its last compute.
  TaskId issue(const DataParallelTasks::Opening& opening, const FewTasks& inputs);
  // After the last pass: reductions that did not overlap, tied embeddings, the norm's global meeting, the update.
  void tail();

  StepTasks& tasks() noexcept { return tasks_; }
  DataParallelTasks& parallel() noexcept { return parallel_; }
  const DataParallelTasks& parallel() const noexcept { return parallel_; }
  std::vector<TaskInfo> finish() && { return std::move(parallel_).finish(); }  // one task of each pass class

 private:
  void reduce_between(TaskKind kind, double seconds, int a, int b);
  TaskId sync();

  const StepPlan& plan_;
  StepTasks tasks_;
  DataParallelTasks parallel_;
};

Pairing pairing(const StepPlan& plan, const StagePlacement& placement, int rank, const Pass& first, const Pass& second);

}  // namespace dts

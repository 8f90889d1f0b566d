// Emits tasks of a step onto the streams of the ranks behind each pipeline rank, folded or expanded.
#pragma once

#include <vector>

#include "step/rank_view.hpp"
#include "step/step_program.hpp"

namespace dts {

using Tasks = std::vector<TaskId>;

class StepTasks {
 public:
  StepTasks(const StepPlan& plan, RankView view);

  const RankView& view() const noexcept { return view_; }
  const std::vector<std::vector<int>>& units(int rank) const { return view_.units[static_cast<std::size_t>(rank)]; }

  // One task on one stream of each rank.
  TaskId add(const TaskInfo& info, double seconds, const std::vector<int>& ranks, const Tasks& deps);
  // One data-parallel collective: a task on every lane of the pipeline rank, those of the shards or of their replicas as
  // its stream says. `after[u]`: tasks of unit u; empty = none.
  Tasks collective(TaskInfo info, double seconds, int rank, const std::vector<Tasks>& after);
  // The lane tasks that members of a unit take part in.
  Tasks lanes_of(const std::vector<int>& members, const Tasks& lane_tasks, StreamKind stream = StreamKind::DataParallel) const;
  double slowdown(const std::vector<int>& members) const;  // of the slowest member

  StepProgram finish() && { return std::move(out_); }

 private:
  const StepPlan& plan_;
  RankView view_;
  StepProgram out_;
};

inline void append(Tasks& all, const Tasks& more) { all.insert(all.end(), more.begin(), more.end()); }

}  // namespace dts

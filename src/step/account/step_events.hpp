// The events of a step as columns: one entry per task and rank. Meetings of no length are left out.
#pragma once

#include <vector>

#include "engine/spread.hpp"
#include "step/plan/rank_classes.hpp"
#include "step/tasks/step_messages.hpp"
#include "step/tasks/step_program.hpp"

namespace dts {

struct EventTable {
  std::vector<TaskInfo> tasks;  // `rank`: of the cluster; the pipeline rank where one stands for all
  std::vector<double> start_s, end_s;
  std::vector<Message> messages;
};

// Which places of a stage an instance's events name; without a view, the pipeline rank stands for its ranks.
enum class EventRanks { First, All };

class EventRecorder {
 public:
  EventRecorder(const StepProgram& step, const StepPlan& plan, const RankGrid& grid, const RankClasses& classes,
                const RankView* view, EventRanks ranks);

  void visit(TaskId task, const Instances& instances);
  EventTable finish() { return std::move(events_); }

 private:
  const StepProgram& step_;
  const StepPlan& plan_;
  const RankGrid& grid_;
  const RankView* view_;
  std::vector<std::vector<std::uint32_t>> units_, lanes_;  // places per class
  EventTable events_;
};

}  // namespace dts

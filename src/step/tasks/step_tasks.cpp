#include "step/tasks/step_tasks.hpp"

#include <utility>

namespace dts {

namespace {

class ProgramSink final : public TaskSink {
 public:
  ProgramSink(StreamId pp, bool interference) {
    out_.program = Program(pp * kStreamsPerRank, interference ? kStreamsPerRank : 0);
  }
  TaskId add(const IssuedTask& task) override {
    out_.tasks.push_back(task.info);
    out_.own_s.push_back(task.own_s);
    return out_.program.add(task.seconds, task.streams, task.stream_count, task.deps, task.dep_count, task.use);
  }
  StepProgram finish() && { return std::move(out_); }

 private:
  StepProgram out_;
};

}  // namespace

TaskId StepTasks::add(const TaskInfo& info, double seconds, const int* ranks, std::size_t rank_count,
                      const TaskId* deps, std::size_t dep_count, double own_s, double held) {
  streams_.clear();
  for (std::size_t i = 0; i < rank_count; ++i) {
    streams_.push_back(stream_of(ranks[i], info.stream));
  }
  return add(info, seconds, own_s, held, streams_.data(), streams_.size(), deps, dep_count);
}

StepProgram build_folded(const StepPlan& plan) {
  ProgramSink sink(static_cast<StreamId>(plan.order.size()), plan.interference);
  std::vector<TaskInfo> classes = emit_step(plan, sink);
  StepProgram step = std::move(sink).finish();
  step.pass_classes = std::move(classes);
  return step;
}

std::vector<TaskKind> kinds_of(const StepProgram& step) {
  std::vector<TaskKind> kinds;
  kinds.reserve(step.tasks.size());
  for (const TaskInfo& info : step.tasks) kinds.push_back(info.kind);
  return kinds;
}

}  // namespace dts

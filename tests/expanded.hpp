// The reference for rank classes: a step in which every rank has its own streams and every collective is one task on
// the streams of all its members, lifted task by task from the folded program. Slow, and free of classes.
#pragma once

#include <algorithm>
#include <vector>

#include "step/plan/rank_view.hpp"
#include "step/tasks/step_program.hpp"

namespace dts::test {

struct Expanded {
  Program program;
  std::vector<TaskInfo> tasks;  // `rank`: of the cluster, the first that takes part
};

class Lifter {
 public:
  Lifter(const StepProgram& folded, const RankGrid& grid, std::vector<double> slowdown)
      : folded_(folded), view_(grid), slowdown_(std::move(slowdown)) {
    slowdown_.resize(static_cast<std::size_t>(grid.world()), 1);
    out_.program = Program(static_cast<StreamId>(grid.world()) * kStreamsPerRank);
  }

  Expanded lift() && {
    for (TaskId task = 0; task < folded_.tasks.size(); ++task) {
      instances_.emplace_back();
      for (const Places& places : groups(folded_.tasks[task])) add(task, places);
    }
    return std::move(out_);
  }

 private:
  using Places = std::vector<std::uint32_t>;
  struct Instance {
    TaskId id;
    Places places;
  };

  // Positions in a stage that do one instance of a task together.
  std::vector<Places> groups(const TaskInfo& info) const {
    if (space_of(info.kind) == Space::Lane) return view_.lanes;
    if (info.kind != TaskKind::Sync && info.kind != TaskKind::PipelineSend) return view_.units;
    std::vector<Places> all(1);
    for (std::uint32_t place = 0; place < view_.first_stage.size(); ++place) all.front().push_back(place);
    if (info.kind == TaskKind::Sync) return all;
    std::vector<Places> single;
    for (std::uint32_t place : all.front()) single.push_back({place});
    return single;
  }

  static bool meet(const Places& a, const Places& b) {
    return std::any_of(a.begin(), a.end(),
                       [&](std::uint32_t p) { return std::find(b.begin(), b.end(), p) != b.end(); });
  }

  void add(TaskId task, const Places& places) {
    TaskInfo info = folded_.tasks[task];
    std::vector<StreamId> streams;
    double slowest = 0;
    folded_.program.for_streams(task, [&](StreamId s) {
      for (std::uint32_t place : places) {
        const int rank = view_.rank(place, static_cast<int>(s / kStreamsPerRank));
        streams.push_back(static_cast<StreamId>(rank) * kStreamsPerRank + s % kStreamsPerRank);
        slowest = std::max(slowest, slowdown_[static_cast<std::size_t>(rank)]);
      }
    });
    std::vector<TaskId> deps;
    folded_.program.for_deps(task, [&](TaskId dep) {
      for (const Instance& earlier : instances_[dep]) {
        if (meet(earlier.places, places)) deps.push_back(earlier.id);
      }
    });
    info.rank = static_cast<std::int32_t>(streams.front() / kStreamsPerRank);
    const double seconds = folded_.program.duration_s(task) + (slowest - 1) * folded_.own_s[task];
    out_.tasks.push_back(info);
    instances_[task].push_back({out_.program.add(seconds, streams, deps), places});
  }

  const StepProgram& folded_;
  RankView view_;
  std::vector<double> slowdown_;
  Expanded out_;
  std::vector<std::vector<Instance>> instances_;  // per folded task
};

inline Expanded build_expanded(const StepPlan& plan, const RankGrid& grid, std::vector<double> slowdown = {}) {
  const StepProgram folded = build_folded(plan);
  return Lifter(folded, grid, std::move(slowdown)).lift();
}

}  // namespace dts::test

// Times an order with stated seconds per pass: schedule and engine alone, no model.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "engine/timeline.hpp"
#include "schedule/pipeline.hpp"
#include "schedule/walk.hpp"

namespace dts::test {

struct PassSeconds {  // of one chunk
  double forward = 1, input = 1, weight = 1, transfer = 0;
  double pair = -1;  // of an overlapped pair; < 0: forward + input + weight
};

struct ScheduleRun {
  bool finished = true;
  double makespan = 0;
  std::vector<double> start, end;  // per rank

  double span() const {  // longest rank: what matters when ranks do not meet
    double longest = 0;
    for (std::size_t r = 0; r < start.size(); ++r) longest = std::max(longest, end[r] - start[r]);
    return longest;
  }
};

inline ScheduleRun run_order(const PipelineOrder& order, const StagePlacement& placement, int m, const PassSeconds& s) {
  constexpr TaskId kNone = static_cast<TaskId>(-1);
  const auto slots = static_cast<std::size_t>(placement.stages() * m);
  std::vector<TaskId> forward_in(slots, kNone), backward_in(slots, kNone);  // transfer (or pass) that feeds a slot
  // A stream of compute per rank, and one per direction and rank for transfers, as the step program has.
  const auto pp = static_cast<StreamId>(placement.pp);
  Program program(3 * pp);
  std::vector<std::vector<TaskId>> tasks(order.size());
  const auto slot = [&](int stage, int i) { return static_cast<std::size_t>(stage * m + i); };
  const auto send = [&](std::vector<TaskId>& in, int rank, int to, int i, TaskId done, bool forward) {
    if (to < 0) return;
    const bool stays = placement.rank_of(to) == rank;
    const auto stream = static_cast<StreamId>(rank) + (forward ? 1 : 2) * pp;
    in[slot(to, i)] = stays ? done : program.add(s.transfer, {stream}, {done});
  };
  std::vector<const Pass*> open(order.size(), nullptr);  // forward of a pair whose backward comes next
  OrderWalk walk(order, placement, m);
  ScheduleRun run;
  run.finished = walk.run([&](int rank, int stage, const Pass& pass) {
    const auto r = static_cast<std::size_t>(rank);
    if (pass.with_next) {
      open[r] = &pass;
      return;
    }
    double seconds = pass.kind == PassKind::Forward ? s.forward : 0;
    if (gives_input_gradient(pass.kind)) seconds += s.input;
    if (gives_weight_gradient(pass.kind)) seconds += s.weight;
    std::vector<TaskId> deps;
    const auto wait = [&](TaskId task) {
      if (task != kNone) deps.push_back(task);
    };
    if (pass.kind == PassKind::Forward) wait(forward_in[slot(stage, pass.micro_batch)]);
    if (gives_input_gradient(pass.kind)) wait(backward_in[slot(stage, pass.micro_batch)]);
    const Pass* pair = open[r];
    const int pair_stage = pair ? placement.stage_of(rank, pair->chunk) : 0;
    if (pair) {
      wait(forward_in[slot(pair_stage, pair->micro_batch)]);
      seconds = s.pair >= 0 ? s.pair : seconds + s.forward;
    }
    const TaskId task = program.add(seconds, {static_cast<StreamId>(rank)}, deps);
    tasks[r].push_back(task);
    if (pair) send(forward_in, rank, placement.next(pair_stage), pair->micro_batch, task, true);
    open[r] = nullptr;
    if (pass.kind == PassKind::Forward) send(forward_in, rank, placement.next(stage), pass.micro_batch, task, true);
    if (gives_input_gradient(pass.kind))
      send(backward_in, rank, placement.previous(stage), pass.micro_batch, task, false);
  });
  const Timeline timeline = execute(program);
  double first = 0, last = 0;
  for (std::size_t r = 0; r < order.size(); ++r) {
    run.start.push_back(tasks[r].empty() ? 0 : timeline.start_s[tasks[r].front()]);
    run.end.push_back(tasks[r].empty() ? 0 : timeline.end_s[tasks[r].back()]);
    first = r == 0 ? run.start[r] : std::min(first, run.start[r]);
    last = std::max(last, run.end[r]);
  }
  run.makespan = last - first;
  return run;
}

// Most passes of activations that a rank holds: F takes one, W (or a whole backward) gives it back.
inline int most_held(const std::vector<Pass>& passes) {
  int held = 0, most = 0;
  for (const Pass& pass : passes) {
    held += pass.kind == PassKind::Forward ? 1 : gives_weight_gradient(pass.kind) ? -1 : 0;
    most = std::max(most, held);
  }
  return most;
}

inline std::string text_of(const std::vector<Pass>& passes, bool chunks = false) {
  std::string text;
  for (const Pass& pass : passes) {
    const std::string name = name_of(pass);
    text += (text.empty() || text.back() == '+' ? "" : " ") + (chunks ? name : name.substr(0, name.find('.')));
    if (pass.with_next) text += "+";
  }
  return text;
}

}  // namespace dts::test

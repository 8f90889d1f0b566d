#include "step/step_program.hpp"

#include <algorithm>
#include <optional>

#include "schedule/check_order.hpp"
#include "schedule/walk.hpp"
#include "step/data_parallel_tasks.hpp"
#include "step/step_tasks.hpp"

namespace dts {

namespace {

// Emits passes rank by rank; a pass waits until what feeds it has been emitted.
class StepBuilder {
 public:
  StepBuilder(const StepPlan& plan, RankView view)
      : plan_(plan), placement_(plan.placement()), pp_(placement_.pp), tasks_(plan, std::move(view)), parallel_(plan, tasks_) {
    const auto slots = plan.stages.size() * static_cast<std::size_t>(plan.micro_batches) * tasks_.units(0).size();
    forward_in_.resize(slots), backward_in_.resize(slots);
    open_.resize(static_cast<std::size_t>(pp_));
  }

  StepProgram build() && {
    OrderWalk walk(plan_.order, placement_, plan_.micro_batches);
    const bool done = walk.run([this](int rank, int stage, const Pass& pass) { emit(pass, rank, stage); });
    if (!done) check_order(plan_.order, placement_, plan_.micro_batches);  // names the deadlock
    emit_tail();
    return std::move(tasks_).finish();
  }

 private:
  struct OpenForward {  // of a pair whose backward follows
    int stage, micro_batch;
    double hidden;
  };

  // What feeds a pass, per (virtual stage, micro-batch, replica).
  Tasks& arrivals(std::vector<Tasks>& all, int stage, int micro_batch, std::size_t replica) {
    const auto slot = static_cast<std::size_t>(stage) * static_cast<std::size_t>(plan_.micro_batches) +
                      static_cast<std::size_t>(micro_batch);
    return all[slot * tasks_.units(0).size() + replica];
  }

  // Both passes of a pair start when the inputs of both are there, and their outputs leave when both are done.
  void emit(const Pass& pass, int rank, int stage) {
    std::optional<OpenForward>& open = open_[static_cast<std::size_t>(rank)];
    if (pass.with_next) {
      const Pass& partner = *(&pass + 1);
      const int other = placement_.stage_of(rank, partner.chunk);
      const double hidden = hidden_exchange(plan_.stages[static_cast<std::size_t>(stage)],
                                            plan_.stages[static_cast<std::size_t>(other)], partner.kind);
      open = OpenForward{stage, pass.micro_batch, hidden};
      run(pass, rank, stage, hidden, &partner);
      return;
    }
    run(pass, rank, stage, open ? open->hidden : 0, nullptr);
    const std::vector<Tasks>& done = parallel_.last(rank);
    if (open) send(true, rank, open->stage, open->micro_batch, done);
    open.reset();
    if (pass.kind == PassKind::Forward) send(true, rank, stage, pass.micro_batch, done);
    if (gives_input_gradient(pass.kind)) send(false, rank, stage, pass.micro_batch, done);
  }

  void run(const Pass& pass, int rank, int stage, double hidden, const Pass* partner) {
    DataParallelTasks::Flow flow = parallel_.open(pass, rank, stage, hidden);
    for (std::size_t i = 0; i < flow.pieces.size(); ++i) {
      const std::vector<Tasks> waits = parallel_.before(flow, i);
      parallel_.after(flow, i, compute(pass, rank, stage, flow.pieces[i], waits, hidden, i == 0, i == 0 ? partner : nullptr));
    }
  }

  // One piece on every unit; the first of a pass also waits for what feeds it, and its partner.
  std::vector<Tasks> compute(const Pass& pass, int rank, int stage, const Piece& piece, const std::vector<Tasks>& waits,
                             double hidden, bool first, const Pass* partner) {
    const auto& units = tasks_.units(rank);
    std::vector<Tasks> done(units.size());
    for (std::size_t u = 0; u < units.size(); ++u) {
      Tasks deps = waits[u];
      if (first) append_inputs(deps, pass, stage, u);
      if (partner) append_inputs(deps, *partner, placement_.stage_of(rank, partner->chunk), u);
      const TaskInfo info{task_of(pass.kind), StreamKind::Compute, units[u].front(), stage, pass.micro_batch, piece.index, hidden};
      done[u] = {tasks_.add(info, piece.seconds * tasks_.slowdown(units[u]), units[u], deps)};
    }
    return done;
  }

  void append_inputs(Tasks& deps, const Pass& pass, int stage, std::size_t unit) {
    if (pass.kind == PassKind::BackwardWeight) return;
    append(deps, arrivals(pass.kind == PassKind::Forward ? forward_in_ : backward_in_, stage, pass.micro_batch, unit));
  }

  void send(bool forward, int rank, int stage, int micro_batch, const std::vector<Tasks>& done) {
    const int to = forward ? placement_.next(stage) : placement_.previous(stage);
    if (to < 0) return;
    const bool stays = placement_.rank_of(to) == rank;  // the turn of a wave
    const StageComm& comm = plan_.comm[static_cast<std::size_t>(stage)];
    const StreamKind stream = forward ? StreamKind::SendForward : StreamKind::SendBackward;
    const auto& units = tasks_.units(rank);
    for (std::size_t u = 0; u < units.size(); ++u) {
      Tasks& in = arrivals(forward ? forward_in_ : backward_in_, to, micro_batch, u);
      if (stays) append(in, done[u]);
      for (std::size_t i = 0; !stays && i < units[u].size(); ++i) {
        const int member = units[u][i];
        in.push_back(tasks_.add({TaskKind::PipelineSend, stream, member, stage, micro_batch, -1},
                                forward ? comm.send_forward_s : comm.send_backward_s, {member}, done[u]));
      }
    }
  }

  // After the last pass: reductions that did not overlap, tied embeddings, the norm's global meeting, the update.
  void emit_tail() {
    parallel_.reduce_rest();
    for (int rank = 0; rank < static_cast<int>(plan_.copy_reduce_s.size()) / 2; ++rank) {
      reduce_between(TaskKind::CopyReduce, plan_.copy_reduce_s[static_cast<std::size_t>(rank)], rank, pp_ - 1 - rank);
    }
    if (plan_.tied_reduce_s > 0 && pp_ > 1) reduce_between(TaskKind::TiedReduce, plan_.tied_reduce_s, 0, pp_ - 1);
    parallel_.update(sync());
  }

  // Gradients of parameters that two pipeline ranks both hold. Its stream runs it after the ranks' other reductions.
  void reduce_between(TaskKind kind, double seconds, int a, int b) {
    for (std::size_t u = 0; u < tasks_.units(a).size(); ++u) {
      std::vector<int> members = tasks_.units(a)[u];
      const std::vector<int>& others = tasks_.units(b)[u];
      members.insert(members.end(), others.begin(), others.end());
      Tasks deps = parallel_.last(a)[u];
      append(deps, parallel_.last(b)[u]);
      const TaskId id = tasks_.add({kind, StreamKind::DataParallel, members.front(), a, plan_.micro_batches - 1, -1}, seconds,
                                   members, deps);
      parallel_.wait_for(a, id), parallel_.wait_for(b, id);
    }
  }

  TaskId sync() {
    std::vector<int> everyone(static_cast<std::size_t>(tasks_.view().ranks));
    for (std::size_t rank = 0; rank < everyone.size(); ++rank) everyone[rank] = static_cast<int>(rank);
    const TaskInfo info{TaskKind::Sync, StreamKind::Compute, 0, 0, plan_.micro_batches - 1, -1};
    return tasks_.add(info, 0, everyone, parallel_.leaving());
  }

  const StepPlan& plan_;
  StagePlacement placement_;
  int pp_;
  StepTasks tasks_;
  DataParallelTasks parallel_;
  std::vector<Tasks> forward_in_, backward_in_;
  std::vector<std::optional<OpenForward>> open_;         // per pipeline rank
};

}  // namespace

StepProgram build_folded(const StepPlan& plan) {
  return StepBuilder(plan, RankView::folded(static_cast<int>(plan.order.size()))).build();
}

StepProgram build_expanded(const StepPlan& plan, const RankGrid& grid) {
  return StepBuilder(plan, RankView::expanded(grid)).build();
}

}  // namespace dts

#include "step/step_program.hpp"

#include <algorithm>
#include <optional>

#include "schedule/blocking_walk.hpp"
#include "schedule/check_order.hpp"
#include "schedule/walk.hpp"
#include "step/pieces.hpp"
#include "step/step_tasks.hpp"

namespace dts {

namespace {

// Emits passes rank by rank; a pass waits until what feeds it has been emitted.
class StepBuilder {
 public:
  StepBuilder(const StepPlan& plan, RankView view)
      : plan_(plan), placement_(plan.placement()), pp_(placement_.pp), tasks_(plan, std::move(view)) {
    const auto slots = plan.stages.size() * static_cast<std::size_t>(plan.micro_batches) * tasks_.units(0).size();
    forward_in_.resize(slots), backward_in_.resize(slots);
    const auto ranks = static_cast<std::size_t>(pp_);
    recent_.resize(ranks), reductions_.resize(ranks), blocking_.resize(ranks), open_.resize(ranks);
    exchanged_.assign(ranks, std::vector<Tasks>(tasks_.units(0).size()));
    first_forward_.assign(plan.stages.size(), -1), last_gradient_.assign(plan.stages.size(), -1);
    for (int rank = 0; rank < pp_; ++rank) mark_ends(rank);
  }

  StepProgram build() && {
    const auto visit = [this](int rank, int stage, const Pass& pass) { emit(pass, rank, stage); };
    if (plan_.blocking_p2p) {
      BlockingWalk walk(plan_.order, placement_, plan_.micro_batches);
      walk.run(visit, [this](const Transfer& transfer) { meet(transfer); },
               [this](int rank, const std::vector<Transfer>& group) { finish_exchange(rank, group); });
    } else {
      OrderWalk walk(plan_.order, placement_, plan_.micro_batches);
      if (!walk.run(visit)) check_order(plan_.order, placement_, plan_.micro_batches);  // names the deadlock
    }
    emit_tail();
    return std::move(tasks_).finish();
  }

 private:
  struct OpenForward {  // of a pair whose backward follows
    int stage, micro_batch;
    double hidden;
  };

  void mark_ends(int rank) {
    for (const Pass& pass : plan_.order[static_cast<std::size_t>(rank)]) {
      const auto stage = static_cast<std::size_t>(placement_.stage_of(rank, pass.chunk));
      if (pass.kind == PassKind::Forward && first_forward_[stage] < 0) first_forward_[stage] = pass.micro_batch;
      if (gives_weight_gradient(pass.kind)) last_gradient_[stage] = pass.micro_batch;
    }
  }

  // What feeds a pass, per (virtual stage, micro-batch, replica).
  Tasks& arrivals(std::vector<Tasks>& all, int stage, int micro_batch, std::size_t replica) {
    const auto slot = static_cast<std::size_t>(stage) * static_cast<std::size_t>(plan_.micro_batches) +
                      static_cast<std::size_t>(micro_batch);
    return all[slot * tasks_.units(0).size() + replica];
  }

  // Both passes of a pair start when the inputs of both are there, and their outputs leave when both are done.
  void emit(const Pass& pass, int rank, int stage) {
    const auto r = static_cast<std::size_t>(rank), v = static_cast<std::size_t>(stage);
    std::optional<OpenForward>& open = open_[r];
    PassPlace place{pass.kind == PassKind::Forward && first_forward_[v] == pass.micro_batch,
                    gives_weight_gradient(pass.kind) && last_gradient_[v] == pass.micro_batch, open ? open->hidden : 0};
    if (pass.with_next) {
      const Pass& partner = *(&pass + 1);
      const int other = placement_.stage_of(rank, partner.chunk);
      place.hidden = hidden_exchange(plan_.stages[v], plan_.stages[static_cast<std::size_t>(other)], partner.kind);
      open = OpenForward{stage, pass.micro_batch, place.hidden};
      run(pass, rank, stage, place, &partner);
      return;
    }
    run(pass, rank, stage, place, nullptr);
    if (open) send(true, rank, open->stage, open->micro_batch, recent_[r].back());
    open.reset();
    if (pass.kind == PassKind::Forward) send(true, rank, stage, pass.micro_batch, recent_[r].back());
    if (gives_input_gradient(pass.kind)) send(false, rank, stage, pass.micro_batch, recent_[r].back());
    if (plan_.blocking_p2p) exchanged_[r] = recent_[r].back();
    if (recent_[r].size() > 4) recent_[r].erase(recent_[r].begin(), recent_[r].end() - 2);
  }

  void run(const Pass& pass, int rank, int stage, const PassPlace& place, const Pass* partner) {
    const auto r = static_cast<std::size_t>(rank);
    auto& recent = recent_[r];
    const std::vector<Piece> pieces = pieces_of(plan_, pass, stage, place);
    // Under ZeRO-3 a gather runs at most one block ahead: its memory frees when the last block but one is done. Without
    // overlap it waits for the block before.
    const bool ahead = plan_.overlap_param_gather;
    const auto gather = [&](std::size_t i, std::size_t back) {
      if (pieces[i].gather_s < 0) return Tasks{};
      if (!ahead) back = 1;
      const bool waits = plan_.zero == 3 && recent.size() >= back;
      return tasks_.collective(TaskKind::ParamGather, pieces[i].gather_s, rank, stage, pass.micro_batch, pieces[i].index,
                               waits ? recent[recent.size() - back] : std::vector<Tasks>{});
    };
    Tasks ready = gather(0, 2);
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      const bool more = i + 1 < pieces.size();
      Tasks next;
      const bool early = ahead && plan_.gather_before_reduce;
      if (more && early) next = gather(i + 1, 1);
      std::vector<Tasks> done = compute(pass, rank, stage, pieces[i], ready, place.hidden, i == 0, i == 0 ? partner : nullptr);
      if (pieces[i].reduce_s >= 0) {
        const Tasks reduced = tasks_.collective(TaskKind::GradReduce, pieces[i].reduce_s, rank, stage, pass.micro_batch,
                                                pieces[i].index, done);
        append(reductions_[r], reduced);
        if (!plan_.overlap_grad_reduce) blocking_[r] = reduced;
      }
      recent.push_back(std::move(done));
      if (more && !early) next = gather(i + 1, 2);
      ready = std::move(next);
    }
  }

  // One piece on every unit; the first of a pass also waits for what feeds it, and its partner.
  std::vector<Tasks> compute(const Pass& pass, int rank, int stage, const Piece& piece, const Tasks& gathers, double hidden,
                             bool first, const Pass* partner) {
    const auto& units = tasks_.units(rank);
    std::vector<Tasks> done(units.size());
    for (std::size_t u = 0; u < units.size(); ++u) {
      Tasks deps = gathers.empty() ? Tasks{} : tasks_.lanes_of(units[u], gathers);
      Tasks& blocking = blocking_[static_cast<std::size_t>(rank)];
      if (!blocking.empty()) append(deps, tasks_.lanes_of(units[u], blocking));
      if (first) append_inputs(deps, pass, stage, u);
      if (first && plan_.blocking_p2p) append(deps, exchanged_[static_cast<std::size_t>(rank)][u]);
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
    for (std::size_t u = 0; u < tasks_.units(rank).size(); ++u) {
      Tasks& in = arrivals(forward ? forward_in_ : backward_in_, to, micro_batch, u);
      if (stays) {
        append(in, done[u]);
      } else if (!plan_.blocking_p2p) {
        transfer(in, {forward, stage, to, micro_batch}, u, done[u]);
      }
    }
  }

  // From each member of a unit to its peer.
  void transfer(Tasks& in, const Transfer& t, std::size_t unit, const Tasks& after) {
    const StageComm& comm = plan_.comm[static_cast<std::size_t>(t.from)];
    const StreamKind stream = t.forward ? StreamKind::SendForward : StreamKind::SendBackward;
    for (int member : tasks_.units(placement_.rank_of(t.from))[unit]) {
      in.push_back(tasks_.add({TaskKind::PipelineSend, stream, member, t.from, t.micro_batch, -1},
                              t.forward ? comm.send_forward_s : comm.send_backward_s, {member}, after));
    }
  }

  // A blocking transfer starts when both ranks have come to it.
  void meet(const Transfer& t) {
    const auto from = static_cast<std::size_t>(placement_.rank_of(t.from)), to = static_cast<std::size_t>(placement_.rank_of(t.to));
    for (std::size_t u = 0; u < tasks_.units(static_cast<int>(from)).size(); ++u) {
      Tasks after;
      for (const std::size_t rank : {from, to}) {
        append(after, exchanged_[rank][u]);
      }
      transfer(arrivals(t.forward ? forward_in_ : backward_in_, t.to, t.micro_batch, u), t, u, after);
    }
  }

  void finish_exchange(int rank, const std::vector<Transfer>& group) {
    std::vector<Tasks> done(tasks_.units(rank).size());
    for (const Transfer& t : group) {
      for (std::size_t u = 0; u < done.size(); ++u) {
        append(done[u], arrivals(t.forward ? forward_in_ : backward_in_, t.to, t.micro_batch, u));
      }
    }
    exchanged_[static_cast<std::size_t>(rank)] = std::move(done);
  }

  // After the last pass: reductions that did not overlap, tied embeddings, the norm's global meeting, the update.
  void emit_tail() {
    for (int rank = 0; rank < pp_ && plan_.zero < 3 && !plan_.overlap_grad_reduce; ++rank) {
      const auto r = static_cast<std::size_t>(rank);
      for_units(rank, [&](int stage, int index, const StageComm::Unit& unit) {
        append(reductions_[r], tasks_.collective(TaskKind::GradReduce, unit.reduce_s, rank, stage, plan_.micro_batches - 1,
                                                 index, recent_[r].back()));
      });
    }
    for (int rank = 0; rank < static_cast<int>(plan_.copy_reduce_s.size()) / 2; ++rank) {
      reduce_between(TaskKind::CopyReduce, plan_.copy_reduce_s[static_cast<std::size_t>(rank)], rank, pp_ - 1 - rank);
    }
    if (plan_.tied_reduce_s > 0 && pp_ > 1) reduce_between(TaskKind::TiedReduce, plan_.tied_reduce_s, 0, pp_ - 1);
    const TaskId meeting = plan_.ranks_meet ? sync() : kNoTask;
    for (int rank = 0; rank < pp_; ++rank) update(rank, meeting == kNoTask ? reductions_[static_cast<std::size_t>(rank)] : Tasks{meeting});
  }

  template <class Visit>
  void for_units(int rank, Visit visit) {
    for (int chunk = 0; chunk < placement_.chunks; ++chunk) {
      const int stage = placement_.stage_of(rank, chunk);
      const std::vector<StageComm::Unit>& units = plan_.comm[static_cast<std::size_t>(stage)].units;
      for (std::size_t u = 0; u < units.size(); ++u) visit(stage, static_cast<int>(u), units[u]);
    }
  }

  // Gradients of parameters that two pipeline ranks both hold. Its stream runs it after the ranks' other reductions.
  void reduce_between(TaskKind kind, double seconds, int a, int b) {
    const auto ra = static_cast<std::size_t>(a), rb = static_cast<std::size_t>(b);
    for (std::size_t u = 0; u < tasks_.units(a).size(); ++u) {
      std::vector<int> members = tasks_.units(a)[u];
      const std::vector<int>& others = tasks_.units(b)[u];
      members.insert(members.end(), others.begin(), others.end());
      Tasks deps = recent_[ra].back()[u];
      append(deps, recent_[rb].back()[u]);
      const TaskId id = tasks_.add({kind, StreamKind::DataParallel, members.front(), a, plan_.micro_batches - 1, -1}, seconds,
                                   members, deps);
      reductions_[ra].push_back(id), reductions_[rb].push_back(id);
    }
  }

  TaskId sync() {
    std::vector<int> everyone(static_cast<std::size_t>(tasks_.view().ranks));
    for (std::size_t rank = 0; rank < everyone.size(); ++rank) everyone[rank] = static_cast<int>(rank);
    Tasks deps;
    for (const Tasks& tasks : reductions_) append(deps, tasks);
    return tasks_.add({TaskKind::Sync, StreamKind::Compute, 0, 0, plan_.micro_batches - 1, -1}, 0, everyone, deps);
  }

  void update(int rank, const Tasks& after) {
    const auto r = static_cast<std::size_t>(rank);
    const auto& units = tasks_.units(rank);
    std::vector<Tasks> done(units.size());
    for (std::size_t u = 0; u < units.size(); ++u) {
      done[u] = {tasks_.add({TaskKind::Optimizer, StreamKind::Compute, units[u].front(), rank, plan_.micro_batches - 1, -1},
                            plan_.optimizer_s[r] * tasks_.slowdown(units[u]), units[u], after)};
    }
    if (plan_.overlap_param_gather || plan_.zero == 0 || plan_.zero == 3) return;
    for_units(rank, [&](int stage, int index, const StageComm::Unit& unit) {
      tasks_.collective(TaskKind::ParamGather, unit.gather_s, rank, stage, plan_.micro_batches - 1, index, done);
    });
  }

  const StepPlan& plan_;
  StagePlacement placement_;
  int pp_;
  StepTasks tasks_;
  std::vector<Tasks> forward_in_, backward_in_;
  std::vector<int> first_forward_, last_gradient_;       // micro-batch, per virtual stage
  std::vector<std::vector<std::vector<Tasks>>> recent_;  // last pieces per pipeline rank: [piece][replica]
  std::vector<Tasks> reductions_;                        // per pipeline rank
  std::vector<Tasks> blocking_;                          // reductions that the next pass waits for, per pipeline rank
  std::vector<std::optional<OpenForward>> open_;         // per pipeline rank
  std::vector<std::vector<Tasks>> exchanged_;            // blocking transfers: what the next step waits for, [rank][unit]
};

}  // namespace

double step_period_s(const StepPlan& plan, const StepProgram& step, const Timeline& timeline) {
  if (plan.ranks_meet) return timeline.makespan_s;
  std::vector<double> first(static_cast<std::size_t>(step.ranks), -1);
  double longest = 0;
  for (TaskId task = 0; task < step.tasks.size(); ++task) {
    step.program.for_streams(task, [&](StreamId stream) {
      double& began = first[stream / kStreamsPerRank];
      if (began < 0) began = timeline.start_s[task];  // a rank's tasks stand in its own order
      began = std::min(began, timeline.start_s[task]);
      longest = std::max(longest, timeline.end_s[task] - began);
    });
  }
  return longest;
}

StepProgram build_folded(const StepPlan& plan) {
  return StepBuilder(plan, RankView::folded(static_cast<int>(plan.order.size()))).build();
}

StepProgram build_expanded(const StepPlan& plan, const RankGrid& grid) {
  return StepBuilder(plan, RankView::expanded(grid)).build();
}

}  // namespace dts

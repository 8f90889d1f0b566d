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
  explicit StepBuilder(const StepPlan& plan) : plan_(plan), placement_(plan.placement()), pp_(placement_.pp), tasks_(pp_) {
    const auto slots = plan.stages.size() * static_cast<std::size_t>(plan.micro_batches);
    forward_in_.resize(slots), backward_in_.resize(slots);
    const auto ranks = static_cast<std::size_t>(pp_);
    recent_.resize(ranks), reductions_.resize(ranks), blocking_.resize(ranks), open_.resize(ranks);
    exchanged_.resize(ranks);
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

  // What feeds a pass, per (virtual stage, micro-batch).
  Tasks& arrivals(std::vector<Tasks>& all, int stage, int micro_batch) {
    return all[static_cast<std::size_t>(stage) * static_cast<std::size_t>(plan_.micro_batches) +
               static_cast<std::size_t>(micro_batch)];
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
    if (plan_.blocking_p2p) exchanged_[r] = {recent_[r].back()};
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
      return Tasks{collective(TaskKind::ParamGather, pieces[i].gather_s, rank, stage, pass.micro_batch, pieces[i].index,
                              waits ? Tasks{recent[recent.size() - back]} : Tasks{})};
    };
    Tasks ready = gather(0, 2);
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      const bool more = i + 1 < pieces.size();
      Tasks next;
      const bool early = ahead && plan_.gather_before_reduce;
      if (more && early) next = gather(i + 1, 1);
      const TaskId done = compute(pass, rank, stage, pieces[i], ready, place.hidden, i == 0, i == 0 ? partner : nullptr);
      if (pieces[i].reduce_s >= 0) {
        const TaskId reduced = collective(TaskKind::GradReduce, pieces[i].reduce_s, rank, stage, pass.micro_batch,
                                          pieces[i].index, {done});
        reductions_[r].push_back(reduced);
        if (!plan_.overlap_grad_reduce) blocking_[r] = {reduced};
      }
      recent.push_back(done);
      if (more && !early) next = gather(i + 1, 2);
      ready = std::move(next);
    }
  }

  // One data-parallel collective of a pipeline rank.
  TaskId collective(TaskKind kind, double seconds, int rank, int stage, int micro_batch, int piece, const Tasks& deps) {
    return tasks_.add({kind, StreamKind::DataParallel, rank, stage, micro_batch, piece}, seconds, {rank}, deps);
  }

  // One piece; the first of a pass also waits for what feeds it, and its partner.
  TaskId compute(const Pass& pass, int rank, int stage, const Piece& piece, const Tasks& gathers, double hidden, bool first,
                 const Pass* partner) {
    Tasks deps = gathers;
    append(deps, blocking_[static_cast<std::size_t>(rank)]);
    if (first) append_inputs(deps, pass, stage);
    if (first && plan_.blocking_p2p) append(deps, exchanged_[static_cast<std::size_t>(rank)]);
    if (partner) append_inputs(deps, *partner, placement_.stage_of(rank, partner->chunk));
    const TaskInfo info{task_of(pass.kind), StreamKind::Compute, rank, stage, pass.micro_batch, piece.index, hidden};
    return tasks_.add(info, piece.seconds, {rank}, deps, piece.own_s);
  }

  void append_inputs(Tasks& deps, const Pass& pass, int stage) {
    if (pass.kind == PassKind::BackwardWeight) return;
    append(deps, arrivals(pass.kind == PassKind::Forward ? forward_in_ : backward_in_, stage, pass.micro_batch));
  }

  void send(bool forward, int rank, int stage, int micro_batch, TaskId done) {
    const int to = forward ? placement_.next(stage) : placement_.previous(stage);
    if (to < 0) return;
    const bool stays = placement_.rank_of(to) == rank;  // the turn of a wave
    if (stays) {
      arrivals(forward ? forward_in_ : backward_in_, to, micro_batch).push_back(done);
    } else if (!plan_.blocking_p2p) {
      transfer({forward, stage, to, micro_batch}, {done});
    }
  }

  void transfer(const Transfer& t, const Tasks& after) {
    const StageComm& comm = plan_.comm[static_cast<std::size_t>(t.from)];
    const StreamKind stream = t.forward ? StreamKind::SendForward : StreamKind::SendBackward;
    const int rank = placement_.rank_of(t.from);
    arrivals(t.forward ? forward_in_ : backward_in_, t.to, t.micro_batch)
        .push_back(tasks_.add({TaskKind::PipelineSend, stream, rank, t.from, t.micro_batch, -1},
                              t.forward ? comm.send_forward_s : comm.send_backward_s, {rank}, after));
  }

  // A blocking transfer starts when both ranks have come to it.
  void meet(const Transfer& t) {
    Tasks after = exchanged_[static_cast<std::size_t>(placement_.rank_of(t.from))];
    append(after, exchanged_[static_cast<std::size_t>(placement_.rank_of(t.to))]);
    transfer(t, after);
  }

  void finish_exchange(int rank, const std::vector<Transfer>& group) {
    Tasks done;
    for (const Transfer& t : group) append(done, arrivals(t.forward ? forward_in_ : backward_in_, t.to, t.micro_batch));
    exchanged_[static_cast<std::size_t>(rank)] = std::move(done);
  }

  // After the last pass: reductions that did not overlap, tied embeddings, the norm's global meeting, the update.
  void emit_tail() {
    for (int rank = 0; rank < pp_ && plan_.zero < 3 && !plan_.overlap_grad_reduce; ++rank) {
      const auto r = static_cast<std::size_t>(rank);
      for_units(rank, [&](int stage, int index, const StageComm::Unit& unit) {
        reductions_[r].push_back(collective(TaskKind::GradReduce, unit.reduce_s, rank, stage, plan_.micro_batches - 1, index,
                                            {recent_[r].back()}));
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
    const TaskId id = tasks_.add({kind, StreamKind::DataParallel, a, a, plan_.micro_batches - 1, -1}, seconds, {a, b},
                                 {recent_[ra].back(), recent_[rb].back()});
    reductions_[ra].push_back(id), reductions_[rb].push_back(id);
  }

  TaskId sync() {
    std::vector<int> everyone(static_cast<std::size_t>(pp_));
    for (int rank = 0; rank < pp_; ++rank) everyone[static_cast<std::size_t>(rank)] = rank;
    Tasks deps;
    for (const Tasks& tasks : reductions_) append(deps, tasks);
    return tasks_.add({TaskKind::Sync, StreamKind::Compute, 0, 0, plan_.micro_batches - 1, -1}, 0, everyone, deps);
  }

  void update(int rank, const Tasks& after) {
    const double seconds = plan_.optimizer_s[static_cast<std::size_t>(rank)];
    const TaskId done = tasks_.add({TaskKind::Optimizer, StreamKind::Compute, rank, rank, plan_.micro_batches - 1, -1}, seconds,
                                   {rank}, after, seconds);
    if (plan_.overlap_param_gather || plan_.zero == 0 || plan_.zero == 3) return;
    for_units(rank, [&](int stage, int index, const StageComm::Unit& unit) {
      collective(TaskKind::ParamGather, unit.gather_s, rank, stage, plan_.micro_batches - 1, index, {done});
    });
  }

  const StepPlan& plan_;
  StagePlacement placement_;
  int pp_;
  StepTasks tasks_;
  std::vector<Tasks> forward_in_, backward_in_;          // per virtual stage and micro-batch
  std::vector<int> first_forward_, last_gradient_;       // micro-batch, per virtual stage
  std::vector<Tasks> recent_;                            // last pieces, per pipeline rank
  std::vector<Tasks> reductions_;                        // per pipeline rank
  std::vector<Tasks> blocking_;                          // reductions that the next pass waits for, per pipeline rank
  std::vector<std::optional<OpenForward>> open_;         // per pipeline rank
  std::vector<Tasks> exchanged_;                         // blocking transfers: what the next step waits for, per pipeline rank
};

}  // namespace

StepProgram build_folded(const StepPlan& plan) { return StepBuilder(plan).build(); }

}  // namespace dts

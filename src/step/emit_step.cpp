#include "step/step_program.hpp"

#include <algorithm>
#include <optional>

#include "schedule/blocking_walk.hpp"
#include "schedule/check_order.hpp"
#include "schedule/walk.hpp"
#include "step/data_parallel_tasks.hpp"
#include "step/pass_memo.hpp"
#include "step/step_tasks.hpp"

namespace dts {

namespace {

// Emits passes rank by rank; a pass waits until what feeds it has been emitted.
class StepBuilder {
 public:
  StepBuilder(const StepPlan& plan, TaskSink& sink) : plan_(plan), placement_(plan.placement()), pp_(placement_.pp), sink_(sink), tasks_(sink), parallel_(plan, tasks_) {
    const auto slots = plan.stages.size() * static_cast<std::size_t>(plan.micro_batches);
    forward_in_.resize(slots, kNoTask), backward_in_.resize(slots, kNoTask);
    const auto ranks = static_cast<std::size_t>(pp_);
    open_.resize(ranks), exchanged_.resize(ranks), mark_.resize(ranks);
    memo_ = sink.memo(parallel_.kept());
  }

  std::vector<TaskInfo> build() && {
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
    return std::move(parallel_).finish();
  }

 private:
  struct OpenForward {  // of a pair whose backward follows
    int stage, micro_batch;
    double hidden;
  };

  std::size_t slot(int stage, int micro_batch) const {
    return static_cast<std::size_t>(stage) * static_cast<std::size_t>(plan_.micro_batches) + static_cast<std::size_t>(micro_batch);
  }
  // What feeds a pass.
  TaskId& arrival(bool forward, int stage, int micro_batch) {
    return (forward ? forward_in_ : backward_in_)[slot(stage, micro_batch)];
  }

  // Both passes of a pair start when the inputs of both are there, and their outputs leave when both are done.
  void emit(const Pass& pass, int rank, int stage) {
    const auto index = static_cast<std::size_t>(&pass - plan_.order[static_cast<std::size_t>(rank)].data());
    mark_[static_cast<std::size_t>(rank)] = sink_.at_pass(rank, index);
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
    const TaskId done = parallel_.last(rank);
    if (open) send(true, rank, open->stage, open->micro_batch, done);
    open.reset();
    if (pass.kind == PassKind::Forward) send(true, rank, stage, pass.micro_batch, done);
    if (gives_input_gradient(pass.kind)) send(false, rank, stage, pass.micro_batch, done);
    if (plan_.blocking_p2p) exchanged_[static_cast<std::size_t>(rank)] = FewTasks{done};
  }

  void run(const Pass& pass, int rank, int stage, double hidden, const Pass* partner) {
    const DataParallelTasks::Opening opening = parallel_.look(pass, rank, stage, hidden);
    if (memo_ && !partner && opening.alone()) return remember(opening, hidden);
    if (memo_) memo_->forget(rank);
    issue(opening, hidden, partner);
  }

  void issue(const DataParallelTasks::Opening& opening, double hidden, const Pass* partner) {
    DataParallelTasks::Flow flow = parallel_.open(opening);
    for (std::size_t i = 0; i < flow.pieces.size(); ++i) {
      const FewTasks waits = parallel_.before(flow, i);
      const TaskId done = compute(opening.pass, opening.rank, opening.stage, flow.pieces[i], waits, hidden, i == 0, i == 0 ? partner : nullptr);
      parallel_.after(flow, i, done);
    }
  }

  void remember(const DataParallelTasks::Opening& opening, double hidden) {
    const int rank = opening.rank, stage = opening.stage, micro_batch = opening.pass.micro_batch;
    RankTasks& tasks = parallel_.tasks(rank);
    TaskId& offloaded = parallel_.offloaded(stage, micro_batch);
    const PassMemo::Call call{rank, &opening.pieces, last_input(opening.pass, rank, stage),
                              gives_input_gradient(opening.pass.kind) ? offloaded : kNoTask};
    PassMemo::Outcome out;
    if (memo_->repeat(call, tasks, out)) {
      if (out.offloaded != kNoTask) offloaded = out.offloaded;
      return;
    }
    memo_->begin(call, tasks);
    issue(opening, hidden, nullptr);
    memo_->end(tasks, {tasks.recent.back(), offloaded});
  }

  // The first of those that end last.
  TaskId last_input(const Pass& pass, int rank, int stage) {
    FewTasks inputs;
    add_inputs(inputs, pass, stage);
    if (plan_.blocking_p2p) inputs.add(exchanged_[static_cast<std::size_t>(rank)]);
    TaskId last = kNoTask;
    for (std::size_t i = 0; i < inputs.size(); ++i) last = memo_->later(last, inputs.data()[i]);
    return last;
  }

  // One piece; the first of a pass also waits for what feeds it, and its partner.
  TaskId compute(const Pass& pass, int rank, int stage, const Piece& piece, const FewTasks& waits, double hidden, bool first,
                 const Pass* partner) {
    FewTasks deps = waits;
    if (first) add_inputs(deps, pass, stage);
    if (first && plan_.blocking_p2p) deps.add(exchanged_[static_cast<std::size_t>(rank)]);
    if (partner) add_inputs(deps, *partner, placement_.stage_of(rank, partner->chunk));
    const TaskInfo info{task_of(pass.kind), StreamKind::Compute, rank, stage, pass.micro_batch, piece.index, hidden, false, piece.pass_class};
    return tasks_.add(info, piece.seconds, rank, deps, piece.own_s);
  }

  void add_inputs(FewTasks& deps, const Pass& pass, int stage) {
    if (pass.kind != PassKind::BackwardWeight) deps.add(arrival(pass.kind == PassKind::Forward, stage, pass.micro_batch));
  }

  void send(bool forward, int rank, int stage, int micro_batch, TaskId done) {
    const int to = forward ? placement_.next(stage) : placement_.previous(stage);
    if (to < 0) return;
    const bool stays = placement_.rank_of(to) == rank;  // the turn of a wave
    if (stays) {
      arrival(forward, to, micro_batch) = done;
    } else if (!plan_.blocking_p2p) {
      transfer({forward, stage, to, micro_batch}, FewTasks{done});
    }
  }

  void transfer(const Transfer& t, const FewTasks& after) {
    const StageComm& comm = plan_.comm[static_cast<std::size_t>(t.from)];
    const StreamKind stream = t.forward ? StreamKind::SendForward : StreamKind::SendBackward;
    const int rank = placement_.rank_of(t.from);
    arrival(t.forward, t.to, t.micro_batch) =
        tasks_.add({TaskKind::PipelineSend, stream, rank, t.from, t.micro_batch, -1},
                   t.forward ? comm.send_forward_s : comm.send_backward_s, rank, after);
  }

  // A blocking transfer starts when both ranks have come to it.
  void meet(const Transfer& t) {
    const auto from = static_cast<std::size_t>(placement_.rank_of(t.from)), to = static_cast<std::size_t>(placement_.rank_of(t.to));
    FewTasks after = exchanged_[from];
    after.add(exchanged_[to]);
    sink_.at_mark(std::max(mark_[from], mark_[to]));
    transfer(t, after);
  }

  void finish_exchange(int rank, const std::vector<Transfer>& group) {
    FewTasks done;
    for (const Transfer& t : group) done.add(arrival(t.forward, t.to, t.micro_batch));
    exchanged_[static_cast<std::size_t>(rank)] = done;
  }

  // After the last pass: reductions that did not overlap, tied embeddings, the norm's global meeting, the update.
  void emit_tail() {
    sink_.at_tail();
    parallel_.reduce_rest();
    for (int rank = 0; rank < static_cast<int>(plan_.copy_reduce_s.size()) / 2; ++rank) {
      reduce_between(TaskKind::CopyReduce, plan_.copy_reduce_s[static_cast<std::size_t>(rank)], rank, pp_ - 1 - rank);
    }
    if (plan_.tied_reduce_s > 0 && pp_ > 1) reduce_between(TaskKind::TiedReduce, plan_.tied_reduce_s, 0, pp_ - 1);
    parallel_.update(plan_.ranks_meet ? sync() : kNoTask);
  }

  // Gradients of parameters that two pipeline ranks both hold. Its stream runs it after the ranks' other reductions.
  void reduce_between(TaskKind kind, double seconds, int a, int b) {
    const TaskId id = tasks_.add({kind, StreamKind::DataParallel, a, a, plan_.micro_batches - 1, -1}, seconds, std::vector<int>{a, b},
                                 FewTasks{parallel_.last(a), parallel_.last(b)});
    parallel_.wait_for(a, id), parallel_.wait_for(b, id);
  }

  TaskId sync() {
    std::vector<int> everyone(static_cast<std::size_t>(pp_));
    for (int rank = 0; rank < pp_; ++rank) everyone[static_cast<std::size_t>(rank)] = rank;
    Tasks deps;
    for (int rank : everyone) {
      const FewTasks leaving = parallel_.leaving(rank);
      deps.insert(deps.end(), leaving.data(), leaving.data() + leaving.size());
    }
    return tasks_.add({TaskKind::Sync, StreamKind::Compute, 0, 0, plan_.micro_batches - 1, -1}, 0, everyone, deps);
  }

  const StepPlan& plan_;
  StagePlacement placement_;
  int pp_;
  TaskSink& sink_;
  StepTasks tasks_;
  DataParallelTasks parallel_;
  Tasks forward_in_, backward_in_;                       // per virtual stage and micro-batch
  PassMemo* memo_ = nullptr;
  std::vector<int> mark_;                                // of the last pass, per pipeline rank
  std::vector<std::optional<OpenForward>> open_;         // per pipeline rank
  std::vector<FewTasks> exchanged_;                      // blocking transfers: what the next step waits for, per pipeline rank
};

}  // namespace

std::vector<TaskInfo> emit_step(const StepPlan& plan, TaskSink& sink) { return StepBuilder(plan, sink).build(); }

}  // namespace dts

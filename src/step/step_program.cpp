#include "step/step_program.hpp"

#include <algorithm>
#include <string>

#include "error.hpp"
#include "step/pieces.hpp"
#include "step/rank_view.hpp"

namespace dts {

namespace {

using Tasks = std::vector<TaskId>;

StreamId stream_of(int rank, StreamKind kind) {
  return static_cast<StreamId>(rank) * kStreamsPerRank + static_cast<StreamId>(kind);
}

std::vector<StreamId> streams_of(const std::vector<int>& ranks, StreamKind kind) {
  std::vector<StreamId> streams;
  streams.reserve(ranks.size());
  for (int rank : ranks) streams.push_back(stream_of(rank, kind));
  return streams;
}

// Emits passes rank by rank; a pass waits until the transfer that feeds it has been emitted.
class StepBuilder {
 public:
  StepBuilder(const StepPlan& plan, RankView view)
      : plan_(plan), view_(std::move(view)), pp_(static_cast<int>(plan.order.size())) {
    out_.program = Program(static_cast<StreamId>(view_.ranks) * kStreamsPerRank);
    out_.ranks = view_.ranks;
    const auto stages = plan.stages.size();
    const auto slots = stages * static_cast<std::size_t>(plan.micro_batches) * view_.units[0].size();
    forward_in_.resize(slots), backward_in_.resize(slots);
    recent_.assign(static_cast<std::size_t>(pp_), {});
    reductions_.assign(static_cast<std::size_t>(pp_), {});
    blocking_.assign(static_cast<std::size_t>(pp_), {});
  }

  StepProgram build() && {
    emit_passes();
    emit_tail();
    return std::move(out_);
  }

 private:
  // Transfers into a pass, per (virtual stage, micro-batch, replica).
  Tasks& arrivals(std::vector<Tasks>& all, int stage, int micro_batch, std::size_t replica) {
    const auto slot = static_cast<std::size_t>(stage) * static_cast<std::size_t>(plan_.micro_batches) +
                      static_cast<std::size_t>(micro_batch);
    return all[slot * view_.units[0].size() + replica];
  }

  int last_stage() const { return static_cast<int>(plan_.stages.size()) - 1; }

  TaskId add(const TaskInfo& info, double seconds, const std::vector<StreamId>& streams, const Tasks& deps) {
    out_.tasks.push_back(info);
    return out_.program.add(seconds, streams, deps);
  }

  bool ready(const Pass& pass, int stage) {
    const bool forward = pass.kind == PassKind::Forward;
    if (stage == (forward ? 0 : last_stage())) return true;
    return !arrivals(forward ? forward_in_ : backward_in_, stage, pass.micro_batch, 0).empty();
  }

  void emit_passes() {
    std::vector<std::size_t> next(static_cast<std::size_t>(pp_), 0);
    for (bool progress = true; progress;) {
      progress = false;
      for (int rank = 0; rank < pp_; ++rank) {
        const auto& order = plan_.order[static_cast<std::size_t>(rank)];
        std::size_t& at = next[static_cast<std::size_t>(rank)];
        for (; at < order.size() && ready(order[at], order[at].chunk * pp_ + rank); ++at) {
          emit(order[at], rank, order[at].chunk * pp_ + rank);
          progress = true;
        }
      }
    }
    for (int rank = 0; rank < pp_; ++rank) {
      const auto& order = plan_.order[static_cast<std::size_t>(rank)];
      const std::size_t at = next[static_cast<std::size_t>(rank)];
      if (at < order.size()) {
        throw ConfigError("pipeline rank " + std::to_string(rank) + " is stuck before " +
                          (order[at].kind == PassKind::Forward ? "F" : "B") + std::to_string(order[at].micro_batch) +
                          " of chunk " + std::to_string(order[at].chunk) + ": its input never arrives (deadlock)");
      }
    }
  }

  double slowdown(const std::vector<int>& members) const {  // of the slowest member
    double slowest = plan_.slowdown.empty() ? 1 : 0;
    for (std::size_t i = 0; i < members.size() && !plan_.slowdown.empty(); ++i) {
      slowest = std::max(slowest, plan_.slowdown[static_cast<std::size_t>(members[i])]);
    }
    return slowest;
  }

  // One data-parallel collective: a task on every lane of the pipeline rank.
  Tasks collective(TaskKind kind, double seconds, int rank, int stage, int micro_batch, int piece,
                   const std::vector<Tasks>& after) {
    Tasks ids;
    for (const std::vector<int>& lane : view_.lanes[static_cast<std::size_t>(rank)]) {
      Tasks deps;
      int previous = -1;
      for (int member : lane) {  // members of one replica are adjacent: its tasks once are enough
        const int replica = view_.replica_of[static_cast<std::size_t>(member)];
        if (replica == previous || after.empty()) continue;
        const Tasks& tasks = after[static_cast<std::size_t>(replica)];
        deps.insert(deps.end(), tasks.begin(), tasks.end());
        previous = replica;
      }
      ids.push_back(add({kind, StreamKind::DataParallel, lane.front(), stage, micro_batch, piece}, seconds,
                        streams_of(lane, StreamKind::DataParallel), deps));
    }
    return ids;
  }

  // The lane tasks that members of a unit take part in.
  Tasks lanes_of(const std::vector<int>& members, const Tasks& lane_tasks) const {
    Tasks deps;
    for (int member : members) {
      const TaskId task = lane_tasks[static_cast<std::size_t>(view_.lane_of[static_cast<std::size_t>(member)])];
      if (std::find(deps.begin(), deps.end(), task) == deps.end()) deps.push_back(task);
    }
    return deps;
  }

  void emit(const Pass& pass, int rank, int stage) {
    const auto r = static_cast<std::size_t>(rank);
    const bool forward = pass.kind == PassKind::Forward;
    auto& recent = recent_[r];
    const std::vector<Piece> pieces = pieces_of(plan_, pass, stage);
    // Under ZeRO-3 a gather runs at most one block ahead: its memory frees when the last block but one is done. Without
    // overlap it waits for the block before.
    const bool ahead = plan_.overlap_param_gather;
    const auto gather = [&](std::size_t i, std::size_t back) {
      if (pieces[i].gather_s < 0) return Tasks{};
      if (!ahead) back = 1;
      const bool waits = plan_.zero == 3 && recent.size() >= back;
      return collective(TaskKind::ParamGather, pieces[i].gather_s, rank, stage, pass.micro_batch, pieces[i].index,
                        waits ? recent[recent.size() - back] : std::vector<Tasks>{});
    };
    Tasks ready = gather(0, 2);
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      const bool more = i + 1 < pieces.size();
      Tasks next;
      const bool early = ahead && plan_.gather_before_reduce;
      if (more && early) next = gather(i + 1, 1);
      std::vector<Tasks> done = compute(pass, rank, stage, pieces[i], ready, i == 0);
      if (pieces[i].reduce_s >= 0) {
        const Tasks reduced = collective(TaskKind::GradReduce, pieces[i].reduce_s, rank, stage, pass.micro_batch,
                                         pieces[i].index, done);
        append(reductions_[r], reduced);
        if (!plan_.overlap_grad_reduce) blocking_[r] = reduced;
      }
      recent.push_back(std::move(done));
      if (more && !early) next = gather(i + 1, 2);
      ready = std::move(next);
    }
    send(forward, rank, stage, pass.micro_batch, recent.back());
    if (recent.size() > 4) recent.erase(recent.begin(), recent.end() - 2);
  }

  // One piece on every unit; the first of a pass also waits for the transfers that feed it.
  std::vector<Tasks> compute(const Pass& pass, int rank, int stage, const Piece& piece, const Tasks& gathers, bool first) {
    const bool forward = pass.kind == PassKind::Forward;
    const auto& units = view_.units[static_cast<std::size_t>(rank)];
    std::vector<Tasks> done(units.size());
    for (std::size_t u = 0; u < units.size(); ++u) {
      Tasks deps = gathers.empty() ? Tasks{} : lanes_of(units[u], gathers);
      Tasks& blocking = blocking_[static_cast<std::size_t>(rank)];
      if (!blocking.empty()) append(deps, lanes_of(units[u], blocking));
      if (first) append(deps, arrivals(forward ? forward_in_ : backward_in_, stage, pass.micro_batch, u));
      done[u] = {add({forward ? TaskKind::Forward : TaskKind::Backward, StreamKind::Compute, units[u].front(), stage,
                      pass.micro_batch, piece.index},
                     piece.seconds * slowdown(units[u]), streams_of(units[u], StreamKind::Compute), deps)};
    }
    return done;
  }

  static void append(Tasks& all, const Tasks& more) { all.insert(all.end(), more.begin(), more.end()); }

  void send(bool forward, int rank, int stage, int micro_batch, const std::vector<Tasks>& done) {
    const int to = forward ? stage + 1 : stage - 1;
    if (to < 0 || to > last_stage()) return;
    const StageComm& comm = plan_.comm[static_cast<std::size_t>(stage)];
    const StreamKind stream = forward ? StreamKind::SendForward : StreamKind::SendBackward;
    const auto& units = view_.units[static_cast<std::size_t>(rank)];
    for (std::size_t u = 0; u < units.size(); ++u) {
      Tasks& in = arrivals(forward ? forward_in_ : backward_in_, to, micro_batch, u);
      for (int member : units[u]) {
        in.push_back(add({TaskKind::PipelineSend, stream, member, stage, micro_batch, -1},
                         forward ? comm.send_forward_s : comm.send_backward_s, {stream_of(member, stream)}, done[u]));
      }
    }
  }

  // After the last pass: reductions that did not overlap, tied embeddings, the norm's global meeting, the update.
  void emit_tail() {
    for (int rank = 0; rank < pp_; ++rank) {
      const auto r = static_cast<std::size_t>(rank);
      if (plan_.zero < 3 && !plan_.overlap_grad_reduce) {
        for (int stage = rank; stage <= last_stage(); stage += pp_) {
          const StageComm& comm = plan_.comm[static_cast<std::size_t>(stage)];
          for (std::size_t b = 0; b < comm.units.size(); ++b) {
            append(reductions_[r], collective(TaskKind::GradReduce, comm.units[b].reduce_s, rank, stage,
                                              plan_.micro_batches - 1, static_cast<int>(b), recent_[r].back()));
          }
        }
      }
    }
    if (plan_.tied_reduce_s > 0 && pp_ > 1) tied_reduce();
    const TaskId meeting = sync();
    for (int rank = 0; rank < pp_; ++rank) update(rank, meeting);
  }

  void tied_reduce() {
    for (std::size_t u = 0; u < view_.units[0].size(); ++u) {
      std::vector<int> members = view_.units.front()[u];
      const std::vector<int>& last = view_.units.back()[u];
      members.insert(members.end(), last.begin(), last.end());
      Tasks deps = recent_.front().back()[u];
      append(deps, recent_.back().back()[u]);
      const TaskId id = add({TaskKind::TiedReduce, StreamKind::DataParallel, members.front(), 0, plan_.micro_batches - 1, -1},
                            plan_.tied_reduce_s, streams_of(members, StreamKind::DataParallel), deps);
      reductions_.front().push_back(id), reductions_.back().push_back(id);
    }
  }

  TaskId sync() {
    std::vector<int> everyone(static_cast<std::size_t>(view_.ranks));
    for (int rank = 0; rank < view_.ranks; ++rank) everyone[static_cast<std::size_t>(rank)] = rank;
    Tasks deps;
    for (const Tasks& tasks : reductions_) append(deps, tasks);
    return add({TaskKind::Sync, StreamKind::Compute, 0, 0, plan_.micro_batches - 1, -1}, 0,
               streams_of(everyone, StreamKind::Compute), deps);
  }

  void update(int rank, TaskId meeting) {
    const auto r = static_cast<std::size_t>(rank);
    const auto& units = view_.units[r];
    std::vector<Tasks> done(units.size());
    for (std::size_t u = 0; u < units.size(); ++u) {
      done[u] = {add({TaskKind::Optimizer, StreamKind::Compute, units[u].front(), rank, plan_.micro_batches - 1, -1},
                     plan_.optimizer_s[r] * slowdown(units[u]), streams_of(units[u], StreamKind::Compute), {meeting})};
    }
    if (plan_.overlap_param_gather || plan_.zero == 0 || plan_.zero == 3) return;
    for (int stage = rank; stage <= last_stage(); stage += pp_) {
      const StageComm& comm = plan_.comm[static_cast<std::size_t>(stage)];
      for (std::size_t b = 0; b < comm.units.size(); ++b) {
        collective(TaskKind::ParamGather, comm.units[b].gather_s, rank, stage, plan_.micro_batches - 1, static_cast<int>(b), done);
      }
    }
  }

  const StepPlan& plan_;
  RankView view_;
  int pp_;
  StepProgram out_;
  std::vector<Tasks> forward_in_, backward_in_;
  std::vector<std::vector<std::vector<Tasks>>> recent_;  // last pieces per pipeline rank: [piece][replica]
  std::vector<Tasks> reductions_;                        // per pipeline rank
  std::vector<Tasks> blocking_;                          // reductions that the next pass waits for, per pipeline rank
};

}  // namespace

StepProgram build_folded(const StepPlan& plan) {
  return StepBuilder(plan, RankView::folded(static_cast<int>(plan.order.size()))).build();
}

StepProgram build_expanded(const StepPlan& plan, const RankGrid& grid) {
  return StepBuilder(plan, RankView::expanded(grid)).build();
}

}  // namespace dts

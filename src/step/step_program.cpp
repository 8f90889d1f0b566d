#include "step/step_program.hpp"

#include <algorithm>
#include <string>

#include "error.hpp"
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

  // A contiguous run of blocks executed as one task, with the collectives around it.
  struct Piece {
    double seconds = 0;
    double gather_s = -1, reduce_s = -1;  // < 0: none
    int index = -1;
  };

  std::vector<Piece> pieces(const Pass& pass, int stage) const {
    const auto v = static_cast<std::size_t>(stage);
    const StageCost& cost = plan_.stages[v];
    const StageComm& comm = plan_.comm[v];
    const bool forward = pass.kind == PassKind::Forward;
    const auto block_s = [&](std::size_t b) {
      const BlockCost& block = *cost.blocks[b];
      return forward ? block.forward.total_s : block.recompute.total_s + block.backward.total_s;
    };
    const bool last = pass.micro_batch == plan_.micro_batches - 1, sharded = plan_.zero == 3;
    const bool gather = sharded && plan_.gather_once ? forward && pass.micro_batch == 0
                        : sharded ? forward || plan_.reshard_after_forward
                                : plan_.zero > 0 && forward && pass.micro_batch == 0 && plan_.overlap_param_gather;
    const bool reduce = !forward && (sharded ? plan_.reduce_every_micro_batch || last
                                             : plan_.overlap_grad_reduce && (last || plan_.zero == 2));
    std::vector<Piece> list;
    std::size_t b = 0;
    for (std::size_t u = 0; (gather || reduce || sharded) && u < comm.units.size(); ++u) {
      const StageComm::Unit& unit = comm.units[u];
      const bool kept = sharded && !forward && u + 1 == comm.units.size();  // the last block is still there
      Piece piece{0, gather && !kept ? unit.gather_s : -1, reduce ? unit.reduce_s : -1, static_cast<int>(u)};
      for (; b < unit.end; ++b) piece.seconds += block_s(b);
      list.push_back(piece);
    }
    if (list.empty()) list.push_back({forward ? cost.forward_s() : cost.backward_s(), -1, -1, -1});
    if (!forward) std::reverse(list.begin(), list.end());
    return list;
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
    const auto& units = view_.units[r];
    auto& recent = recent_[r];
    bool first = true;
    for (const Piece& piece : pieces(pass, stage)) {
      Tasks gathers;
      if (piece.gather_s >= 0) {  // at most one block ahead: its memory frees when the last but one block is done
        gathers = collective(TaskKind::ParamGather, piece.gather_s, rank, stage, pass.micro_batch, piece.index,
                             recent.size() < 2 || plan_.zero < 3 ? std::vector<Tasks>{} : recent[recent.size() - 2]);
      }
      std::vector<Tasks> done(units.size());
      for (std::size_t u = 0; u < units.size(); ++u) {
        Tasks deps = gathers.empty() ? Tasks{} : lanes_of(units[u], gathers);
        if (first) {
          const Tasks& in = arrivals(forward ? forward_in_ : backward_in_, stage, pass.micro_batch, u);
          deps.insert(deps.end(), in.begin(), in.end());
        }
        done[u] = {add({forward ? TaskKind::Forward : TaskKind::Backward, StreamKind::Compute, units[u].front(), stage,
                        pass.micro_batch, piece.index},
                       piece.seconds * slowdown(units[u]), streams_of(units[u], StreamKind::Compute), deps)};
      }
      if (piece.reduce_s >= 0) {
        append(reductions_[r], collective(TaskKind::GradReduce, piece.reduce_s, rank, stage, pass.micro_batch, piece.index, done));
      }
      recent.push_back(std::move(done));
      first = false;
    }
    send(forward, rank, stage, pass.micro_batch, recent.back());
    if (recent.size() > 4) recent.erase(recent.begin(), recent.end() - 2);
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
};

}  // namespace

double StageCost::forward_s() const {
  double total = 0;
  for (const BlockCost* block : blocks) total += block->forward.total_s;
  return total;
}

double StageCost::backward_s() const {
  double total = 0;
  for (const BlockCost* block : blocks) total += block->recompute.total_s + block->backward.total_s;
  return total;
}

StepProgram build_folded(const StepPlan& plan) {
  return StepBuilder(plan, RankView::folded(static_cast<int>(plan.order.size()))).build();
}

StepProgram build_expanded(const StepPlan& plan, const RankGrid& grid, int expert_coupled_dp) {
  return StepBuilder(plan, RankView::expanded(grid, expert_coupled_dp)).build();
}

}  // namespace dts

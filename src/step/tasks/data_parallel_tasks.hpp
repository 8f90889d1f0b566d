// Emits what data parallelism and the host add around the compute of a step: parameters gathered ahead, gradients
// reduced behind, copies to and from the host, the update. Nothing here is a formula for what is hidden: every task has
// its stream, its place in the order of issue, and what it waits for.
#pragma once

#include <array>
#include <cstddef>
#include <utility>
#include <vector>

#include "step/tasks/gather_order.hpp"
#include "step/tasks/pieces.hpp"
#include "step/tasks/rank_tasks.hpp"
#include "step/tasks/step_tasks.hpp"

namespace dts {

class DataParallelTasks {
 public:
  DataParallelTasks(const StepPlan& plan, StepTasks& tasks);

  // One pass as it is emitted; valid until the next is opened.
  struct Flow {
    const Pass& pass;
    int rank, stage;
    const std::vector<Piece>& pieces;
    Tasks &gathered, &reloaded;  // per piece; kNoTask: none
    std::size_t done = 0;        // pieces emitted so far

    bool whole() const { return pieces.front().index < 0; }
  };
  // What it takes to open one; nothing is issued yet.
  struct Opening {
    const Pass& pass;
    int rank, stage;
    GatherOrder::Stages stages;  // to gather before it
    bool own, early;             // its own stage among them; gathered before
    const CutPass& cut;

    bool alone() const { return !early && stages.size() == (own ? 1u : 0u); }  // nothing of other passes in it
  };
  // The same in short: whether it gathers its own stage, finds it gathered, reduces, and has nothing of other passes in
  // it. `index`: of the pass in its rank's order.
  struct Place {
    bool own, early, reduces, alone;
  };
  Place place(PassKind kind, int rank, std::size_t index, int stage, int micro_batch) const;
  Opening look(const Pass& pass, int rank, int stage, const Pairing& pair);
  Flow open(const Opening& opening);
  // Before and after the compute of piece i: what it waits for, and its task.
  FewTasks before(Flow& flow, std::size_t i);
  void after(Flow& flow, std::size_t i, TaskId done);

  TaskId last(int rank) const { return at(rank).recent.back(); }  // compute
  RankTasks& tasks(int rank) { return at(rank); }
  KeptTasks kept() const;
  bool reduces_last() const;  // every stage's gradients are complete with the last micro-batch
  // Whether gathers or reloads are issued ahead of a pass that comes after so many of a rank.
  bool fetches(int rank, std::size_t passes) const {
    return plan_.zero == 3 || plan_.offloads_activations || passes < order_.last(rank);
  }
  // The last copy of a stage's activations to the host.
  TaskId& offloaded(int stage, int micro_batch) {
    return offloaded_[static_cast<std::size_t>(stage) * static_cast<std::size_t>(plan_.micro_batches) +
                      static_cast<std::size_t>(micro_batch)];
  }
  void wait_for(int rank, TaskId reduction) { at(rank).leaving[0] = reduction; }

  void reduce_rest();                // gradients that were not reduced beside compute
  FewTasks leaving(int rank) const;  // what the update waits for
  void update(TaskId meeting);       // of all ranks; kNoTask: each rank goes on when its own gradients are there
  std::vector<TaskInfo> finish() && { return std::move(pieces_).finish(); }

 private:
  struct UnitPlace {
    int rank, stage, index;
  };
  RankTasks& at(int rank) { return ranks_[static_cast<std::size_t>(rank)]; }
  const RankTasks& at(int rank) const { return ranks_[static_cast<std::size_t>(rank)]; }
  bool blocking() const { return !plan_.overlap_grad_reduce && plan_.zero >= 2; }  // compute waits for each reduction
  const StageComm::Unit& unit(int stage, int index) const {
    return plan_.comm[static_cast<std::size_t>(stage)].units[static_cast<std::size_t>(index)];
  }

  TaskId& offloaded(const Flow& flow) { return offloaded(flow.stage, flow.pass.micro_batch); }
  GatherOrder::Stages gathered_before(int rank, std::size_t pass) const {
    return has_units_ ? order_.before(rank, pass) : GatherOrder::Stages{nullptr, nullptr};
  }
  bool reduces(PassKind kind, int micro_batch, int stage) const;
  BackwardPrefetch prefetch(const Flow& flow) const;
  std::size_t ahead() const {
    return static_cast<std::size_t>(plan_.overlap_param_gather && plan_.gather_ahead > 0 ? plan_.gather_ahead : 1);
  }
  // The piece's parameters, once the unit `ahead + 1` before it has made room.
  void gather(Flow& flow, std::size_t piece, int ahead);
  void gather_own(Flow& flow, bool all_at_once);
  void gather_stage(const Flow& flow, int stage);
  // Where the unit has room: on the device, and one and two units earlier on its way there.
  using Rooms = std::array<TaskId, 3>;
  TaskId gather_unit(const Flow& flow, int stage, int index, const Rooms& rooms);
  void offload(const Flow& flow, const Piece& piece, TaskId done);
  void reload(Flow& flow, std::size_t piece);
  TaskId room_for(const Flow& flow, std::size_t piece, int ahead) const;
  void reduce(int rank, int stage, int micro_batch, int index, TaskId done);
  TaskId add(const TaskInfo& info, double seconds, const FewTasks& after);  // on the rank of the task
  void update(int rank, const FewTasks& after);
  void staged_update(int rank, const FewTasks& after);
  TaskId read_states(const UnitPlace& place, const FewTasks& after);
  void gather_late(int rank, int stage, int index, TaskId done);

  template <class Visit>
  void for_units(int rank, Visit visit) const {
    for (int chunk = 0; chunk < placement_.chunks; ++chunk) {
      const int stage = placement_.stage_of(rank, chunk);
      const std::size_t count = plan_.comm[static_cast<std::size_t>(stage)].units.size();
      for (std::size_t u = 0; u < count; ++u) visit(stage, static_cast<int>(u));
    }
  }

  const StepPlan& plan_;
  StagePlacement placement_;
  StepTasks& tasks_;
  bool has_units_;
  GatherOrder order_;
  PieceBook pieces_;
  Tasks gathered_, reloaded_;       // of the pass that is open
  std::vector<int> last_gradient_;  // micro-batch, per virtual stage
  std::vector<Tasks> issued_;       // gathers ahead of their pass: [stage][unit]
  Tasks offloaded_;                 // last copy of a stage's activations: [stage * micro-batches + micro-batch]
  std::vector<RankTasks> ranks_;
};

// Sharded gradients cannot wait for the last micro-batch; others do, and then for the end without overlap.
inline bool DataParallelTasks::reduces(PassKind kind, int micro_batch, int stage) const {
  if (!gives_weight_gradient(kind)) return false;
  const bool last = last_gradient_[static_cast<std::size_t>(stage)] == micro_batch;
  if (plan_.zero == 3) return plan_.reduce_every_micro_batch || last;
  return plan_.zero == 2 || (plan_.overlap_grad_reduce && last);
}

inline DataParallelTasks::Place DataParallelTasks::place(PassKind kind, int rank, std::size_t index, int stage,
                                                         int micro_batch) const {
  const GatherOrder::Stages stages = gathered_before(rank, index);
  const bool own = stages.size() > 0 && *stages.begin() == stage;
  const bool early = !issued_[static_cast<std::size_t>(stage)].empty();
  return {own, early, reduces(kind, micro_batch, stage), !early && stages.size() == (own ? 1u : 0u)};
}

}  // namespace dts

// One training step as a program. Streams of a rank: compute, data-parallel collectives (one after the other),
// all-reduces between replicas of shards, one per direction of pipeline transfers and of copies between device and
// host, and one queue of reads and writes behind the host. A chunk pass is one task; it is cut into per-block or
// per-bucket pieces only where a collective or a copy starts or is awaited in its middle. The program is folded: one
// rank per pipeline stage stands for all ranks of the stage, and every rank runs its tasks in this order. Where ranks
// differ, the same program is executed for many of them at once (engine/spread.hpp).
#pragma once

#include <algorithm>
#include <vector>

#include "engine/program.hpp"
#include "parallel/profile.hpp"
#include "parallel/stage_map.hpp"
#include "schedule/pipeline.hpp"
#include "schedule/shared_order.hpp"
#include "shared_list.hpp"
#include "step/plan/stage_cost.hpp"
#include "step/tasks/task_info.hpp"

namespace dts {

// The data-parallel and pipeline work of one virtual stage.
struct StageComm {
  // Blocks, or parts of them, between two points where something starts or is awaited, in forward order: one block
  // under ZeRO-3, a bucket otherwise. `end` is the first block after it, of which these shares belong to it. Negative
  // seconds: no such task.
  struct Unit {
    std::size_t end = 0;
    double forward_share = 0, backward_share = 0;
    double gather_s = 0, regather_s = -1;  // of its parameters, before forward and backward; < 0: as before forward
    double reduce_s = 0, replica_s = -1;   // of its gradients; then between replicas of the shards
    std::vector<CollectiveCall> gather, regather, reduce, replica;
    double held = 0;  // share of the multiprocessors that they hold, at most
    // Copies between device and host, and the update of what is offloaded (< 0: none is).
    double grad_offload_s = -1, update_s = -1, param_upload_s = -1, activation_copy_s = -1;
    double state_upload_s = -1, state_download_s = -1, state_bytes = 0;  // of its optimizer states on one rank
    // Between the host and the tier behind it.
    double grad_write_s = -1, state_read_s = -1, state_write_s = -1, param_read_s = -1, activation_write_s = -1,
           activation_read_s = -1;
  };
  SharedList<Unit> units;                          // of one kind of stage
  double send_forward_s = 0, send_backward_s = 0;  // to the next / previous virtual stage
};

struct StepPlan {
  int micro_batches = 1;          // in the order
  int skipped_micro_batches = 0;  // further ones that repeat what the order has (schedule/repeated_ops.hpp)
  int period = 0;                 // of the order, in micro-batches; 0: it has none (schedule/windows.hpp)
  bool lockstep = false;          // its ranks can run in lockstep (step/run/lockstep_run.hpp)
  SharedOrder order;
  StageMap stage_map = StageMap::Loop;
  std::vector<StageCost> stages;  // per virtual stage
  std::vector<StageComm> comm;    // per virtual stage
  std::vector<int> alike;         // per virtual stage: the first with the same blocks and units; empty: each is its own
  double tied_reduce_s = 0;       // gradient of tied embeddings between first and last stage
  double send_bytes = 0;          // one boundary tensor, one rank
  double send_gather_bytes = 0;  // of that tensor whole, gathered over tensor parallelism after each transfer; 0 = none
  bool interference = false;     // compute slows beside data-parallel collectives
  bool ranks_meet = true;        // for the gradient norm, before the update
  bool blocking_p2p = false;     // ranks wait for their transfers (schedule/blocking_walk.hpp)
  double tied_reduce_bytes = 0;
  // Bidirectional: what ranks r and pp-1-r, which hold the same two stages, reduce between them; per pipeline rank.
  std::vector<double> copy_reduce_s, copy_reduce_bytes;
  std::vector<double> optimizer_s;  // per pipeline rank
  int zero = 0;
  bool overlap_grad_reduce = true, overlap_param_gather = true, reshard_after_forward = true;
  bool reduce_every_micro_batch = false;
  BackwardPrefetch backward_prefetch = BackwardPrefetch::Pre;  // ZeRO-3
  int gather_ahead = 1;          // units gathered ahead of the one in use; 0 = all at once
  int reductions_in_flight = 0;  // compute waits for the one before so many; 0 = for none
  bool keeps_gathered = false;   // ZeRO-3: parameters stay gathered between passes, gradients are reduced once
  int unsharded_stages = 0;      // ... of so many stages of a rank, those it needs next; 0 = of all
  bool offload_optimizer = false, upload_before_gather = false;  // updates run unit by unit; shards lie elsewhere
  bool offloads_activations = false, reads_storage = false;      // ... a tier behind the host

  StagePlacement placement() const {
    const int pp = static_cast<int>(order.size());
    return {stage_map, pp, static_cast<int>(stages.size()) / pp};
  }
  bool has_units() const {  // something is gathered, reduced or copied
    return std::any_of(comm.begin(), comm.end(), [](const StageComm& c) { return !c.units.empty(); });
  }
  int like(int stage) const { return alike.empty() ? stage : alike[static_cast<std::size_t>(stage)]; }
  int all_micro_batches() const { return micro_batches + skipped_micro_batches; }
  int micro_batches_per_stage() const { return all_micro_batches() / placement().copies(); }
};

// Blocks of a unit, visit(block, share of its pass that falls into the unit).
template <class Visit>
void for_unit_blocks(const StageComm& comm, std::size_t unit, bool forward, Visit visit) {
  const auto share = [&](const StageComm::Unit& u) { return forward ? u.forward_share : u.backward_share; };
  const StageComm::Unit& last = comm.units[unit];
  std::size_t block = unit == 0 ? 0 : comm.units[unit - 1].end;
  double before = unit == 0 ? 0 : share(comm.units[unit - 1]);  // share of `block` that the unit before has
  for (; block < last.end; ++block, before = 0) visit(block, 1 - before);
  if (share(last) > before) visit(block, share(last) - before);
}

// Blocks that a pass task runs, those of its stage or of its piece: visit(block, share of its pass that the task runs).
template <class Visit>
void for_pass_blocks(const StepPlan& plan, const TaskInfo& pass, Visit visit) {
  const auto v = static_cast<std::size_t>(pass.stage);
  const std::vector<const BlockCost*>& blocks = plan.stages[v].blocks;
  if (pass.piece < 0) {
    for (const BlockCost* block : blocks) visit(*block, 1.0);
    return;
  }
  for_unit_blocks(plan.comm[v], static_cast<std::size_t>(pass.piece), pass.kind == TaskKind::Forward,
                  [&](std::size_t block, double share) { visit(*blocks[block], share); });
}

struct StepProgram {
  Program program;
  std::vector<TaskInfo> tasks;
  std::vector<double> own_s;           // per task: kernels and host waits, which a slow rank stretches
  std::vector<TaskInfo> pass_classes;  // a whole pass of each
};

StepProgram build_folded(const StepPlan& plan);
std::vector<TaskKind> kinds_of(const StepProgram& step);

}  // namespace dts

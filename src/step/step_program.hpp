// One training step as a program. Streams of a rank: compute, data-parallel collectives, and one per direction of
// pipeline transfers. A chunk pass is one task; it is cut into per-block or per-bucket pieces only where a
// data-parallel collective starts or is awaited in its middle.
//
// The program is folded: one rank per pipeline stage stands for all ranks of the stage, and every rank runs its tasks in
// this order. Where ranks differ, the same program is executed for many of them at once (engine/spread.hpp).
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "engine/program.hpp"
#include "engine/spread.hpp"
#include "parallel/stage_map.hpp"
#include "schedule/pipeline.hpp"
#include "step/stage_cost.hpp"

namespace dts {

enum class TaskKind : std::uint8_t {
  Forward, Backward, ParamGather, GradReduce, PipelineSend, TiedReduce, Sync, Optimizer,
  InputGrad, WeightGrad,  // the halves of a backward that a schedule runs apart
  CopyReduce,             // gradients of the two copies that a bidirectional pipeline keeps of the model
};
enum class StreamKind : std::uint8_t { Compute, DataParallel, SendForward, SendBackward };
inline constexpr std::uint32_t kStreamsPerRank = 4;

struct TaskInfo {
  TaskKind kind = TaskKind::Forward;
  StreamKind stream = StreamKind::Compute;
  std::int32_t rank = 0;         // pipeline rank
  std::int32_t stage = 0;        // virtual stage
  std::int32_t micro_batch = 0;
  std::int32_t piece = -1;       // index of the block or bucket within the pass, -1 = the whole pass
  double hidden = 0;             // share of its exposed expert exchanges that runs behind the pass it is paired with
};

// Who takes part in one instance of a task: a unit, a lane, or all ranks. Gradients between two pipeline ranks are
// reduced unit by unit.
inline Space space_of(TaskKind kind) noexcept {
  if (kind == TaskKind::Sync) return Space::World;
  return kind == TaskKind::ParamGather || kind == TaskKind::GradReduce ? Space::Lane : Space::Unit;
}

TaskKind task_of(PassKind kind);
PassKind pass_of(TaskKind kind);  // of a task that computes a pass

// The data-parallel and pipeline work of one virtual stage.
struct StageComm {
  // Blocks whose parameters or gradients travel together, in forward order: one block under ZeRO-3, a bucket otherwise.
  // `end` is the first block after the unit.
  struct Unit {
    std::size_t end = 0;
    double gather_s = 0, reduce_s = 0;
    std::vector<CollectiveCall> gather, reduce;
  };
  std::vector<Unit> units;
  double send_forward_s = 0, send_backward_s = 0;  // to the next / previous virtual stage
};

struct StepPlan {
  int micro_batches = 1;
  PipelineOrder order;
  StageMap stage_map = StageMap::Loop;
  std::vector<StageCost> stages;   // per virtual stage
  std::vector<StageComm> comm;     // per virtual stage
  double tied_reduce_s = 0;        // gradient of tied embeddings between first and last stage
  double send_bytes = 0;           // one boundary tensor, one rank
  double send_gather_bytes = 0;    // of that tensor whole, gathered over tensor parallelism after each transfer; 0 = none
  bool ranks_meet = true;          // for the gradient norm, before the update
  bool blocking_p2p = false;       // ranks wait for their transfers (schedule/blocking_walk.hpp)
  double tied_reduce_bytes = 0;
  // Bidirectional: what ranks r and pp-1-r, which hold the same two stages, reduce between them; per pipeline rank.
  std::vector<double> copy_reduce_s, copy_reduce_bytes;
  std::vector<double> optimizer_s; // per pipeline rank
  int zero = 0;
  bool overlap_grad_reduce = true, overlap_param_gather = true, reshard_after_forward = true;
  bool reduce_every_micro_batch = false;
  bool gather_before_reduce = true;  // ZeRO-3 backward: the next block's gather is issued before this one's reduction
  bool gather_once = false;  // ZeRO-3: parameters stay gathered from the first micro-batch to the last

  StagePlacement placement() const {
    const int pp = static_cast<int>(order.size());
    return {stage_map, pp, static_cast<int>(stages.size()) / pp};
  }
  int micro_batches_per_stage() const { return micro_batches / placement().copies(); }
};

struct StepProgram {
  Program program;
  std::vector<TaskInfo> tasks;
  std::vector<double> own_s;  // per task: kernels and host waits, which a slow rank stretches
};

// Blocks that a pass task runs: those of its stage, or of its piece.
using BlockRange = std::pair<std::vector<const BlockCost*>::const_iterator, std::vector<const BlockCost*>::const_iterator>;
BlockRange blocks_of(const StepPlan& plan, const TaskInfo& pass);

StepProgram build_folded(const StepPlan& plan);

}  // namespace dts

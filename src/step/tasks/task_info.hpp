// The tasks of a step: what they do, on which stream of which rank.
#pragma once

#include <cstdint>

#include "engine/spread.hpp"
#include "schedule/pass.hpp"

namespace dts {

enum class TaskKind : std::uint8_t {
  Forward,
  Backward,
  ParamGather,
  GradReduce,
  PipelineSend,
  TiedReduce,
  Sync,
  Optimizer,
  InputGrad,
  WeightGrad,     // the halves of a backward that a schedule runs apart
  CopyReduce,     // gradients of the two copies that a bidirectional pipeline keeps of the model
  ReplicaReduce,  // gradients between the replicas of a shard (HSDP)
  GradOffload,
  ParamUpload,
  ActivationOffload,
  ActivationReload,  // copies between device and host
  StateUpload,
  StateDownload,  // of optimizer states that the device updates
  TierRead,
  TierWrite,  // between the host and a tier behind it
};
enum class StreamKind : std::uint8_t {
  Compute,
  DataParallel,
  SendForward,
  SendBackward,
  Replica,
  ToHost,
  FromHost,
  Storage
};
inline constexpr std::uint32_t kStreamsPerRank = 8;
inline StreamId stream_of(int rank, StreamKind kind) noexcept {
  return static_cast<StreamId>(rank) * kStreamsPerRank + static_cast<StreamId>(kind);
}

struct TaskInfo {
  TaskKind kind = TaskKind::Forward;
  StreamKind stream = StreamKind::Compute;
  std::int32_t rank = 0;   // pipeline rank
  std::int32_t stage = 0;  // virtual stage
  std::int32_t micro_batch = 0;
  std::int32_t piece = -1;       // index of the block or bucket within the pass, -1 = the whole pass
  double hidden = 0;             // share of its exposed expert exchanges that runs behind the pass it is paired with
  bool regather = false;         // a gather before backward
  std::int32_t pass_class = -1;  // of the first task of a pass: equal ones spend the same (StepProgram::pass_classes)
};

// Who takes part in one instance of a task. Gradients between two pipeline ranks are reduced unit by unit.
inline Space space_of(TaskKind kind) noexcept {
  if (kind == TaskKind::Sync) return Space::World;
  const bool lane = kind == TaskKind::ParamGather || kind == TaskKind::GradReduce || kind == TaskKind::ReplicaReduce;
  return lane ? Space::Lane : Space::Unit;
}

inline bool is_host_copy(StreamKind stream) noexcept {
  return stream == StreamKind::ToHost || stream == StreamKind::FromHost || stream == StreamKind::Storage;
}

TaskKind task_of(PassKind kind);
PassKind pass_of(TaskKind kind);  // of a task that computes a pass

}  // namespace dts

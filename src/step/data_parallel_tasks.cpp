#include "step/data_parallel_tasks.hpp"

#include <algorithm>
#include <utility>

namespace dts {

namespace {

constexpr std::size_t kTapesInTransit = 2;  // blocks whose activations wait for their copy (Transformer Engine's offload)

void keep_last(Tasks& list, std::size_t count) {
  if (list.size() > 2 * count) list.erase(list.begin(), list.end() - static_cast<std::ptrdiff_t>(count));
}

}  // namespace

DataParallelTasks::DataParallelTasks(const StepPlan& plan, StepTasks& tasks)
    : plan_(plan), placement_(plan.placement()), tasks_(tasks), order_(plan), pieces_(plan), last_gradient_(plan.stages.size(), -1),
      issued_(plan.stages.size()),
      offloaded_(plan.stages.size() * static_cast<std::size_t>(plan.micro_batches), kNoTask),
      ranks_(plan.order.size()) {
  for (int rank = 0; rank < placement_.pp; ++rank) {
    for (const Pass& pass : plan.order[static_cast<std::size_t>(rank)]) {
      const auto stage = static_cast<std::size_t>(placement_.stage_of(rank, pass.chunk));
      if (gives_weight_gradient(pass.kind)) last_gradient_[stage] = pass.micro_batch;
    }
  }
}

// Sharded gradients cannot wait for the last micro-batch; others do, and then for the end without overlap.
bool DataParallelTasks::reduces(const Pass& pass, int stage) const {
  if (!gives_weight_gradient(pass.kind)) return false;
  const bool last = last_gradient_[static_cast<std::size_t>(stage)] == pass.micro_batch;
  if (plan_.zero == 3) return plan_.reduce_every_micro_batch || last;
  return plan_.zero == 2 || (plan_.overlap_grad_reduce && last);
}

KeptTasks DataParallelTasks::kept() const {
  return {static_cast<std::size_t>(plan_.gather_ahead) + 3, static_cast<std::size_t>(plan_.reductions_in_flight) + 1, kTapesInTransit,
          plan_.gather_ahead > 0};
}

DataParallelTasks::Opening DataParallelTasks::look(const Pass& pass, int rank, int stage, double hidden) {
  const GatherOrder::Stages stages = order_.before(rank, pass);
  const bool own = stages.size() > 0 && *stages.begin() == stage, early = !issued_[static_cast<std::size_t>(stage)].empty();
  return {pass, rank, stage, stages, own, early, pieces_.pieces(pass, rank, stage, {own || early, reduces(pass, stage), hidden})};
}

DataParallelTasks::Flow DataParallelTasks::open(const Opening& o) {
  const GatherOrder::Stages& stages = o.stages;
  const int stage = o.stage;
  Tasks& issued = issued_[static_cast<std::size_t>(stage)];
  Flow flow{o.pass, o.rank, stage, o.pieces, gathered_, reloaded_};
  const auto gather_others = [&] {
    for (int other : stages) {
      if (other != stage) gather_stage(flow, other);
    }
  };
  if (flow.whole()) {
    gather_others();
    return flow;
  }
  flow.gathered.assign(flow.pieces.size(), kNoTask), flow.reloaded.assign(flow.pieces.size(), kNoTask);
  if (o.early) {
    for (std::size_t i = 0; i < flow.pieces.size(); ++i) {
      flow.gathered[i] = issued[static_cast<std::size_t>(flow.pieces[i].index)];
    }
    issued.clear();
  } else if (o.own) {
    gather_own(flow, stages.size() > 1);
  }
  gather_others();
  reload(flow, 0);
  return flow;
}

FewTasks DataParallelTasks::before(Flow& flow, std::size_t i) {
  if (!flow.whole() && prefetch(flow) == BackwardPrefetch::Pre) gather(flow, i + ahead(), plan_.gather_ahead);
  if (!flow.whole()) reload(flow, i + 1);
  const RankTasks& state = at(flow.rank);
  FewTasks waits;
  // The latest reduction, or the one before as many as may be in flight.
  const std::size_t back = blocking() ? 1 : 1 + static_cast<std::size_t>(plan_.reductions_in_flight);
  const bool limited = blocking() || plan_.reductions_in_flight > 0;
  if (!flow.whole()) waits.add(flow.gathered[i]);
  if (limited && state.reductions.size() >= back) waits.add(state.reductions[state.reductions.size() - back]);
  if (flow.whole()) return waits;
  waits.add(flow.reloaded[i]);
  if (flow.pieces[i].offloads && state.offloads.size() >= kTapesInTransit) {
    waits.add(state.offloads[state.offloads.size() - kTapesInTransit]);
  }
  return waits;
}

void DataParallelTasks::after(Flow& flow, std::size_t i, TaskId done) {
  RankTasks& state = at(flow.rank);
  const Piece& piece = flow.pieces[i];
  keep_last(state.recent, kept().recent);
  state.recent.push_back(done);
  if (flow.whole()) return;
  flow.done = i + 1;
  if (prefetch(flow) == BackwardPrefetch::Post) gather(flow, i + 1, 0);
  if (piece.reduces) reduce(flow.rank, flow.stage, flow.pass.micro_batch, piece.index, done);
  if (piece.offloads) {
    const TaskInfo info{TaskKind::ActivationOffload, StreamKind::ToHost, flow.rank, flow.stage, flow.pass.micro_batch, piece.index};
    state.offloads.push_back(add(info, unit(flow.stage, piece.index).activation_copy_s, {done}));
    offloaded(flow) = state.offloads.back();
  }
  if (prefetch(flow) == BackwardPrefetch::None) gather(flow, i + ahead(), plan_.overlap_param_gather ? plan_.gather_ahead : 0);
  keep_last(state.reductions, kept().reductions);
  keep_last(state.offloads, kTapesInTransit);
}

BackwardPrefetch DataParallelTasks::prefetch(const Flow& flow) const {
  if (!plan_.overlap_param_gather) return BackwardPrefetch::None;
  return flow.pass.kind == PassKind::Forward ? BackwardPrefetch::Pre : plan_.backward_prefetch;
}

// A unit's memory is free once the unit `ahead + 1` before it is done; units of earlier passes count.
TaskId DataParallelTasks::room_for(const Flow& flow, std::size_t piece, int ahead) const {
  const RankTasks& state = at(flow.rank);
  const std::size_t back = flow.done + 1 + static_cast<std::size_t>(ahead) - piece;
  return state.recent.size() < back ? kNoTask : state.recent[state.recent.size() - back];
}

void DataParallelTasks::gather_own(Flow& flow, bool all_at_once) {
  const bool unlimited = all_at_once || (plan_.overlap_param_gather && plan_.gather_ahead == 0);
  for (std::size_t i = 0; unlimited && i < flow.pieces.size(); ++i) {
    if (flow.pieces[i].gather_s >= 0) flow.gathered[i] = gather_unit(flow, flow.stage, flow.pieces[i].index, kNoTask);
  }
  const std::size_t first = unlimited ? 0 : ahead();
  for (std::size_t i = 0; i < first; ++i) gather(flow, i, plan_.overlap_param_gather ? plan_.gather_ahead : 0);
}

void DataParallelTasks::gather(Flow& flow, std::size_t piece, int ahead) {
  if (piece >= flow.pieces.size() || flow.pieces[piece].gather_s < 0 || flow.gathered[piece] != kNoTask) return;
  flow.gathered[piece] = gather_unit(flow, flow.stage, flow.pieces[piece].index, room_for(flow, piece, ahead));
}

// Every unit of a later stage.
void DataParallelTasks::gather_stage(const Flow& flow, int stage) {
  const std::size_t count = plan_.comm[static_cast<std::size_t>(stage)].units.size();
  Tasks& issued = issued_[static_cast<std::size_t>(stage)];
  issued.assign(count, kNoTask);
  for (std::size_t u = 0; u < count; ++u) {
    if (unit(stage, static_cast<int>(u)).gather_s >= 0) issued[u] = gather_unit(flow, stage, static_cast<int>(u), kNoTask);
  }
}

TaskId DataParallelTasks::gather_unit(const Flow& flow, int stage, int index, TaskId after) {
  const StageComm::Unit& u = unit(stage, index);
  TaskInfo info{TaskKind::ParamGather, StreamKind::DataParallel, flow.rank, stage, flow.pass.micro_batch, index};
  info.regather = flow.pass.kind != PassKind::Forward;
  const double seconds = info.regather && u.regather_s >= 0 ? u.regather_s : u.gather_s;
  if (!plan_.upload_before_gather) return add(info, seconds, {after});
  const TaskInfo upload{TaskKind::ParamUpload, StreamKind::FromHost, flow.rank, stage, flow.pass.micro_batch, index};
  return add(info, seconds, {add(upload, u.param_upload_s, {after})});
}

// Activations come back one block ahead.
void DataParallelTasks::reload(Flow& flow, std::size_t piece) {
  if (piece >= flow.pieces.size() || !flow.pieces[piece].reloads) return;
  const int index = flow.pieces[piece].index;
  const TaskInfo info{TaskKind::ActivationReload, StreamKind::FromHost, flow.rank, flow.stage, flow.pass.micro_batch, index};
  flow.reloaded[piece] = add(info, unit(flow.stage, index).activation_copy_s, {room_for(flow, piece, 1), offloaded(flow)});
}

void DataParallelTasks::reduce(int rank, int stage, int micro_batch, int index, TaskId done) {
  const StageComm::Unit& u = unit(stage, index);
  RankTasks& state = at(rank);
  const auto run = [&](TaskKind kind, StreamKind stream, double seconds) {  // one after the other
    done = add({kind, stream, rank, stage, micro_batch, index}, seconds, {done});
    state.leaving[stream == StreamKind::DataParallel ? 0 : stream == StreamKind::Replica ? 1 : 2] = done;
  };
  if (u.reduce_s >= 0) {
    run(TaskKind::GradReduce, StreamKind::DataParallel, u.reduce_s);
    state.reductions.push_back(done);
  }
  if (u.replica_s >= 0) run(TaskKind::ReplicaReduce, StreamKind::Replica, u.replica_s);
  if (u.grad_offload_s >= 0) run(TaskKind::GradOffload, StreamKind::ToHost, u.grad_offload_s);
}

// One stream runs its tasks one after the other: the last of each is enough.
FewTasks DataParallelTasks::leaving(int rank) const {
  FewTasks last;
  for (TaskId task : at(rank).leaving) last.add(task);
  return last;
}

TaskId DataParallelTasks::add(const TaskInfo& info, double seconds, const FewTasks& after) {
  const bool collective = info.stream == StreamKind::DataParallel || info.stream == StreamKind::Replica;
  return tasks_.add(info, seconds, info.rank, after, 0, collective ? unit(info.stage, info.piece).held : 0);
}

void DataParallelTasks::reduce_rest() {
  if (plan_.overlap_grad_reduce || plan_.zero >= 2) return;
  for (int rank = 0; rank < placement_.pp; ++rank) {
    for_units(rank, [&](int stage, int index) { reduce(rank, stage, plan_.micro_batches - 1, index, last(rank)); });
  }
}

void DataParallelTasks::update(TaskId meeting) {
  for (int rank = 0; rank < placement_.pp; ++rank) {
    const FewTasks after = meeting == kNoTask ? leaving(rank) : FewTasks{meeting};
    plan_.offload_optimizer ? host_update(rank, after) : update(rank, after);
  }
}

void DataParallelTasks::update(int rank, const FewTasks& after) {
  const double seconds = plan_.optimizer_s[static_cast<std::size_t>(rank)];
  const TaskId done = tasks_.add({TaskKind::Optimizer, StreamKind::Compute, rank, rank, plan_.micro_batches - 1, -1}, seconds,
                                 rank, after, seconds);
  for_units(rank, [&](int stage, int index) { gather_late(rank, stage, index, done); });
}

// The device waits while its host updates unit by unit; what is updated travels back beside the next unit's update. A
// slow device does not slow its host.
void DataParallelTasks::host_update(int rank, const FewTasks& after) {
  for_units(rank, [&](int stage, int index) {
    const StageComm::Unit& u = unit(stage, index);
    if (u.grad_offload_s < 0) return;
    TaskId done = add({TaskKind::Optimizer, StreamKind::Compute, rank, stage, plan_.micro_batches - 1, index}, u.host_update_s, after);
    if (u.param_upload_s >= 0 && !plan_.upload_before_gather) {
      done = add({TaskKind::ParamUpload, StreamKind::FromHost, rank, stage, plan_.micro_batches - 1, index}, u.param_upload_s, {done});
    }
    gather_late(rank, stage, index, done);
  });
}

void DataParallelTasks::gather_late(int rank, int stage, int index, TaskId done) {
  if (plan_.overlap_param_gather || plan_.zero == 0 || plan_.zero == 3 || unit(stage, index).gather_s < 0) return;
  add({TaskKind::ParamGather, StreamKind::DataParallel, rank, stage, plan_.micro_batches - 1, index}, unit(stage, index).gather_s,
      {done});
}

}  // namespace dts

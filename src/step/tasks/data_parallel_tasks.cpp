#include "step/tasks/data_parallel_tasks.hpp"

#include <algorithm>
#include <utility>

namespace dts {

namespace {

constexpr std::array<TaskId, 3> kEverywhere = {kNoTask, kNoTask, kNoTask};
// Blocks whose activations wait for their copy (Transformer Engine's offload).
constexpr std::size_t kTapesInTransit = 2;

void keep_last(Tasks& list, std::size_t count) {
  if (list.size() > 2 * count) list.erase(list.begin(), list.end() - static_cast<std::ptrdiff_t>(count));
}

}  // namespace

DataParallelTasks::DataParallelTasks(const StepPlan& plan, StepTasks& tasks)
    : plan_(plan), placement_(plan.placement()), tasks_(tasks), has_units_(plan.has_units()), order_(plan),
      pieces_(plan), last_gradient_(plan.stages.size(), -1), issued_(plan.stages.size()),
      offloaded_(plan.stages.size() * static_cast<std::size_t>(plan.micro_batches), kNoTask),
      ranks_(plan.order.size()) {
  for (int rank = 0; rank < placement_.pp; ++rank) {
    const std::vector<Pass>& passes = plan.order[static_cast<std::size_t>(rank)];
    int left = placement_.chunks;
    for (auto pass = passes.rbegin(); pass != passes.rend() && left > 0; ++pass) {
      int& last = last_gradient_[static_cast<std::size_t>(placement_.stage_of(rank, pass->chunk))];
      if (last < 0 && gives_weight_gradient(pass->kind)) last = pass->micro_batch, --left;
    }
  }
}

KeptTasks DataParallelTasks::kept() const {
  // Stages gathered ahead of their pass wait for no room, nor do uploads for them.
  const bool gathers_wait = plan_.gather_ahead > 0 && plan_.zero == 3 && !plan_.keeps_gathered;
  return {static_cast<std::size_t>(plan_.gather_ahead) + 3,
          static_cast<std::size_t>(plan_.reductions_in_flight) + 1,
          kTapesInTransit,
          gathers_wait,
          gathers_wait || !plan_.upload_before_gather,
          plan_.offloads_activations || plan_.upload_before_gather};
}

bool DataParallelTasks::reduces_last() const {
  return std::all_of(last_gradient_.begin(), last_gradient_.end(),
                     [&](int micro_batch) { return micro_batch + 1 == plan_.micro_batches; });
}

DataParallelTasks::Opening DataParallelTasks::look(const Pass& pass, int rank, int stage, const Pairing& pair) {
  const auto index = static_cast<std::size_t>(&pass - plan_.order[static_cast<std::size_t>(rank)].data());
  const Place at = place(pass.kind, rank, index, stage, pass.micro_batch);
  return {pass,
          rank,
          stage,
          gathered_before(rank, index),
          at.own,
          at.early,
          pieces_.cut(pass.kind, rank, stage, {at.own || at.early, at.reduces, pair})};
}

DataParallelTasks::Flow DataParallelTasks::open(const Opening& o) {
  const GatherOrder::Stages& stages = o.stages;
  const int stage = o.stage;
  Tasks& issued = issued_[static_cast<std::size_t>(stage)];
  Flow flow{o.pass, o.rank, stage, o.cut.pieces, gathered_, reloaded_};
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
  if (piece.offloads) offload(flow, piece, done);
  if (prefetch(flow) == BackwardPrefetch::None)
    gather(flow, i + ahead(), plan_.overlap_param_gather ? plan_.gather_ahead : 0);
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
    if (flow.pieces[i].gather_s >= 0)
      flow.gathered[i] = gather_unit(flow, flow.stage, flow.pieces[i].index, kEverywhere);
  }
  const std::size_t first = unlimited ? 0 : ahead();
  for (std::size_t i = 0; i < first; ++i) gather(flow, i, plan_.overlap_param_gather ? plan_.gather_ahead : 0);
}

void DataParallelTasks::gather(Flow& flow, std::size_t piece, int ahead) {
  if (piece >= flow.pieces.size() || flow.pieces[piece].gather_s < 0 || flow.gathered[piece] != kNoTask) return;
  flow.gathered[piece] =
      gather_unit(flow, flow.stage, flow.pieces[piece].index,
                  {room_for(flow, piece, ahead), room_for(flow, piece, ahead + 1), room_for(flow, piece, ahead + 2)});
}

// Every unit of a later stage.
void DataParallelTasks::gather_stage(const Flow& flow, int stage) {
  const std::size_t count = plan_.comm[static_cast<std::size_t>(stage)].units.size();
  Tasks& issued = issued_[static_cast<std::size_t>(stage)];
  issued.assign(count, kNoTask);
  for (std::size_t u = 0; u < count; ++u) {
    if (unit(stage, static_cast<int>(u)).gather_s >= 0)
      issued[u] = gather_unit(flow, stage, static_cast<int>(u), kEverywhere);
  }
}

// Shards that lie elsewhere come up in steps, each a unit ahead of the next: from the tier to the host, to the device,
// gathered (ZeRO-Infinity's prefetcher, arXiv:2104.07857 §6.2).
TaskId DataParallelTasks::gather_unit(const Flow& flow, int stage, int index, const Rooms& rooms) {
  const StageComm::Unit& u = unit(stage, index);
  TaskInfo info{TaskKind::ParamGather, StreamKind::DataParallel, flow.rank, stage, flow.pass.micro_batch, index};
  info.regather = flow.pass.kind != PassKind::Forward;
  const double seconds = info.regather && u.regather_s >= 0 ? u.regather_s : u.gather_s;
  if (!plan_.upload_before_gather) return add(info, seconds, {rooms[0]});
  FewTasks there{rooms[1]};
  if (u.param_read_s >= 0) {
    there.add(add({TaskKind::TierRead, StreamKind::Storage, flow.rank, stage, flow.pass.micro_batch, index},
                  u.param_read_s, {rooms[2]}));
  }
  const TaskInfo upload{TaskKind::ParamUpload, StreamKind::FromHost, flow.rank, stage, flow.pass.micro_batch, index};
  return add(info, seconds, {rooms[0], add(upload, u.param_upload_s, there)});
}

void DataParallelTasks::offload(const Flow& flow, const Piece& piece, TaskId done) {
  const StageComm::Unit& u = unit(flow.stage, piece.index);
  RankTasks& state = at(flow.rank);
  const TaskInfo info{TaskKind::ActivationOffload, StreamKind::ToHost, flow.rank, flow.stage,
                      flow.pass.micro_batch,       piece.index};
  state.offloads.push_back(add(info, u.activation_copy_s, {done}));
  offloaded(flow) = state.offloads.back();
  if (u.activation_write_s < 0) return;
  const TaskInfo write{TaskKind::TierWrite, StreamKind::Storage,   flow.rank,
                       flow.stage,          flow.pass.micro_batch, piece.index};
  offloaded(flow) = add(write, u.activation_write_s, {state.offloads.back()});
}

// Activations come back one block ahead, to the host two.
void DataParallelTasks::reload(Flow& flow, std::size_t piece) {
  if (piece >= flow.pieces.size() || !flow.pieces[piece].reloads) return;
  const int index = flow.pieces[piece].index;
  const StageComm::Unit& u = unit(flow.stage, index);
  TaskId there = offloaded(flow);
  if (u.activation_read_s >= 0) {
    const TaskInfo read{TaskKind::TierRead, StreamKind::Storage, flow.rank, flow.stage, flow.pass.micro_batch, index};
    there = add(read, u.activation_read_s, {room_for(flow, piece, 2), there});
  }
  const TaskInfo info{
      TaskKind::ActivationReload, StreamKind::FromHost, flow.rank, flow.stage, flow.pass.micro_batch, index};
  flow.reloaded[piece] = add(info, u.activation_copy_s, {room_for(flow, piece, 1), there});
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
  if (u.grad_write_s >= 0) run(TaskKind::TierWrite, StreamKind::Storage, u.grad_write_s);
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

}  // namespace dts

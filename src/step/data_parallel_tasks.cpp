#include "step/data_parallel_tasks.hpp"

#include <algorithm>
#include <utility>

namespace dts {

namespace {

constexpr std::size_t kTapesInTransit = 2;  // blocks whose activations wait for their copy (Transformer Engine's offload)

void append_each(std::vector<Tasks>& all, const std::vector<Tasks>& more) {
  for (std::size_t u = 0; u < more.size(); ++u) append(all[u], more[u]);
}

template <class List>
void keep_last(List& list, std::size_t count) {
  if (list.size() > 2 * count) list.erase(list.begin(), list.end() - static_cast<std::ptrdiff_t>(count));
}

}  // namespace

DataParallelTasks::DataParallelTasks(const StepPlan& plan, StepTasks& tasks)
    : plan_(plan), placement_(plan.placement()), tasks_(tasks), order_(plan), last_gradient_(plan.stages.size(), -1),
      issued_(plan.stages.size()), offloaded_(plan.stages.size() * static_cast<std::size_t>(plan.micro_batches)),
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

DataParallelTasks::Flow DataParallelTasks::open(const Pass& pass, int rank, int stage, double hidden) {
  const std::vector<int>& stages = order_.before(rank, pass);
  std::vector<Tasks>& issued = issued_[static_cast<std::size_t>(stage)];
  const bool own = !stages.empty() && stages.front() == stage, early = !issued.empty();
  Flow flow{pass, rank, stage, pieces_of(plan_, pass, stage, {own || early, reduces(pass, stage), hidden}), {}, {}};
  const auto gather_others = [&] {
    for (int other : stages) {
      if (other != stage) gather_stage(flow, other);
    }
  };
  if (flow.whole()) {
    gather_others();
    return flow;
  }
  flow.gathered.resize(flow.pieces.size()), flow.reloaded.resize(flow.pieces.size());
  if (early) {
    for (std::size_t i = 0; i < flow.pieces.size(); ++i) {
      flow.gathered[i] = issued[static_cast<std::size_t>(flow.pieces[i].index)];
    }
    issued.clear();
  } else if (own) {
    gather_own(flow, stages.size() > 1);
  }
  gather_others();
  reload(flow, 0);
  return flow;
}

std::vector<Tasks> DataParallelTasks::before(Flow& flow, std::size_t i) {
  if (!flow.whole() && prefetch(flow) == BackwardPrefetch::Pre) gather(flow, i + ahead(), plan_.gather_ahead);
  if (!flow.whole()) reload(flow, i + 1);
  const auto& units = tasks_.units(flow.rank);
  const RankState& state = at(flow.rank);
  std::vector<Tasks> waits(units.size());
  // The latest reduction, or the one before as many as may be in flight.
  const std::size_t back = blocking() ? 1 : 1 + static_cast<std::size_t>(plan_.reductions_in_flight);
  const bool limited = blocking() || plan_.reductions_in_flight > 0;
  for (std::size_t u = 0; u < units.size(); ++u) {
    if (!flow.whole() && !flow.gathered[i].empty()) append(waits[u], tasks_.lanes_of(units[u], flow.gathered[i]));
    if (limited && state.reductions.size() >= back) {
      append(waits[u], tasks_.lanes_of(units[u], state.reductions[state.reductions.size() - back]));
    }
  }
  if (flow.whole()) return waits;
  if (!flow.reloaded[i].empty()) append_each(waits, flow.reloaded[i]);
  if (flow.pieces[i].offloads && state.offloads.size() >= kTapesInTransit) {
    append_each(waits, state.offloads[state.offloads.size() - kTapesInTransit]);
  }
  return waits;
}

void DataParallelTasks::after(Flow& flow, std::size_t i, std::vector<Tasks> finished) {
  RankState& state = at(flow.rank);
  const Piece& piece = flow.pieces[i];
  keep_last(state.recent, static_cast<std::size_t>(plan_.gather_ahead) + 3);
  state.recent.push_back(std::move(finished));
  if (flow.whole()) return;
  const std::vector<Tasks>& done = state.recent.back();
  flow.done = i + 1;
  if (prefetch(flow) == BackwardPrefetch::Post) gather(flow, i + 1, 0);
  if (piece.reduces) reduce(flow.rank, flow.stage, flow.pass.micro_batch, piece.index, done);
  if (piece.offloads) {
    const TaskInfo info{TaskKind::ActivationOffload, StreamKind::ToHost, 0, flow.stage, flow.pass.micro_batch, piece.index};
    state.offloads.push_back(copy(info, unit(flow.stage, piece.index).activation_copy_s, flow.rank, done));
    Tasks& last = offloaded(flow);
    last.clear();
    for (const Tasks& tasks : state.offloads.back()) append(last, tasks);
  }
  if (prefetch(flow) == BackwardPrefetch::None) gather(flow, i + ahead(), plan_.overlap_param_gather ? plan_.gather_ahead : 0);
  keep_last(state.reductions, static_cast<std::size_t>(plan_.reductions_in_flight) + 1);
  keep_last(state.offloads, kTapesInTransit);
}

BackwardPrefetch DataParallelTasks::prefetch(const Flow& flow) const {
  if (!plan_.overlap_param_gather) return BackwardPrefetch::None;
  return flow.pass.kind == PassKind::Forward ? BackwardPrefetch::Pre : plan_.backward_prefetch;
}

// A unit's memory is free once the unit `ahead + 1` before it is done; units of earlier passes count.
std::vector<Tasks> DataParallelTasks::room_for(const Flow& flow, std::size_t piece, int ahead) const {
  const RankState& state = at(flow.rank);
  const std::size_t back = flow.done + 1 + static_cast<std::size_t>(ahead) - piece;
  return state.recent.size() < back ? std::vector<Tasks>{} : state.recent[state.recent.size() - back];
}

void DataParallelTasks::gather_own(Flow& flow, bool all_at_once) {
  const bool unlimited = all_at_once || (plan_.overlap_param_gather && plan_.gather_ahead == 0);
  for (std::size_t i = 0; unlimited && i < flow.pieces.size(); ++i) {
    if (flow.pieces[i].gather_s >= 0) flow.gathered[i] = gather_unit(flow, flow.stage, flow.pieces[i].index, {});
  }
  const std::size_t first = unlimited ? 0 : ahead();
  for (std::size_t i = 0; i < first; ++i) gather(flow, i, plan_.overlap_param_gather ? plan_.gather_ahead : 0);
}

void DataParallelTasks::gather(Flow& flow, std::size_t piece, int ahead) {
  if (piece >= flow.pieces.size() || flow.pieces[piece].gather_s < 0 || !flow.gathered[piece].empty()) return;
  flow.gathered[piece] = gather_unit(flow, flow.stage, flow.pieces[piece].index, room_for(flow, piece, ahead));
}

// Every unit of a later stage.
void DataParallelTasks::gather_stage(const Flow& flow, int stage) {
  const std::size_t count = plan_.comm[static_cast<std::size_t>(stage)].units.size();
  std::vector<Tasks>& issued = issued_[static_cast<std::size_t>(stage)];
  issued.resize(count);
  for (std::size_t u = 0; u < count; ++u) {
    if (unit(stage, static_cast<int>(u)).gather_s >= 0) issued[u] = gather_unit(flow, stage, static_cast<int>(u), {});
  }
}

Tasks DataParallelTasks::gather_unit(const Flow& flow, int stage, int index, const std::vector<Tasks>& after) {
  const StageComm::Unit& u = unit(stage, index);
  TaskInfo info{TaskKind::ParamGather, StreamKind::DataParallel, 0, stage, flow.pass.micro_batch, index};
  info.regather = flow.pass.kind != PassKind::Forward;
  const double seconds = info.regather && u.regather_s >= 0 ? u.regather_s : u.gather_s;
  if (!plan_.upload_before_gather) return tasks_.collective(info, seconds, flow.rank, after);
  TaskInfo upload{TaskKind::ParamUpload, StreamKind::FromHost, 0, stage, flow.pass.micro_batch, index};
  const std::vector<Tasks> none(tasks_.units(flow.rank).size());
  return tasks_.collective(info, seconds, flow.rank, copy(upload, u.param_upload_s, flow.rank, after.empty() ? none : after));
}

// Activations come back one block ahead.
void DataParallelTasks::reload(Flow& flow, std::size_t piece) {
  if (piece >= flow.pieces.size() || !flow.pieces[piece].reloads) return;
  std::vector<Tasks> waits = room_for(flow, piece, 1);
  waits.resize(tasks_.units(flow.rank).size());
  for (Tasks& unit_waits : waits) append(unit_waits, offloaded(flow));
  const int index = flow.pieces[piece].index;
  const TaskInfo info{TaskKind::ActivationReload, StreamKind::FromHost, 0, flow.stage, flow.pass.micro_batch, index};
  flow.reloaded[piece] = copy(info, unit(flow.stage, index).activation_copy_s, flow.rank, waits);
}

void DataParallelTasks::reduce(int rank, int stage, int micro_batch, int index, const std::vector<Tasks>& done) {
  const StageComm::Unit& u = unit(stage, index);
  const auto& units = tasks_.units(rank);
  RankState& state = at(rank);
  std::vector<Tasks> ready = done;  // per unit of ranks: what its gradients wait for
  const auto run = [&](TaskKind kind, StreamKind stream, double seconds) {
    const Tasks lanes = tasks_.collective({kind, stream, 0, stage, micro_batch, index}, seconds, rank, ready);
    append(state.leaving, lanes);
    for (std::size_t i = 0; i < units.size(); ++i) ready[i] = tasks_.lanes_of(units[i], lanes, stream);
    return lanes;
  };
  if (u.reduce_s >= 0) state.reductions.push_back(run(TaskKind::GradReduce, StreamKind::DataParallel, u.reduce_s));
  if (u.replica_s >= 0) run(TaskKind::ReplicaReduce, StreamKind::Replica, u.replica_s);
  if (u.grad_offload_s < 0) return;
  const TaskInfo info{TaskKind::GradOffload, StreamKind::ToHost, 0, stage, micro_batch, index};
  for (const Tasks& tasks : copy(info, u.grad_offload_s, rank, ready)) append(state.leaving, tasks);
}

// On the copy engines of every rank of a unit.
std::vector<Tasks> DataParallelTasks::copy(const TaskInfo& info, double seconds, int rank, const std::vector<Tasks>& after) {
  const auto& units = tasks_.units(rank);
  std::vector<Tasks> ids(units.size());
  for (std::size_t u = 0; u < units.size(); ++u) {
    TaskInfo own = info;
    own.rank = units[u].front();
    ids[u] = {tasks_.add(own, seconds, units[u], after[u])};
  }
  return ids;
}

void DataParallelTasks::reduce_rest() {
  if (plan_.overlap_grad_reduce || plan_.zero >= 2) return;
  for (int rank = 0; rank < placement_.pp; ++rank) {
    for_units(rank, [&](int stage, int index) { reduce(rank, stage, plan_.micro_batches - 1, index, last(rank)); });
  }
}

Tasks DataParallelTasks::leaving() const {
  Tasks all;
  for (const RankState& state : ranks_) append(all, state.leaving);
  return all;
}

void DataParallelTasks::update(TaskId meeting) {
  for (int rank = 0; rank < placement_.pp; ++rank) {
    if (plan_.offload_optimizer) {
      host_update(rank, meeting);
      continue;
    }
    const auto& units = tasks_.units(rank);
    std::vector<Tasks> done(units.size());
    for (std::size_t u = 0; u < units.size(); ++u) {
      done[u] = {tasks_.add({TaskKind::Optimizer, StreamKind::Compute, units[u].front(), rank, plan_.micro_batches - 1, -1},
                            plan_.optimizer_s[static_cast<std::size_t>(rank)] * tasks_.slowdown(units[u]), units[u], {meeting})};
    }
    for_units(rank, [&](int stage, int index) { gather_late(rank, stage, index, done); });
  }
}

// The device waits while its host updates unit by unit; what is updated travels back beside the next unit's update.
void DataParallelTasks::host_update(int rank, TaskId meeting) {
  const std::vector<Tasks> start(tasks_.units(rank).size(), Tasks{meeting});
  for_units(rank, [&](int stage, int index) {
    const StageComm::Unit& u = unit(stage, index);
    const TaskInfo update{TaskKind::Optimizer, StreamKind::Compute, 0, stage, plan_.micro_batches - 1, -1};
    std::vector<Tasks> done = copy(update, u.host_update_s, rank, start);
    if (u.param_upload_s >= 0 && !plan_.upload_before_gather) {
      const TaskInfo upload{TaskKind::ParamUpload, StreamKind::FromHost, 0, stage, plan_.micro_batches - 1, index};
      done = copy(upload, u.param_upload_s, rank, done);
    }
    gather_late(rank, stage, index, done);
  });
}

void DataParallelTasks::gather_late(int rank, int stage, int index, const std::vector<Tasks>& done) {
  if (plan_.overlap_param_gather || plan_.zero == 0 || plan_.zero == 3 || unit(stage, index).gather_s < 0) return;
  tasks_.collective({TaskKind::ParamGather, StreamKind::DataParallel, 0, stage, plan_.micro_batches - 1, index},
                    unit(stage, index).gather_s, rank, done);
}

}  // namespace dts

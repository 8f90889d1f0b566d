// The end of a step: what is reduced late, the optimizer, and the gathers behind it.
#include "step/tasks/data_parallel_tasks.hpp"

namespace dts {

void DataParallelTasks::reduce_rest() {
  if (plan_.overlap_grad_reduce || plan_.zero >= 2) return;
  for (int rank = 0; rank < placement_.pp; ++rank) {
    for_units(rank, [&](int stage, int index) { reduce(rank, stage, plan_.micro_batches - 1, index, last(rank)); });
  }
}

void DataParallelTasks::update(TaskId meeting) {
  for (int rank = 0; rank < placement_.pp; ++rank) {
    const FewTasks after = meeting == kNoTask ? leaving(rank) : FewTasks{meeting};
    plan_.offload_optimizer ? staged_update(rank, after) : update(rank, after);
  }
}

void DataParallelTasks::update(int rank, const FewTasks& after) {
  const double seconds = plan_.optimizer_s[static_cast<std::size_t>(rank)];
  const TaskId done = tasks_.add({TaskKind::Optimizer, StreamKind::Compute, rank, rank, plan_.micro_batches - 1, -1},
                                 seconds, rank, after, seconds);
  for_units(rank, [&](int stage, int index) { gather_late(rank, stage, index, done); });
}

TaskId DataParallelTasks::read_states(const UnitPlace& place, const FewTasks& after) {
  const double seconds = unit(place.stage, place.index).state_read_s;
  if (seconds < 0) return kNoTask;
  return add({TaskKind::TierRead, StreamKind::Storage, place.rank, place.stage, plan_.micro_batches - 1, place.index},
             seconds, after);
}

// Unit by unit: while one is updated, the states of the next come up and those of the one before go back (ZeRO-Infinity
// §5.2.2). The device waits while its host updates; what is updated travels back beside the next unit's update. A slow
// device does not slow its host.
void DataParallelTasks::staged_update(int rank, const FewTasks& after) {
  std::vector<UnitPlace> units;
  for_units(rank, [&](int stage, int index) {
    if (unit(stage, index).update_s >= 0) units.push_back({rank, stage, index});
  });
  TaskId read = units.empty() ? kNoTask : read_states(units.front(), after), left = kNoTask, room = kNoTask;
  for (std::size_t i = 0; i < units.size(); ++i) {
    const auto& [of_rank, stage, index] = units[i];
    const StageComm::Unit& u = unit(stage, index);
    const auto task = [&, s = stage, x = index](TaskKind kind, StreamKind stream, double seconds,
                                                const FewTasks& waits) {
      return add({kind, stream, rank, s, plan_.micro_batches - 1, x}, seconds, waits);
    };
    FewTasks waits = after;
    waits.add(read);
    if (u.state_upload_s >= 0) {
      FewTasks free = waits;
      free.add(room);  // of two units on the device
      waits.add(task(TaskKind::StateUpload, StreamKind::FromHost, u.state_upload_s, free));
    }
    const double own_s = u.state_upload_s >= 0 ? u.update_s : 0;
    const TaskId updated =
        tasks_.add({TaskKind::Optimizer, StreamKind::Compute, rank, stage, plan_.micro_batches - 1, index}, u.update_s,
                   rank, waits, own_s);
    read = i + 1 < units.size() ? read_states(units[i + 1], after) : kNoTask;
    TaskId done = updated;
    room = left;
    if (u.state_download_s >= 0)
      left = done = task(TaskKind::StateDownload, StreamKind::ToHost, u.state_download_s, {updated});
    if (u.state_write_s >= 0) task(TaskKind::TierWrite, StreamKind::Storage, u.state_write_s, {done});
    done = updated;
    if (u.param_upload_s >= 0 && !plan_.upload_before_gather)
      done = task(TaskKind::ParamUpload, StreamKind::FromHost, u.param_upload_s, {updated});
    gather_late(of_rank, stage, index, done);
  }
}

void DataParallelTasks::gather_late(int rank, int stage, int index, TaskId done) {
  if (plan_.overlap_param_gather || plan_.zero == 0 || plan_.zero == 3 || unit(stage, index).gather_s < 0) return;
  add({TaskKind::ParamGather, StreamKind::DataParallel, rank, stage, plan_.micro_batches - 1, index},
      unit(stage, index).gather_s, {done});
}

}  // namespace dts

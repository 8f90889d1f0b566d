#include "engine/successors.hpp"

namespace dts {

namespace {

template <class Visit>
void for_waits(const Program& program, TaskId task, const std::vector<TaskId>& on_stream, Visit visit) {
  program.for_streams(task, [&](StreamId s) {
    if (on_stream[s] != kNoTask) visit(on_stream[s]);
  });
  program.for_deps(task, visit);
}

template <class Visit>
void for_pairs(const Program& program, Visit visit) {
  std::vector<TaskId> on_stream(program.streams(), kNoTask);
  for (TaskId task = 0; task < program.size(); ++task) {
    for_waits(program, task, on_stream, [&](TaskId earlier) { visit(earlier, task); });
    program.for_streams(task, [&](StreamId s) { on_stream[s] = task; });
  }
}

}  // namespace

Successors::Successors(const Program& program, const std::vector<Space>& space_of, const Spread& spread)
    : space_of_(space_of), spread_(spread), first_(program.size() + 1, 0), begin_(program.size() + 1, 0) {
  for (TaskId task = 0; task < program.size(); ++task) first_[task + 1] = first_[task] + spread.size(space_of[task]);
  missing_.assign(first_.back(), 0);
  for_pairs(program, [&](TaskId earlier, TaskId task) {
    ++begin_[earlier + 1];
    for (std::uint32_t i = 0; i < spread.size(space_of[task]); ++i) {
      missing_[first_[task] + i] += waits_for(space_of[earlier], space_of[task], i);
    }
  });
  for (std::size_t t = 0; t + 1 < begin_.size(); ++t) begin_[t + 1] += begin_[t];
  after_.resize(begin_.back());
  std::vector<std::size_t> at(begin_.begin(), begin_.end() - 1);
  for_pairs(program, [&](TaskId earlier, TaskId task) { after_[at[earlier]++] = task; });
}

std::uint32_t Successors::waits_for(Space earlier, Space later, std::uint32_t instance) const noexcept {
  if (earlier == later || earlier == Space::World) return 1;
  if (later == Space::World) return spread_.size(earlier);
  const Relation& related = later == Space::Unit ? spread_.lanes_of_unit : spread_.units_of_lane;
  return related.begin[instance + 1] - related.begin[instance];
}

}  // namespace dts

#include "engine/spread.hpp"

#include <algorithm>
#include <utility>

namespace dts {

namespace {

class Sweep {
 public:
  Sweep(const Program& program, const std::vector<Space>& space_of, const Spread& spread)
      : program_(program), space_of_(space_of), spread_(spread), end_s_(program.size()) {
    const std::uint32_t widest = std::max(spread.units, spread.lanes);
    start_s_.resize(widest), seconds_.resize(widest), cause_.resize(widest);
    find_last_uses();
  }

  SpreadEnd run(const std::function<void(TaskId, double*)>& price,
                const std::function<void(TaskId, const Instances&)>& visit) {
    SpreadEnd end;
    on_stream_.assign(program_.streams(), kNoTask);
    for (TaskId task = 0; task < program_.size(); ++task) {
      const std::uint32_t count = spread_.size(space_of_[task]);
      std::fill_n(start_s_.begin(), count, 0.0);
      std::fill_n(cause_.begin(), count, kNoTask);
      for_waits(task, [&](TaskId earlier) { wait(task, earlier); });
      price(task, seconds_.data());
      std::vector<double>& ends = end_s_[task] = buffer(count);
      for (std::uint32_t i = 0; i < count; ++i) ends[i] = start_s_[i] + seconds_[i];
      visit(task, {start_s_.data(), ends.data(), cause_.data(), count});
      const double latest = *std::max_element(ends.begin(), ends.begin() + count);
      if (end.last == kNoTask || latest > end.makespan_s) end = {latest, task};
      for_waits(task, [&](TaskId earlier) { release(earlier, task); });
      release(task, task);
      program_.for_streams(task, [&](StreamId s) { on_stream_[s] = task; });
    }
    return end;
  }

 private:
  template <class Visit>
  void for_waits(TaskId task, Visit visit) {
    program_.for_streams(task, [&](StreamId s) {
      if (on_stream_[s] != kNoTask) visit(on_stream_[s]);
    });
    program_.for_deps(task, visit);
  }

  void find_last_uses() {
    last_use_.resize(program_.size());
    on_stream_.assign(program_.streams(), kNoTask);
    for (TaskId task = 0; task < program_.size(); ++task) {
      last_use_[task] = task;
      for_waits(task, [&](TaskId earlier) { last_use_[earlier] = task; });
      program_.for_streams(task, [&](StreamId s) { on_stream_[s] = task; });
    }
  }

  void later(std::uint32_t i, double end_s, TaskId earlier) {
    if (end_s > start_s_[i]) start_s_[i] = end_s, cause_[i] = earlier;
  }

  void wait(TaskId task, TaskId earlier) {
    const Space from = space_of_[earlier], to = space_of_[task];
    const double* ends = end_s_[earlier].data();
    if (from == to) {
      for (std::uint32_t i = 0; i < spread_.size(to); ++i) later(i, ends[i], earlier);
    } else if (from == Space::World) {
      for (std::uint32_t i = 0; i < spread_.size(to); ++i) later(i, ends[0], earlier);
    } else if (to == Space::World) {
      later(0, *std::max_element(ends, ends + spread_.size(from)), earlier);
    } else {
      const Relation& related = to == Space::Unit ? spread_.lanes_of_unit : spread_.units_of_lane;
      for (std::uint32_t i = 0; i < spread_.size(to); ++i) {
        double latest = 0;
        for (std::uint32_t k = related.begin[i]; k < related.begin[i + 1]; ++k) latest = std::max(latest, ends[related.other[k]]);
        later(i, latest, earlier);
      }
    }
  }

  std::vector<double> buffer(std::uint32_t count) {
    std::vector<std::vector<double>>& spare = spare_[count == spread_.units ? 0 : 1];
    if (spare.empty()) return std::vector<double>(count);
    std::vector<double> taken = std::move(spare.back());
    spare.pop_back();
    taken.resize(count);
    return taken;
  }

  void release(TaskId task, TaskId now) {
    if (last_use_[task] != now || end_s_[task].empty()) return;
    spare_[end_s_[task].size() == spread_.units ? 0 : 1].push_back(std::move(end_s_[task]));
    end_s_[task].clear();
  }

  const Program& program_;
  const std::vector<Space>& space_of_;
  const Spread& spread_;
  std::vector<std::vector<double>> end_s_;  // of tasks still waited for
  std::vector<std::vector<double>> spare_[2];
  std::vector<TaskId> last_use_, on_stream_, cause_;
  std::vector<double> start_s_, seconds_;
};

}  // namespace

void Relation::add_row(const std::vector<std::uint32_t>& row) {
  other.insert(other.end(), row.begin(), row.end());
  begin.push_back(static_cast<std::uint32_t>(other.size()));
}

Spread Spread::one() {
  Spread spread;
  spread.lanes_of_unit.add_row({0});
  spread.units_of_lane.add_row({0});
  return spread;
}

SpreadEnd execute(const Program& program, const std::vector<Space>& space_of, const Spread& spread,
                  const std::function<void(TaskId, double*)>& price,
                  const std::function<void(TaskId, const Instances&)>& visit) {
  return Sweep(program, space_of, spread).run(price, visit);
}

}  // namespace dts

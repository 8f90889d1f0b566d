#include "engine/spread.hpp"

#include <algorithm>
#include <utility>

#include "engine/interference.hpp"
#include "interrupt.hpp"

namespace dts {

namespace {

class Sweep {
 public:
  Sweep(const Program& program, const std::vector<Space>& space_of, const Spread& spread, bool slows)
      : program_(program), space_of_(space_of), spread_(spread), slows_(slows), end_s_(program.size()) {
    const std::uint32_t widest = std::max(spread.units, spread.lanes);
    start_s_.resize(widest), seconds_.resize(widest), cause_.resize(widest);
    held_.resize(program.devices());
    find_last_uses();
  }

  SpreadEnd run(const std::function<void(TaskId, double*)>& price,
                const std::function<void(TaskId, const Instances&)>& visit) {
    SpreadEnd end;
    on_stream_.assign(program_.streams(), kNoTask);
    for (TaskId task = 0; task < program_.size(); ++task) {
      const std::uint32_t count = spread_.size(space_of_[task]);
      poll_interrupt(8 + count);
      std::fill_n(start_s_.begin(), count, 0.0);
      std::fill_n(cause_.begin(), count, kNoTask);
      for_waits(task, [&](TaskId earlier) { wait(task, earlier); });
      price(task, seconds_.data());
      std::vector<double>& ends = end_s_[task] = buffer(count);
      for (std::uint32_t i = 0; i < count; ++i) ends[i] = start_s_[i] + seconds_[i];
      if (slows_) share_devices(task, count, ends);
      visit(task, {start_s_.data(), ends.data(), seconds_.data(), cause_.data(), count});
      const double latest = *std::max_element(ends.begin(), ends.begin() + count);
      if (end.last == kNoTask || latest > end.makespan_s) end = {latest, task};
      for_waits(task, [&](TaskId earlier) { release(earlier, task); });
      release(task, task);
      program_.for_streams(task, [&](StreamId s) { on_stream_[s] = task; });
    }
    return end;
  }

 private:
  struct HeldTask {  // by each lane, or each unit
    Space space;
    double share;
    std::vector<double> start_s, end_s;
  };

  // Slows a task by what is held beside it, then holds what it takes itself.
  void share_devices(TaskId task, std::uint32_t count, std::vector<double>& ends) {
    const DeviceUse use = program_.use(task);
    if (use.work > 0) {
      const double first_s = *std::min_element(start_s_.begin(), start_s_.begin() + count);
      program_.for_streams(task, [&](StreamId s) {
        std::vector<HeldTask>& beside = held_[program_.device_of(s)];
        beside.erase(std::remove_if(beside.begin(), beside.end(),
                                    [&](const HeldTask& h) {
                                      return *std::max_element(h.end_s.begin(), h.end_s.end()) <= first_s;
                                    }),
                     beside.end());
        for (std::uint32_t i = 0; i < count && !beside.empty(); ++i) {
          intervals(beside, space_of_[task], i);
          ends[i] = std::max(ends[i], slowed_end_s(start_s_[i], seconds_[i], use.work, around_));
        }
      });
    }
    if (use.held <= 0 || program_.duration_s(task) <= 0) return;
    program_.for_streams(task, [&](StreamId s) {
      held_[program_.device_of(s)].push_back(
          {space_of_[task], use.held, {start_s_.begin(), start_s_.begin() + count}, {ends.begin(), ends.end()}});
    });
  }

  // What is held around member `i` of a space, into `around_`: of several lanes, from the first start to the last end.
  void intervals(const std::vector<HeldTask>& beside, Space space, std::uint32_t i) {
    around_.clear();
    for (const HeldTask& h : beside) {
      Held held{0, 0, h.share};
      if (h.space == space || h.space == Space::World || space == Space::World) {
        const std::uint32_t k = h.space == space ? i : 0;
        held.start_s = h.start_s[k], held.end_s = h.end_s[k];
      } else {
        const Relation& related = space == Space::Unit ? spread_.lanes_of_unit : spread_.units_of_lane;
        const auto begin = related.other.begin() + related.begin[i], end = related.other.begin() + related.begin[i + 1];
        held.start_s = h.start_s[*begin], held.end_s = h.end_s[*begin];
        for (auto k = begin; k != end; ++k) {
          held.start_s = std::min(held.start_s, h.start_s[*k]), held.end_s = std::max(held.end_s, h.end_s[*k]);
        }
      }
      around_.add(held);
    }
  }

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
        for (std::uint32_t k = related.begin[i]; k < related.begin[i + 1]; ++k)
          latest = std::max(latest, ends[related.other[k]]);
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
  bool slows_;
  std::vector<std::vector<double>> end_s_;  // of tasks still waited for
  std::vector<std::vector<double>> spare_[2];
  std::vector<TaskId> last_use_, on_stream_, cause_;
  std::vector<double> start_s_, seconds_;
  std::vector<std::vector<HeldTask>> held_;  // per device
  HeldList around_;
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
                  const std::function<void(TaskId, const Instances&)>& visit, bool slows) {
  return Sweep(program, space_of, spread, slows).run(price, visit);
}

}  // namespace dts

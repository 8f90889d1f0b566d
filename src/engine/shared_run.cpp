#include "engine/shared_run.hpp"

#include <algorithm>
#include <queue>

#include "engine/held_units.hpp"
#include "engine/interference.hpp"
#include "engine/successors.hpp"
#include "interrupt.hpp"

namespace dts {

namespace {

constexpr double kSameTime = 1e-12;  // relative: rounding must not split what happens together
constexpr double kRounding = 1e-9;
constexpr std::uint32_t kNone = static_cast<std::uint32_t>(-1);

class SharedRun {
 public:
  SharedRun(const Program& program, const std::vector<Space>& space_of, const Spread& spread, LinkUse& use)
      : program_(program), space_of_(space_of), spread_(spread), use_(use), order_(program, space_of, spread),
        share_(capacities(use)), held_(std::size_t{program.devices()} * spread.units),
        beside_(std::size_t{program.devices()} * spread.units, kNone) {
    out_.first = order_.first();
    out_.seconds.resize(out_.first.back());
    out_.contended_s.resize(out_.first.back());
  }

  SharedTimes run() {
    add_background();
    for (TaskId task = 0; task < program_.size(); ++task) {
      for (std::uint32_t i = 0; i < spread_.size(space_of_[task]); ++i) {
        if (order_.ready(task, i)) begin(task, i);
      }
    }
    settle();
    while (!queue_.empty()) {
      change_links();
      now_s_ = std::max(now_s_, queue_.top().time_s);
      while (!queue_.empty() && queue_.top().time_s <= now_s_ * (1 + kSameTime)) {
        const Event event = queue_.top();
        queue_.pop();
        ++out_.events;
        if (runners_[event.runner].version == event.version) next_phase(event.runner);
      }
      poll_interrupt(64);
      settle();
    }
    out_.solved = share_.solved();
    return std::move(out_);
  }

 private:
  enum class Phase : std::uint8_t { Alone, Latency, Transfer, Beside };
  struct Runner {  // a running instance
    TaskId task = 0;
    std::uint32_t instance = 0, stretch = 0, version = 0, flow = kNone, device = kNone;
    Phase phase = Phase::Alone;
    double left_s = 0, speed = 1, pace = 1;  // of the phase; of the transfer; of the task beside collectives
    double since_s = 0, start_s = 0;
    double own_s = 0, planned_s = 0;  // on the task's own clock
    double alone_s = 0;               // exactly; holds where nothing slowed it
    bool slowed = false;
    double beside_since_s = 0;  // the same clock, when the kernels beside began
    std::vector<Stretch> stretches;
  };
  struct Event {
    double time_s;
    std::uint64_t sequence;
    std::uint32_t runner, version;
    bool operator<(const Event& other) const noexcept {  // std::priority_queue: the earliest on top
      return time_s != other.time_s ? time_s > other.time_s : sequence > other.sequence;
    }
  };
  static std::vector<double> capacities(const LinkUse& use) {
    std::vector<double> all(use.links());
    for (std::size_t link = 0; link < all.size(); ++link) all[link] = use.capacity_Bps(link);
    return all;
  }

  // ---- instances ----------------------------------------------------------------------------------------------------

  void begin(TaskId task, std::uint32_t instance) {
    if (free_.empty()) {
      free_.push_back(static_cast<std::uint32_t>(runners_.size()));
      runners_.emplace_back();
    }
    const std::uint32_t id = free_.back();
    free_.pop_back();
    Runner& r = runners_[id];
    r.task = task, r.instance = instance, r.stretch = 0, r.flow = kNone, r.device = kNone;
    r.start_s = r.since_s = now_s_, r.own_s = r.planned_s = 0, r.pace = r.speed = 1;
    r.stretches.clear();
    r.alone_s = use_.stretches(task, instance, r.stretches);
    r.slowed = false;
    for (const Stretch& s : r.stretches) r.planned_s += s.alone_s + std::max(s.latency_s + s.transfer_s, s.beside_s);
    hold(r, true);
    if (program_.use(task).work > 0) {
      program_.for_streams(task, [&](StreamId s) { r.device = program_.device_of(s) * spread_.units + instance; });
      beside_[r.device] = id;
      r.pace = pace_of(r);
    }
    enter(id, Phase::Alone);
  }

  void enter(std::uint32_t id, Phase phase) {
    Runner& r = runners_[id];
    const Stretch& s = r.stretches[r.stretch];
    r.phase = phase;
    r.speed = 1;
    switch (phase) {
      case Phase::Alone: r.left_s = s.alone_s; break;
      case Phase::Latency:
        r.left_s = s.latency_s;
        r.beside_since_s = r.own_s;
        break;
      case Phase::Beside: r.left_s = std::max(0.0, s.beside_s - (r.own_s - r.beside_since_s)); break;
      case Phase::Transfer:
        r.left_s = s.transfer_s;
        if (s.footprint != nullptr && s.footprint->binding > 0 && s.transfer_s > 0) return join(id);
        break;
    }
    plan(id);
  }

  // A joining transfer gets its speed when all changes of the moment are known.
  void join(std::uint32_t id) {
    Runner& r = runners_[id];
    const Footprint& flow = *r.stretches[r.stretch].footprint;
    r.flow = share_.add(flow.loads.data(), flow.binding, flow.weight);
    if (r.flow >= runner_of_.size()) runner_of_.resize(r.flow + 1, kNone);
    runner_of_[r.flow] = id;
    r.speed = 0;
    ++r.version;
  }

  void plan(std::uint32_t id) {
    Runner& r = runners_[id];
    ++r.version;
    r.slowed = r.slowed || (r.left_s > 0 && r.speed * r.pace != 1);
    if (r.left_s <= 0) return next_phase(id);
    queue_.push({now_s_ + r.left_s / (r.speed * r.pace), sequence_++, id, r.version});
  }

  // Brings a runner's clocks up to now.
  void account(Runner& r) {
    const double passed_s = now_s_ - r.since_s;
    if (passed_s > 0) {
      if (r.phase == Phase::Transfer && r.stretches[r.stretch].footprint != nullptr) {
        use_.moved(*r.stretches[r.stretch].footprint, r.since_s, now_s_, r.speed * r.pace);
      }
      r.own_s += passed_s * r.pace;
      r.left_s = std::max(0.0, r.left_s - passed_s * r.pace * r.speed);
    }
    r.since_s = now_s_;
  }

  void next_phase(std::uint32_t id) {
    account(runners_[id]);
    Runner& r = runners_[id];
    switch (r.phase) {
      case Phase::Alone: return enter(id, Phase::Latency);
      case Phase::Latency: return enter(id, Phase::Transfer);
      case Phase::Transfer: leave(r); return enter(id, Phase::Beside);
      case Phase::Beside: return next_stretch(id);
    }
  }

  void leave(Runner& r) {
    if (r.flow == kNone) return;
    share_.remove(r.flow);
    runner_of_[r.flow] = kNone;
    r.flow = kNone;
  }

  void next_stretch(std::uint32_t id) {
    Runner& r = runners_[id];
    if (++r.stretch < r.stretches.size()) return enter(id, Phase::Alone);
    const TaskId task = r.task;
    const std::uint32_t instance = r.instance;
    const std::size_t at = out_.first[task] + instance;
    out_.seconds[at] = r.slowed ? now_s_ - r.start_s : r.alone_s;
    const double lost_s = r.own_s - r.planned_s;
    out_.contended_s[at] = r.slowed && lost_s > kRounding * r.planned_s ? lost_s : 0;
    use_.ended(task, instance, r.start_s, now_s_);
    if (r.device != kNone) beside_[r.device] = kNone;
    ++r.version;
    hold(r, false);
    free_.push_back(id);
    order_.ended(task, instance, [this](TaskId next, std::uint32_t i) { ready_.push_back({next, i}); });
  }

  // ---- compute beside collectives -----------------------------------------------------------------------------------

  // A collective holds multiprocessors of a unit from the start of its first instance there to the end of its last.
  void hold(const Runner& r, bool starts) {
    const DeviceUse use = program_.use(r.task);
    if (use.held <= 0 || program_.duration_s(r.task) <= 0) return;
    program_.for_streams(r.task, [&](StreamId s) {
      const std::size_t device = static_cast<std::size_t>(program_.device_of(s)) * spread_.units;
      order_.for_units(space_of_[r.task], r.instance, [&](std::uint32_t unit, std::uint32_t meets) {
        hold_on(device + unit, r.task, use.held, meets, starts);
      });
    });
  }

  void hold_on(std::size_t device, TaskId task, double share, std::uint32_t meets, bool starts) {
    if (!held_.change(device, task, share, meets, starts) || beside_[device] == kNone) return;
    Runner& r = runners_[beside_[device]];
    const double pace = pace_of(r);
    if (pace == r.pace) return;
    account(r);
    r.pace = pace;
    if (r.phase != Phase::Transfer || r.speed > 0) plan(beside_[device]);
  }

  double pace_of(const Runner& r) const {
    return compute_pace(program_.use(r.task).work, held_.share_before(r.device, r.task));
  }

  // ---- links --------------------------------------------------------------------------------------------------------

  void settle() {
    do {
      while (!ready_.empty()) {
        std::vector<std::pair<TaskId, std::uint32_t>> now;
        now.swap(ready_);
        for (const auto& [task, instance] : now) begin(task, instance);
      }
      for (CoupledShare::Id flow : share_.solve()) {
        if (runner_of_[flow] == kNone) continue;  // of another job
        Runner& r = runners_[runner_of_[flow]];
        account(r);
        r.speed = share_.speed(flow);
        plan(runner_of_[flow]);
      }
    } while (!ready_.empty());
  }

  // Moments before the next event at which links change: every flow starts anew on what is left of them.
  void change_links() {
    const std::vector<double>& times_s = use_.change_times_s();
    while (changed_ < times_s.size() && times_s[changed_] < queue_.top().time_s) {
      now_s_ = std::max(now_s_, times_s[changed_++]);
      std::vector<std::uint32_t> moving;
      for (std::uint32_t id = 0; id < runners_.size(); ++id) {
        if (runners_[id].flow == kNone) continue;
        account(runners_[id]);
        leave(runners_[id]);
        moving.push_back(id);
      }
      for (CoupledShare::Id flow : background_) share_.remove(flow);
      use_.advance(now_s_);
      for (std::size_t link = 0; link < use_.links(); ++link) share_.set_capacity(link, use_.capacity_Bps(link));
      add_background();
      for (std::uint32_t id : moving) join(id);
      settle();
    }
  }

  void add_background() {
    background_.clear();
    for (const Footprint& flow : use_.background()) {
      background_.push_back(share_.add(flow.loads.data(), flow.binding, flow.weight));
      if (background_.back() >= runner_of_.size()) runner_of_.resize(background_.back() + 1, kNone);
      runner_of_[background_.back()] = kNone;
    }
  }

  const Program& program_;
  const std::vector<Space>& space_of_;
  const Spread& spread_;
  LinkUse& use_;
  Successors order_;
  CoupledShare share_;
  SharedTimes out_;
  double now_s_ = 0;
  std::uint64_t sequence_ = 0;
  std::size_t changed_ = 0;
  std::vector<CoupledShare::Id> background_;
  std::priority_queue<Event> queue_;
  std::vector<Runner> runners_;
  std::vector<std::uint32_t> free_, runner_of_;  // the second by flow
  HeldUnits held_;                               // per device and unit
  std::vector<std::uint32_t> beside_;            // the same: the compute that slows
  std::vector<std::pair<TaskId, std::uint32_t>> ready_;
};

}  // namespace

SharedTimes run_shared(const Program& program, const std::vector<Space>& space_of, const Spread& spread, LinkUse& use) {
  return SharedRun(program, space_of, spread, use).run();
}

}  // namespace dts

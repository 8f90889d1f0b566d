// Execution of a program whose tasks share links: how long a transfer takes depends on who else is on its links, so
// tasks are run event by event. What comes out is the seconds that each instance took; executed with them
// (engine/spread.hpp), the program has its timeline. Order, spaces and the rule of a timeline are the same; so is that
// of compute slowed by collectives beside it (engine/interference.hpp), including that those issued later are not seen.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/spread.hpp"
#include "network/coupled_share.hpp"

namespace dts {

struct Footprint {
  std::vector<LinkLoad> loads;  // those that may fill first
  std::size_t binding = 0;      // so many of them
  double weight = 1;            // network/coupled_share.hpp
};

// A stretch of a task: kernels alone, then a transfer with kernels beside it. A task takes its stretches in order.
struct Stretch {
  double alone_s = 0;
  double latency_s = 0, transfer_s = 0;  // of the transfer, the second at full speed
  double beside_s = 0;                   // kernels that start with it; the stretch ends with the later
  const Footprint* footprint = nullptr;  // null: no transfer. Its content may change in `advance` alone.
};

class LinkUse {
 public:
  virtual ~LinkUse() = default;
  // Appends the stretches of one instance, one or more; returns its seconds while nobody slows it.
  virtual double stretches(TaskId task, std::uint32_t instance, std::vector<Stretch>& out) = 0;
  // Moments, ascending, at which links change; `advance` says that one has come.
  virtual const std::vector<double>& change_times_s() const = 0;
  virtual void advance(double time_s) = 0;
  virtual double capacity_Bps(std::size_t link) const = 0;
  virtual std::size_t links() const = 0;
  // A footprint went on at `speed`, or has ended, in this stretch of time.
  virtual void moved(const Footprint&, double, double, double) {}
  virtual void ended(TaskId, std::uint32_t, double, double) {}
  // Traffic that never ends.
  virtual const std::vector<Footprint>& background() const = 0;
};

struct SharedTimes {
  std::vector<std::size_t> first;   // instances of a task: [first[task], first[task + 1])
  std::vector<double> seconds;      // that each took
  std::vector<double> contended_s;  // of them, what it lost to others on its links
  std::uint64_t events = 0, solved = 0;
};

SharedTimes run_shared(const Program& program, const std::vector<Space>& space_of, const Spread& spread, LinkUse& use);

}  // namespace dts

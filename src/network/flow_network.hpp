// A network on which flows share links max-min fairly (network/fair_share.hpp), and a run of a program on it, event by
// event: a message leaves at the rates of its time and arrives its path's latencies after its last byte has left;
// alone, it takes sum(latency) + bytes / narrowest bandwidth. Other jobs' traffic are flows of their own that share
// like any other but never ask for more than their demand. Memory is O(ranks + active messages) beyond the program.
// Left out: packets, queues, congestion control's reaction time, loss, link start-up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "hardware/topology.hpp"
#include "network/flow_program.hpp"
#include "network/link_log.hpp"
#include "network/paths.hpp"

namespace dts {

struct BackgroundFlow {
  int from = 0, to = 0;
  double demand_Bps = 0;
};

struct FlowNetworkOptions {
  PathOptions paths;
  std::vector<BackgroundFlow> background;
  double reduce_s_per_byte = 0;  // of what a receiver combines with its own
};

struct FlowRunOptions {
  int intervals = 0;   // > 0: bytes over time in at least this many intervals, at most twice as many
  bool pairs = false;  // bytes per pair of ranks
};

struct FlowResult {
  double end_s = 0;                       // of the last task
  std::vector<double> start_s, finish_s;  // per task
  std::vector<double> link_bytes;         // of the program, without the background
  std::vector<PairBytes> pair_bytes;
  std::vector<double> bytes_over_time;  // links x intervals
  std::size_t intervals = 0;
  double interval_s = 0;
  std::uint64_t flows = 0;  // messages that arrived
  std::uint64_t events = 0;
  std::uint64_t flows_solved = 0;  // rates computed
};

inline constexpr double kMaxMessages = 1e8;      // of one run
inline constexpr double kMaxLogCells = 1 << 25;  // of bytes over time: 256 MiB

class FlowNetwork {
 public:
  // Throws ConfigError naming every illegal option, InfeasibleError where background has no path.
  FlowNetwork(Topology topology, FlowNetworkOptions options);

  // Throws ConfigError for ranks that do not exist and for tasks that wait in a circle (naming the stuck ranks),
  // InfeasibleError where dead links cut a path. Thread-safe.
  FlowResult run(const FlowProgram& program, const FlowRunOptions& options = {}) const;

  const Topology& topology() const noexcept { return topology_; }
  const FlowNetworkOptions& options() const noexcept { return options_; }

 private:
  Topology topology_;
  FlowNetworkOptions options_;
};

}  // namespace dts

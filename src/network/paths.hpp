// Which links a flow takes. Shortest: the one path of hardware/routing.hpp. ECMP: among the paths of fewest hops, one
// drawn hop by hop from a hash of the pair and a seed, the same for every message of a pair (RFC 2992; a connection
// keeps its path). Rail-aligned: to the sender's neighbour on the receiver's rail first, so that nothing changes rails
// beyond the node (NCCL's PXN). Adaptive: among the paths of fewest hops, at each hop the link with the least flows for
// its bandwidth at the moment the flow starts. Dead links are never taken: routes go round them on the fewest hops
// left.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "hardware/routing.hpp"
#include "hardware/topology.hpp"

namespace dts {

enum class PathRouting { Shortest, Ecmp, RailAligned, Adaptive };
std::string name_of(PathRouting routing);

struct PathOptions {
  PathRouting routing = PathRouting::Shortest;
  std::uint64_t seed = 0;                       // of the ECMP hash
  std::vector<std::pair<int, int>> dead_links;  // ends of cables: both directions are dead
};

// Throws ConfigError naming unknown dead links and a routing that the topology does not have.
void check_paths(const Topology& topology, const PathOptions& options);

struct Path {
  const int* links = nullptr;
  std::size_t count = 0;
  double latency_s = 0;
};

class PathFinder {
 public:
  using Load = std::function<double(int link)>;  // flows on a link, per byte/s of it

  PathFinder(const Topology& topology, PathOptions options);

  // The path of a message that starts now; valid until the next call. Empty for from == to. `load` serves adaptive
  // routing. Throws InfeasibleError where dead links leave no path.
  Path find(int from, int to, const Load& load);

 private:
  static constexpr int kFar = 0xFFFF;
  struct Known {
    std::size_t first = 0, count = 0;
    double latency_s = 0;
  };

  void walk(int from, int to, const Load& load, std::vector<int>& path);
  int neighbour_on_rail(int from, int to) const;
  const std::vector<std::uint16_t>& hops_to(int to);
  int next_link(int at, int to, const std::vector<std::uint16_t>& hops, std::uint64_t draw, const Load& load) const;
  bool dead(int link) const noexcept { return !dead_.empty() && dead_[static_cast<std::size_t>(link)]; }
  [[noreturn]] void fail(int from, int to) const;

  const Topology& topology_;
  PathOptions options_;
  std::vector<bool> dead_;
  Router router_;
  std::vector<int> into_first_, into_;  // links by the vertex they end at
  std::unordered_map<int, std::vector<std::uint16_t>> hops_to_;
  std::unordered_map<std::uint64_t, Known> known_;
  std::vector<int> arena_, path_;
};

}  // namespace dts

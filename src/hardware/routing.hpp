// Routes over a topology: fewest hops, one path per pair, the same on every call. On grids and rings the route goes
// dimension by dimension, fastest-varying first (half-way ties: up from even coordinates, down from odd ones); in
// trees it climbs to the common ancestor; otherwise breadth-first search with the lowest vertex first among equals,
// O(V+E) once per source. Over several spines the receiver's number picks one (D-mod-k: Zahavi, JPDC 72, 2012).
// Bandwidth plays no part. Multipath and adaptive routing: network/paths.hpp.
#pragma once

#include <unordered_map>
#include <vector>

#include "hardware/topology.hpp"

namespace dts {

// Holds the search trees found so far: one router per thread.
class Router {
 public:
  explicit Router(const Topology& topology) : topology_(topology) {}

  // Ids of the links from one device to another, in order; valid until the next call. Empty for from == to.
  const std::vector<int>& route(int from, int to);

 private:
  void grid_route(int from_node, int to_node);
  void tree_route(int from, int to);
  void search_route(int from, int to);
  bool spine_route(int from, int to);
  const std::vector<int>& search(int from);
  void step(int from, int to) { path_.push_back(topology_.find_link(from, to)); }

  const Topology& topology_;
  std::vector<int> path_, down_;
  std::unordered_map<int, std::vector<int>> arrived_by_;  // per source: the link by which each vertex is first reached
};

}  // namespace dts

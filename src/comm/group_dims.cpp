#include "comm/group_dims.hpp"

#include <algorithm>

namespace dts {

namespace {

bool all_in_order(const Topology& topology, const std::vector<int>& members) {
  if (members.size() != static_cast<std::size_t>(topology.device_count())) return false;
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (members[i] != static_cast<int>(i)) return false;
  }
  return true;
}

// Dimensions of the nodes' grid, fastest first, without those of one node.
std::vector<int> node_grid(const Topology& topology) {
  std::vector<int> dims;
  for (auto size = topology.grid().dims.rbegin(); size != topology.grid().dims.rend(); ++size) {
    if (*size > 1) dims.push_back(*size);
  }
  return dims;
}

// Members per node where every node has as many in one run; else 0.
int run_length(const Topology& topology, const std::vector<int>& members) {
  const int per_node = topology.spec().devices_per_node;
  const auto node = [&](std::size_t i) { return members[i] / per_node; };
  std::size_t length = 1;
  while (length < members.size() && node(length) == node(0)) ++length;
  if (length < 2 || length == members.size() || members.size() % length != 0) return 0;
  std::vector<int> nodes;
  for (std::size_t first = 0; first < members.size(); first += length) {
    for (std::size_t i = first; i < first + length; ++i) {
      if (node(i) != node(first)) return 0;
    }
    nodes.push_back(node(first));
  }
  std::sort(nodes.begin(), nodes.end());
  return std::adjacent_find(nodes.begin(), nodes.end()) == nodes.end() ? static_cast<int>(length) : 0;
}

}  // namespace

std::vector<int> group_dims(const Topology& topology, Algorithm algorithm, const std::vector<int>& members) {
  if (algorithm == Algorithm::TorusBucket) {
    const std::vector<int> dims = node_grid(topology);
    const bool fits = !topology.has_hubs() && dims.size() > 1 && all_in_order(topology, members);
    return fits ? dims : std::vector<int>{};
  }
  if (algorithm != Algorithm::Hierarchical) return {};
  const int inside = run_length(topology, members);
  if (inside == 0) return {};
  std::vector<int> dims{inside};
  const std::vector<int> grid = node_grid(topology);
  if (grid.size() > 1 && all_in_order(topology, members)) {
    dims.insert(dims.end(), grid.begin(), grid.end());
  } else {
    dims.push_back(static_cast<int>(members.size()) / inside);
  }
  return dims;
}

}  // namespace dts

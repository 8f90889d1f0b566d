// Topologies whose nodes are joined without switches: ring, tree, fully connected, mesh, torus, custom.
#include <algorithm>
#include <cmath>

#include "hardware/topology_builders.hpp"

namespace dts {

void add_both(GraphDraft& draft, int a, int b, double bandwidth_Bps, double latency_s) {
  draft.links.push_back({a, b, {bandwidth_Bps, latency_s}});
  draft.links.push_back({b, a, {bandwidth_Bps, latency_s}});
}

namespace {

void factorise(int count, int dimensions, int largest, std::vector<int>& chosen, std::vector<int>& best) {
  if (dimensions == 1) {
    if (count > largest) return;
    chosen.push_back(count);
    if (best.empty() || chosen.front() < best.front() || (chosen.front() == best.front() && count > best.back())) {
      best = chosen;
    }
    chosen.pop_back();
    return;
  }
  for (int f = 1; f <= std::min(count, largest); ++f) {
    if (count % f != 0) continue;
    chosen.push_back(f);
    factorise(count / f, dimensions - 1, f, chosen, best);
    chosen.pop_back();
  }
}

}  // namespace

std::vector<int> square_factors(int count, int dimensions) {
  std::vector<int> chosen, best;
  factorise(count, dimensions, count, chosen, best);
  return best;
}

GraphDraft build_grid(const TopologySpec& spec, int dimensions, bool wraps) {
  GraphDraft draft;
  draft.vertices = spec.nodes;
  draft.grid.dims = spec.dims.empty() ? square_factors(spec.nodes, dimensions) : spec.dims;
  draft.grid.wraps = wraps;
  int stride = 1;
  for (auto dim = draft.grid.dims.rbegin(); dim != draft.grid.dims.rend(); ++dim) {
    for (int node = 0; node < spec.nodes; ++node) {
      const int at = node / stride % *dim;
      if (at + 1 < *dim) add_both(draft, node, node + stride, spec.inter.bandwidth_Bps, spec.inter.latency_s);
      // A dimension of two needs no second link between the same pair.
      else if (wraps && *dim > 2)
        add_both(draft, node, node - at * stride, spec.inter.bandwidth_Bps, spec.inter.latency_s);
    }
    stride *= *dim;
  }
  return draft;
}

GraphDraft build_ring(const TopologySpec& spec) { return build_grid(spec, 1, true); }

int tree_arity(const TopologySpec& spec) { return spec.radix > 0 ? spec.radix : 2; }

GraphDraft build_tree(const TopologySpec& spec) {
  GraphDraft draft;
  draft.vertices = spec.nodes;
  draft.parent.assign(static_cast<std::size_t>(spec.nodes), -1);
  for (int node = 1; node < spec.nodes; ++node) {
    const int parent = (node - 1) / tree_arity(spec);
    draft.parent[static_cast<std::size_t>(node)] = parent;
    add_both(draft, parent, node, spec.inter.bandwidth_Bps, spec.inter.latency_s);
  }
  return draft;
}

GraphDraft build_fully_connected(const TopologySpec& spec) {
  GraphDraft draft;
  draft.vertices = spec.nodes;
  const auto n = static_cast<std::size_t>(spec.nodes);
  draft.links.reserve(n * (n - 1));
  for (int a = 0; a < spec.nodes; ++a) {
    for (int b = 0; b < spec.nodes; ++b) {
      if (a != b) draft.links.push_back({a, b, spec.inter});
    }
  }
  return draft;
}

GraphDraft build_custom(const TopologySpec& spec) {
  GraphDraft draft;
  draft.vertices = spec.nodes + spec.switches;
  draft.links = spec.links;
  return draft;
}

}  // namespace dts

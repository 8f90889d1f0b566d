#include "hardware/topology.hpp"

#include <algorithm>

#include "error.hpp"
#include "hardware/topology_builders.hpp"

namespace dts {

namespace {

GraphDraft build(const TopologySpec& spec) {
  const auto node_level = [&]() -> GraphDraft {
    switch (spec.kind) {
      case TopologyKind::Ring: return build_ring(spec);
      case TopologyKind::Tree: return build_tree(spec);
      case TopologyKind::FullyConnected: return build_fully_connected(spec);
      case TopologyKind::Mesh2D: return build_grid(spec, 2, false);
      case TopologyKind::Torus2D: return build_grid(spec, 2, true);
      case TopologyKind::Torus3D: return build_grid(spec, 3, true);
      case TopologyKind::Switch: return build_switch(spec);
      case TopologyKind::FatTree: return build_fat_tree(spec);
      case TopologyKind::Dragonfly: return build_dragonfly(spec);
      case TopologyKind::RailOptimized: return build_rail_optimized(spec);
      case TopologyKind::Custom: break;
    }
    return build_custom(spec);
  };
  const bool placed = spec.devices_per_node == 1 || spec.kind == TopologyKind::RailOptimized;
  return placed ? node_level() : attach_devices(node_level(), spec);
}

// Devices that vertex 0 cannot reach along the links, or that cannot reach it when `backwards`.
std::vector<int> cut_off(const std::vector<Link>& links, int vertices, int devices, bool backwards) {
  std::vector<std::vector<int>> next(static_cast<std::size_t>(vertices));
  for (const Link& l : links) {
    next[static_cast<std::size_t>(backwards ? l.to : l.from)].push_back(backwards ? l.from : l.to);
  }
  std::vector<bool> seen(static_cast<std::size_t>(vertices), false);
  std::vector<int> queue{0}, missing;
  seen[0] = true;
  for (std::size_t head = 0; head < queue.size(); ++head) {
    for (int v : next[static_cast<std::size_t>(queue[head])]) {
      if (!seen[static_cast<std::size_t>(v)]) queue.push_back(v);
      seen[static_cast<std::size_t>(v)] = true;
    }
  }
  for (int d = 0; d < devices; ++d) {
    if (!seen[static_cast<std::size_t>(d)]) missing.push_back(d);
  }
  return missing;
}

std::string list_text(const std::vector<int>& values) {
  std::string text;
  for (std::size_t i = 0; i < std::min<std::size_t>(values.size(), 8); ++i) {
    text += (i ? ", " : "") + std::to_string(values[i]);
  }
  return text + (values.size() > 8 ? " ... (" + std::to_string(values.size()) + " in all)" : "");
}

void check_connected(const Topology& topology) {
  Checker check;
  for (const bool backwards : {false, true}) {
    const auto missing = cut_off(topology.links(), topology.vertex_count(), topology.device_count(), backwards);
    check.require(missing.empty(), "links",
                  std::string(backwards ? "no way back to" : "no way from") + " rank 0 " + (backwards ? "from" : "to") +
                      " rank " + list_text(missing),
                  "every rank to reach every other", "add links, or make them go both ways");
  }
  check.throw_if_any();
}

// Neighbour links of a grid, so that a route needs no look-up.
void index_grid(const Topology& topology, Grid& grid) {
  for (int node = 0; node < topology.spec().nodes; ++node) {
    int stride = topology.spec().nodes;
    for (int size : grid.dims) {
      stride /= size;
      const int at = node / stride % size, base = node - at * stride;
      const auto link_to = [&](int to) {
        const int neighbour = base + (to + size) % size * stride;
        return topology.find_link(topology.node_vertex(node), topology.node_vertex(neighbour));
      };
      grid.up.push_back(link_to(at + 1));
      grid.down.push_back(link_to(at - 1));
    }
  }
}

}  // namespace

Topology::Topology(const TopologySpec& spec) : spec_(spec) {
  check_topology(spec);
  GraphDraft draft = build(spec);
  links_ = std::move(draft.links);
  grid_ = std::move(draft.grid);
  parent_ = std::move(draft.parent);
  std::sort(links_.begin(), links_.end(),
            [](const Link& x, const Link& y) { return x.from != y.from ? x.from < y.from : x.to < y.to; });
  first_.assign(static_cast<std::size_t>(draft.vertices) + 1, 0);
  for (const Link& l : links_) ++first_[static_cast<std::size_t>(l.from) + 1];
  for (std::size_t v = 1; v < first_.size(); ++v) first_[v] += first_[v - 1];
  index_grid(*this, grid_);
  if (spec.kind == TopologyKind::Custom) check_connected(*this);
}

int Topology::find_link(int from, int to) const noexcept {
  if (from < 0 || from >= vertex_count()) return -1;
  const auto begin = links_.begin() + first_link(from), end = links_.begin() + first_link(from + 1);
  const auto at = std::lower_bound(begin, end, to, [](const Link& l, int t) { return l.to < t; });
  return at != end && at->to == to ? static_cast<int>(at - links_.begin()) : -1;
}

std::string Topology::vertex_name(int vertex) const {
  if (vertex < device_count()) return "rank " + std::to_string(vertex);
  const int hubs = has_hubs() ? spec_.nodes : 0, above = vertex - device_count();
  return above < hubs ? "node " + std::to_string(above) : "switch " + std::to_string(above - hubs);
}

namespace {

std::string name_of_link(int from, int to) { return "link " + std::to_string(from) + " -> " + std::to_string(to); }

bool check_known(Checker& check, int id, int from, int to) {
  return check.require(id >= 0, name_of_link(from, to), "no such link", "a link of the topology",
                       "topology_links() lists them");
}

}  // namespace

const Link& Topology::link(int from, int to) const {
  Checker check;
  const int id = find_link(from, to);
  check_known(check, id, from, to);
  check.throw_if_any();
  return links_[static_cast<std::size_t>(id)];
}

Topology Topology::with_links(const std::vector<Link>& changed) const {
  Checker check;
  Topology copy = *this;
  for (const Link& l : changed) {
    const int id = find_link(l.from, l.to);
    check_rate(check, name_of_link(l.from, l.to), l.rate);
    if (check_known(check, id, l.from, l.to)) copy.links_[static_cast<std::size_t>(id)].rate = l.rate;
  }
  check.throw_if_any();
  return copy;
}

}  // namespace dts

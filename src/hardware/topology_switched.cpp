// Topologies with switches (single switch, two-level fat tree, rail-optimised leaves, dragonfly), and the hubs that
// join the devices of one node.
#include <algorithm>
#include <cmath>

#include "hardware/topology_builders.hpp"

namespace dts {

namespace {

int ceil_div(int a, int b) { return (a + b - 1) / b; }

void climb(GraphDraft& draft, int child, int parent, double bandwidth_Bps, double latency_s) {
  add_both(draft, child, parent, bandwidth_Bps, latency_s);
  draft.parent[static_cast<std::size_t>(child)] = parent;
}

}  // namespace

int nodes_per_leaf(const TopologySpec& spec) {
  if (spec.radix > 0) return std::min(spec.radix, spec.nodes);
  if (spec.kind == TopologyKind::RailOptimized) return spec.nodes;
  return static_cast<int>(std::ceil(std::sqrt(spec.nodes)));
}

GraphDraft build_switch(const TopologySpec& spec) {
  GraphDraft draft;
  draft.vertices = spec.nodes + 1;
  draft.parent.assign(static_cast<std::size_t>(draft.vertices), -1);
  for (int node = 0; node < spec.nodes; ++node) {
    climb(draft, node, spec.nodes, spec.inter.bandwidth_Bps, spec.inter.latency_s / 2);
  }
  return draft;
}

GraphDraft build_fat_tree(const TopologySpec& spec) {
  const int per_leaf = nodes_per_leaf(spec), leaves = ceil_div(spec.nodes, per_leaf);
  const int spine = spec.nodes + leaves, spines = std::max(spec.spines, 1);
  GraphDraft draft;
  draft.vertices = spine + spines;
  draft.parent.assign(static_cast<std::size_t>(draft.vertices), -1);
  for (int node = 0; node < spec.nodes; ++node) {
    climb(draft, node, spec.nodes + node / per_leaf, spec.inter.bandwidth_Bps, spec.inter.latency_s / 2);
  }
  const double uplink_Bps = spec.inter.bandwidth_Bps * per_leaf / spec.oversubscription;
  for (int leaf = 0; leaf < leaves; ++leaf) {
    for (int s = 0; s < spines; ++s) {
      climb(draft, spec.nodes + leaf, spine + s, uplink_Bps / spines, spec.inter.latency_s);
    }
  }
  if (spines > 1) draft.parent.clear();  // no tree any more
  return draft;
}

GraphDraft build_rail_optimized(const TopologySpec& spec) {
  const int rails = spec.devices_per_node, per_leaf = nodes_per_leaf(spec);
  const int pods = ceil_div(spec.nodes, per_leaf), devices = spec.nodes * rails;
  const int leaf0 = devices + (rails > 1 ? spec.nodes : 0), spine0 = leaf0 + pods * rails;
  GraphDraft draft;
  const bool shared = spec.spines > 0, climbs = shared || pods > 1;
  const int spines = shared ? spec.spines : rails;
  draft.vertices = spine0 + (climbs ? spines : 0);
  for (int device = 0; device < devices; ++device) {
    const int node = device / rails, rail = device % rails;
    if (rails > 1) add_both(draft, device, devices + node, spec.intra.bandwidth_Bps, spec.intra.latency_s / 2);
    const int leaf = leaf0 + node / per_leaf * rails + rail;
    add_both(draft, device, leaf, spec.inter.bandwidth_Bps, spec.inter.latency_s / 2);
  }
  const double uplink_Bps = spec.inter.bandwidth_Bps * per_leaf / spec.oversubscription;
  for (int leaf = 0; climbs && leaf < pods * rails; ++leaf) {
    for (int s = 0; shared && s < spines; ++s) {
      add_both(draft, leaf0 + leaf, spine0 + s, uplink_Bps / spines, spec.inter.latency_s);
    }
    if (!shared) add_both(draft, leaf0 + leaf, spine0 + leaf % rails, uplink_Bps, spec.inter.latency_s);
  }
  return draft;
}

// Balanced dragonfly: p nodes per router, 2p routers per group (Kim, Dally, Scott, Abts, ISCA 2008).
DragonflyShape dragonfly_shape(const TopologySpec& spec) {
  const int balanced = std::max(1, static_cast<int>(std::lround(std::pow(spec.nodes / 4.0, 0.25))));
  const int p = std::min(spec.nodes, spec.radix > 0 ? spec.radix : balanced);
  const int routers = ceil_div(spec.nodes, p);
  const int a = std::min(routers, spec.group_size > 0 ? spec.group_size : 2 * p);
  return {p, a, ceil_div(routers, a)};
}

// Routers of a group are fully connected; each pair of groups shares one global link, landed on the routers in turn.
GraphDraft build_dragonfly(const TopologySpec& spec) {
  const auto [p, a, groups] = dragonfly_shape(spec);
  const double bandwidth_Bps = spec.inter.bandwidth_Bps, latency_s = spec.inter.latency_s;
  GraphDraft draft;
  draft.vertices = spec.nodes + groups * a;
  for (int node = 0; node < spec.nodes; ++node) {
    add_both(draft, node, spec.nodes + node / p, bandwidth_Bps, latency_s / 2);
  }
  for (int group = 0; group < groups; ++group) {
    const int first = spec.nodes + group * a;
    for (int i = 0; i < a; ++i) {
      for (int j = i + 1; j < a; ++j) add_both(draft, first + i, first + j, bandwidth_Bps, latency_s);
    }
    for (int other = group + 1; other < groups; ++other) {
      add_both(draft, first + (other - 1) % a, spec.nodes + other * a + group % a, bandwidth_Bps, latency_s);
    }
  }
  return draft;
}

GraphDraft attach_devices(GraphDraft draft, const TopologySpec& spec) {
  const int devices = spec.nodes * spec.devices_per_node;
  for (Link& link : draft.links) link = {link.from + devices, link.to + devices, link.rate};
  for (int& parent : draft.parent) parent = parent < 0 ? -1 : parent + devices;
  draft.parent.insert(draft.parent.begin(), draft.parent.empty() ? 0 : static_cast<std::size_t>(devices), -1);
  for (int device = 0; device < devices; ++device) {
    const int hub = devices + device / spec.devices_per_node;
    add_both(draft, device, hub, spec.intra.bandwidth_Bps, spec.intra.latency_s / 2);
    if (!draft.parent.empty()) draft.parent[static_cast<std::size_t>(device)] = hub;
  }
  draft.vertices += devices;
  return draft;
}

}  // namespace dts

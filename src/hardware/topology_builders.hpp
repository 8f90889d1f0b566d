// The builders behind Topology: each turns a checked spec into a draft graph. Node-level drafts number nodes first,
// then switches; `attach_devices` hangs the devices of each node on a hub.
#pragma once

#include <string>

#include "error.hpp"
#include "hardware/topology.hpp"

namespace dts {

void add_both(GraphDraft& draft, int a, int b, double bandwidth_Bps, double latency_s);

GraphDraft build_ring(const TopologySpec& spec);
GraphDraft build_tree(const TopologySpec& spec);
GraphDraft build_fully_connected(const TopologySpec& spec);
GraphDraft build_grid(const TopologySpec& spec, int dimensions, bool wraps);
GraphDraft build_custom(const TopologySpec& spec);
GraphDraft build_switch(const TopologySpec& spec);
GraphDraft build_fat_tree(const TopologySpec& spec);
GraphDraft build_dragonfly(const TopologySpec& spec);
GraphDraft build_rail_optimized(const TopologySpec& spec);  // places devices and hubs itself
GraphDraft attach_devices(GraphDraft node_level, const TopologySpec& spec);

// Defaults that a spec leaves open.
int tree_arity(const TopologySpec& spec);
int nodes_per_leaf(const TopologySpec& spec);
struct DragonflyShape {
  int nodes_per_router, routers_per_group, groups;
};
DragonflyShape dragonfly_shape(const TopologySpec& spec);

void check_rate(Checker& check, const std::string& where, const LinkRate& rate);

}  // namespace dts

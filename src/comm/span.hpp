// How a group of ranks lies on a cluster: members per scale-up domain and domains crossed. Ranks are numbered node by
// node, so a domain holds consecutive ranks. Left out: which members share a node inside a larger domain (a rack-scale
// domain is flat) and the order of members, which the libraries choose themselves.
#pragma once

#include <vector>

#include "comm/collective.hpp"
#include "hardware/cluster.hpp"

namespace dts {

// Ranks first, first + stride, ... (size of them). Throws ConfigError when one of them is not on the cluster.
GroupSpan span_of(const ClusterSpec& cluster, int size, int stride = 1, int first = 0);

// Any list of distinct ranks, in any order.
GroupSpan span_of(const ClusterSpec& cluster, std::vector<int> ranks);

// NICs of a node as its devices see them: neighbours share one, where there are fewer than devices.
int nic_ports(const NodeSpec& node) noexcept;
inline int nic_position(const NodeSpec& node, int local) noexcept { return local * nic_ports(node) / node.devices; }

// What a group's NICs reach while no sibling uses them, over the even share of its members: 2 for one of two devices
// that share a NIC. Of the domain where its members own least.
double nics_alone(const ClusterSpec& cluster, std::vector<int> ranks, const GroupSpan& span);

}  // namespace dts

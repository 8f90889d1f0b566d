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

}  // namespace dts

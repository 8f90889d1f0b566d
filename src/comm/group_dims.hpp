// The grid that a group of ranks forms on a topology, for the algorithms that work along dimensions (comm/classic.hpp).
#pragma once

#include <vector>

#include "comm/classic.hpp"
#include "hardware/topology.hpp"

namespace dts {

// First dimension fastest; empty where the group forms none. Torus bucket: all ranks in order on a grid of single
// devices. Hierarchical: as many members, two or more, on each of several nodes, one node after the other; over all
// ranks of a grid of nodes its dimensions follow that of the node.
std::vector<int> group_dims(const Topology& topology, Algorithm algorithm, const std::vector<int>& members);

}  // namespace dts

// A network as a graph: vertices are devices and switches, edges are directed links with a bandwidth (bytes/s) and a
// latency (s). Devices are 0 .. nodes*devices_per_node-1, node by node; with several devices per node each node gets
// a hub (its scale-up switch) to which its devices attach, and the hubs carry the inter-node links; switches follow.
//
// `inter` and `intra` state one hop between two nodes, or two devices of a node. A link that ends on a switch or hub
// carries half of that latency (node-to-node over one switch = one latency); switch-to-switch links carry it whole.
// Switch-to-switch capacity is one aggregate link, i.e. perfect spraying over parallel cables, unless `spines` says how
// many switches share it. Left out: queueing, switch radix limits.
#pragma once

#include <string>
#include <vector>

namespace dts {

enum class TopologyKind {
  Ring,
  Tree,
  FullyConnected,
  Mesh2D,
  Torus2D,
  Torus3D,
  Switch,
  FatTree,
  RailOptimized,
  Dragonfly,
  Custom
};

struct LinkRate {
  double bandwidth_Bps = 0;
  double latency_s = 0;
};

struct Link {
  int from = 0, to = 0;
  LinkRate rate;
};

struct TopologySpec {
  TopologyKind kind = TopologyKind::Ring;
  int nodes = 1;
  int devices_per_node = 1;
  LinkRate inter{50e9, 5e-6};   // 400 Gb/s NIC class
  LinkRate intra{300e9, 1e-6};  // NVLink class
  std::vector<int> dims;        // mesh, torus: nodes per dimension; empty = most square
  // Tree: children per node (2). Fat tree: nodes per leaf (about sqrt(nodes)). Rail: nodes per leaf (all).
  // Dragonfly: nodes per router (balanced, about (nodes/4)^(1/4)). 0 = the default in brackets.
  int radix = 0;
  int group_size = 0;           // dragonfly: routers per group; 0 = 2 * radix
  double oversubscription = 1;  // fat tree, rail: bandwidth below a leaf / above it
  int switches = 0;             // custom: switch vertices; link ends are 0..nodes-1 (nodes), then the switches
  std::vector<Link> links;      // custom: directed links
  // Fat tree, rail: spine switches that share the uplinks of every leaf, of all rails too. 0: one, or one per rail,
  // that stands for all.
  int spines = 0;
};

// Nodes on a grid with dimension-ordered routes; a ring is a torus of one dimension. Empty for other kinds.
struct Grid {
  std::vector<int> dims;  // last dimension varies fastest
  bool wraps = false;
  std::vector<int> up, down;  // per node and dimension: the link to the next node up or down, -1 at an edge
};

inline constexpr int kMaxDevices = 1 << 20;
inline constexpr double kMaxLinks = 1 << 21;

// What a builder of one kind produces, before the links are sorted and indexed.
struct GraphDraft {
  int vertices = 0;
  std::vector<Link> links;
  Grid grid;
  std::vector<int> parent;  // where the graph is a tree: parent of each vertex, -1 at the root; else empty
};

class Topology {
 public:
  explicit Topology(const TopologySpec& spec);  // throws ConfigError naming every problem

  const TopologySpec& spec() const noexcept { return spec_; }
  int device_count() const noexcept { return spec_.nodes * spec_.devices_per_node; }
  int vertex_count() const noexcept { return static_cast<int>(first_.size()) - 1; }
  bool has_hubs() const noexcept { return spec_.devices_per_node > 1; }
  // The vertex that carries a node's inter-node links: its hub, or its only device.
  int node_vertex(int node) const noexcept { return has_hubs() ? device_count() + node : node; }
  std::string vertex_name(int vertex) const;

  // Sorted by (from, to); the index is the link's id. Links that leave a vertex: [first_link(v), first_link(v + 1)).
  const std::vector<Link>& links() const noexcept { return links_; }
  int first_link(int vertex) const noexcept { return first_[static_cast<std::size_t>(vertex)]; }
  int find_link(int from, int to) const noexcept;  // -1 where there is none
  const Link& link(int from, int to) const;        // throws ConfigError where there is none
  const Grid& grid() const noexcept { return grid_; }
  const std::vector<int>& parent() const noexcept { return parent_; }

  // A copy in which the links with these ends have these rates; throws ConfigError naming every unknown link.
  Topology with_links(const std::vector<Link>& changed) const;

 private:
  TopologySpec spec_;
  std::vector<Link> links_;
  std::vector<int> first_;
  Grid grid_;
  std::vector<int> parent_;
};

// The most square factorisation of `count` into `dimensions` factors, largest first.
std::vector<int> square_factors(int count, int dimensions);

// Throws ConfigError naming every violation of a spec, before anything is built.
void check_topology(const TopologySpec& spec);

}  // namespace dts

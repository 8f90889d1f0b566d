#include "hardware/topology.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "error.hpp"
#include "hardware/routing.hpp"

namespace {

using dts::Topology;
using dts::TopologyKind;
using dts::TopologySpec;

TopologySpec spec_of(TopologyKind kind, int nodes, int devices_per_node = 1) {
  TopologySpec spec;
  spec.kind = kind;
  spec.nodes = nodes;
  spec.devices_per_node = devices_per_node;
  return spec;
}

constexpr TopologyKind kBuiltIn[] = {TopologyKind::Ring,     TopologyKind::Tree,    TopologyKind::FullyConnected,
                                     TopologyKind::Mesh2D,   TopologyKind::Torus2D, TopologyKind::Torus3D,
                                     TopologyKind::Switch,   TopologyKind::FatTree, TopologyKind::RailOptimized,
                                     TopologyKind::Dragonfly};

std::string message_of(const TopologySpec& spec) {
  try {
    Topology topology(spec);
  } catch (const dts::ConfigError& e) {
    return e.what();
  }
  return "";
}

// Fewest hops by plain Bellman-Ford, as a reference for the router.
std::vector<int> hops_from(const Topology& topology, int source) {
  const int far = 1 << 20;
  std::vector<int> hops(static_cast<std::size_t>(topology.vertex_count()), far);
  hops[static_cast<std::size_t>(source)] = 0;
  for (bool changed = true; changed;) {
    changed = false;
    for (const dts::Link& l : topology.links()) {
      const int reached = hops[static_cast<std::size_t>(l.from)] + 1;
      if (reached < hops[static_cast<std::size_t>(l.to)]) {
        hops[static_cast<std::size_t>(l.to)] = reached;
        changed = true;
      }
    }
  }
  return hops;
}

std::vector<int> vertices_of(const Topology& topology, int from, int to) {
  dts::Router router(topology);
  std::vector<int> vertices{from};
  for (int id : router.route(from, to)) vertices.push_back(topology.links()[static_cast<std::size_t>(id)].to);
  return vertices;
}

TEST(Topology, LinkCountsAreThoseOfTheGraph) {
  const auto count = [](TopologySpec spec) { return Topology(spec).links().size(); };
  EXPECT_EQ(count(spec_of(TopologyKind::Ring, 8)), 16u);
  EXPECT_EQ(count(spec_of(TopologyKind::Ring, 2)), 2u);
  EXPECT_EQ(count(spec_of(TopologyKind::Ring, 1)), 0u);
  EXPECT_EQ(count(spec_of(TopologyKind::Tree, 7)), 12u);
  EXPECT_EQ(count(spec_of(TopologyKind::FullyConnected, 8)), 56u);
  EXPECT_EQ(count(spec_of(TopologyKind::Mesh2D, 12)), 34u);    // 4x3: 3*3 + 4*2 = 17 cables
  EXPECT_EQ(count(spec_of(TopologyKind::Torus2D, 12)), 48u);   // 2 cables per node
  EXPECT_EQ(count(spec_of(TopologyKind::Torus3D, 8)), 24u);    // 2x2x2: wrap-around adds nothing
  EXPECT_EQ(count(spec_of(TopologyKind::Torus3D, 27)), 162u);  // 3 cables per node
  EXPECT_EQ(count(spec_of(TopologyKind::Switch, 8)), 16u);
  EXPECT_EQ(count(spec_of(TopologyKind::FatTree, 16)), 40u);           // 16 down, 4 up
  EXPECT_EQ(count(spec_of(TopologyKind::Dragonfly, 8)), 36u);          // 8 nodes, 4 groups of 2 routers: 8 + 4 + 6
  EXPECT_EQ(count(spec_of(TopologyKind::RailOptimized, 4, 8)), 128u);  // 32 devices to hub and to rail
  EXPECT_EQ(count(spec_of(TopologyKind::Ring, 4, 8)), 72u);            // 32 to hubs, 4 between hubs
}

TEST(Topology, GridsAreAsSquareAsTheCountAllows) {
  EXPECT_EQ(dts::square_factors(12, 2), (std::vector<int>{4, 3}));
  EXPECT_EQ(dts::square_factors(64, 3), (std::vector<int>{4, 4, 4}));
  EXPECT_EQ(dts::square_factors(7, 2), (std::vector<int>{7, 1}));
  EXPECT_EQ(dts::square_factors(24, 3), (std::vector<int>{4, 3, 2}));
}

TEST(Topology, OneSwitchCostsTheLatencyOfOneHop) {
  const Topology topology(spec_of(TopologyKind::Switch, 4));
  EXPECT_DOUBLE_EQ(topology.link(0, 4).rate.latency_s, 2.5e-6);
  EXPECT_DOUBLE_EQ(topology.link(4, 0).rate.bandwidth_Bps, 50e9);
}

TEST(Topology, OversubscriptionThinsUplinks) {
  TopologySpec spec = spec_of(TopologyKind::FatTree, 16);
  spec.radix = 8;
  EXPECT_DOUBLE_EQ(Topology(spec).link(16, 18).rate.bandwidth_Bps, 400e9);
  spec.oversubscription = 4;
  EXPECT_DOUBLE_EQ(Topology(spec).link(16, 18).rate.bandwidth_Bps, 100e9);
}

TEST(Topology, RailsOfSeveralPodsMeetInThinnedSpines) {
  TopologySpec spec = spec_of(TopologyKind::RailOptimized, 4, 2);  // 8 devices, 4 hubs, 4 leaves, 2 spines
  spec.radix = 2;
  spec.oversubscription = 2;
  const Topology topology(spec);
  EXPECT_EQ(topology.vertex_count(), 18);
  EXPECT_DOUBLE_EQ(topology.link(12, 16).rate.bandwidth_Bps, 50e9);  // two nodes' NICs over two
  EXPECT_EQ(topology.find_link(12, 17), -1);
}

TEST(Topology, DragonflySpreadsGlobalLinksOverTheRouters) {
  TopologySpec spec = spec_of(TopologyKind::Dragonfly, 12);  // routers 12-14, 15-17, 18-20, 21-23
  spec.radix = 1;
  spec.group_size = 3;
  const Topology topology(spec);
  for (const auto& [a, b] : {std::pair{12, 15}, {13, 18}, {14, 21}, {16, 19}, {17, 22}, {20, 23}}) {
    EXPECT_GE(topology.find_link(a, b), 0) << a << " " << b;
  }
}

TEST(Topology, NamesVertices) {
  const Topology topology(spec_of(TopologyKind::Switch, 2, 4));
  EXPECT_EQ(topology.vertex_name(7), "rank 7");
  EXPECT_EQ(topology.vertex_name(9), "node 1");
  EXPECT_EQ(topology.vertex_name(10), "switch 0");
  EXPECT_EQ(topology.node_vertex(1), 9);
}

TEST(Topology, ReportsEveryProblemOfASpec) {
  TopologySpec spec = spec_of(TopologyKind::Ring, 0);
  spec.inter = {-1, std::numeric_limits<double>::quiet_NaN()};
  spec.dims = {2, 2};
  spec.oversubscription = 2;
  spec.group_size = 3;
  const std::string text = message_of(spec);
  for (const char* part :
       {"num_nodes: got 0", "bandwidth: got -1", "latency: got nan", "oversubscription", "group_size"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
  }
}

TEST(Topology, DimensionsMustFitKindAndCount) {
  TopologySpec spec = spec_of(TopologyKind::Torus2D, 12);
  spec.dims = {4, 4};
  EXPECT_NE(message_of(spec).find("4 x 4, expected a product of num_nodes=12"), std::string::npos);
  spec.dims = {3, 2, 2};
  EXPECT_NE(message_of(spec).find("expected 2 dimensions"), std::string::npos);
  spec.kind = TopologyKind::Switch;
  EXPECT_NE(message_of(spec).find("expected none"), std::string::npos);
  spec.kind = TopologyKind::Torus3D;
  EXPECT_EQ(message_of(spec), "");
}

TEST(Topology, CustomLinksAreCheckedOneByOne) {
  TopologySpec spec = spec_of(TopologyKind::Custom, 3);
  const dts::LinkRate rate{1e9, 0};
  spec.links = {{0, 1, rate}, {0, 1, rate}, {1, 1, rate}, {1, 7, rate}, {2, 1, {0, 0}}, {1, 2, {INFINITY, 0}}};
  const std::string text = message_of(spec);
  for (const char* part : {"links[1]: got 0 -> 1, expected one link", "links[2]: got 1 -> 1, expected two different",
                           "links[3]: got 1 -> 7", "links[4].bandwidth: got 0", "links[5].bandwidth: got inf"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
  }
}

TEST(Topology, DisconnectedRanksAreNamedInBothDirections) {
  TopologySpec spec = spec_of(TopologyKind::Custom, 4);
  const dts::LinkRate rate{1e9, 0};
  spec.links = {{0, 1, rate}, {1, 0, rate}, {0, 2, rate}};
  const std::string text = message_of(spec);
  EXPECT_NE(text.find("no way from rank 0 to rank 3"), std::string::npos) << text;
  EXPECT_NE(text.find("no way back to rank 0 from rank 2, 3"), std::string::npos) << text;
}

TEST(Topology, RefusesAbsurdSizesWithoutBuildingThem) {
  EXPECT_NE(message_of(spec_of(TopologyKind::FullyConnected, 1 << 20)).find("at most"), std::string::npos);
  EXPECT_NE(message_of(spec_of(TopologyKind::Ring, 2147483647, 2147483647)).find("at most"), std::string::npos);
  TopologySpec groups = spec_of(TopologyKind::Dragonfly, 1 << 20);
  groups.radix = groups.group_size = 1;
  EXPECT_NE(message_of(groups).find("links"), std::string::npos);
}

TEST(Topology, ChangedLinksLeaveTheOriginalAlone) {
  const Topology ring(spec_of(TopologyKind::Ring, 4));
  const Topology slow = ring.with_links({{0, 1, {1e9, 2e-6}}});
  EXPECT_DOUBLE_EQ(slow.link(0, 1).rate.bandwidth_Bps, 1e9);
  EXPECT_DOUBLE_EQ(slow.link(1, 0).rate.bandwidth_Bps, 50e9);
  EXPECT_DOUBLE_EQ(ring.link(0, 1).rate.bandwidth_Bps, 50e9);
  EXPECT_THROW(ring.with_links({{0, 2, {1e9, 0}}}), dts::ConfigError);
  EXPECT_THROW(ring.with_links({{0, 1, {0, 0}}}), dts::ConfigError);
  EXPECT_THROW(ring.link(0, 99), dts::ConfigError);
}

TEST(Routing, TakesTheFewestHopsOnEveryKind) {
  for (TopologyKind kind : kBuiltIn) {
    for (const auto& [nodes, devices] : {std::pair{1, 1}, {2, 1}, {12, 1}, {27, 1}, {6, 4}, {1, 8}}) {
      const Topology topology(spec_of(kind, nodes, devices));
      dts::Router router(topology);
      for (int from = 0; from < topology.device_count(); ++from) {
        const std::vector<int> hops = hops_from(topology, from);
        for (int to = 0; to < topology.device_count(); ++to) {
          int at = from;
          const auto route = router.route(from, to);
          for (int id : route) {
            ASSERT_GE(id, 0);
            ASSERT_EQ(topology.links()[static_cast<std::size_t>(id)].from, at);
            at = topology.links()[static_cast<std::size_t>(id)].to;
          }
          ASSERT_EQ(at, to);
          ASSERT_EQ(static_cast<int>(route.size()), hops[static_cast<std::size_t>(to)])
              << static_cast<int>(kind) << ": " << from << " -> " << to;
        }
      }
    }
  }
}

TEST(Routing, GridsGoFastestDimensionFirst) {
  TopologySpec spec = spec_of(TopologyKind::Mesh2D, 12);
  spec.dims = {3, 4};
  EXPECT_EQ(vertices_of(Topology(spec), 0, 6), (std::vector<int>{0, 1, 2, 6}));
  spec.kind = TopologyKind::Torus2D;
  EXPECT_EQ(vertices_of(Topology(spec), 0, 11), (std::vector<int>{0, 3, 11}));  // wraps both ways
}

TEST(Routing, HalfwayTiesGoBothWaysAroundARing) {
  const Topology ring(spec_of(TopologyKind::Ring, 4));
  EXPECT_EQ(vertices_of(ring, 0, 2), (std::vector<int>{0, 1, 2}));
  EXPECT_EQ(vertices_of(ring, 1, 3), (std::vector<int>{1, 0, 3}));
}

TEST(Routing, RailsKeepTheirTrafficAndCrossRailsInTheNode) {
  const Topology topology(spec_of(TopologyKind::RailOptimized, 2, 2));  // hubs 4, 5; leaves 6, 7
  EXPECT_EQ(vertices_of(topology, 1, 3), (std::vector<int>{1, 7, 3}));
  EXPECT_EQ(vertices_of(topology, 0, 3), (std::vector<int>{0, 4, 1, 7, 3}));
}

TEST(Routing, FollowsDirectedCustomLinks) {
  TopologySpec spec = spec_of(TopologyKind::Custom, 3);
  const dts::LinkRate rate{1e9, 1e-6};
  spec.links = {{0, 1, rate}, {1, 2, rate}, {2, 0, rate}};
  EXPECT_EQ(vertices_of(Topology(spec), 2, 1), (std::vector<int>{2, 0, 1}));
}

}  // namespace

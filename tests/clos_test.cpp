#include "network/clos.hpp"

#include <gtest/gtest.h>

#include <map>

#include "error.hpp"

namespace {

using dts::Clos;
using dts::ClosOptions;
using dts::ClusterSpec;
using dts::LinkPart;
using dts::PathRouting;

ClusterSpec cluster(int nodes, double nics = 8) {
  ClusterSpec c;
  c.nodes = nodes;
  c.node.nics = nics;
  return c;
}

std::vector<std::string> path(const Clos& clos, int from, int to) {
  std::vector<LinkPart> parts;
  clos.route(from, to, parts);
  std::vector<std::string> names;
  for (const LinkPart& p : parts) names.push_back(clos.name(p.link));
  return names;
}

using Names = std::vector<std::string>;

TEST(Clos, InsideADomainOnlyPortsAreUsed) {
  const Clos clos(cluster(4), {});
  EXPECT_EQ(path(clos, 1, 6), (Names{"port 1 out", "port 6 in"}));
}

TEST(Clos, ALeafJoinsItsNodesWithoutASpine) {
  ClosOptions options;
  options.nodes_per_leaf = 2;
  const Clos clos(cluster(4), options);
  EXPECT_EQ(path(clos, 1, 9), (Names{"nic 0.1 up", "nic 1.1 down"}));
  EXPECT_EQ(path(clos, 1, 17), (Names{"nic 0.1 up", "leaf 0 - spine 0 up", "leaf 1 - spine 0 down", "nic 2.1 down"}));
}

TEST(Clos, OnRailsOnlyOtherRailsClimb) {
  ClosOptions options;
  options.rail_optimized = true;
  const Clos clos(cluster(4), options);
  EXPECT_EQ(clos.leaves(), 8);
  EXPECT_EQ(path(clos, 1, 25), (Names{"nic 0.1 up", "nic 3.1 down"}));
  EXPECT_EQ(path(clos, 1, 26).size(), 4u);
  options.routing = PathRouting::RailAligned;
  EXPECT_EQ(path(Clos(cluster(4), options), 1, 26), (Names{"port 1 out", "port 2 in", "nic 0.2 up", "nic 3.2 down"}));
}

TEST(Clos, NeighboursShareANicWhereThereAreFewer) {
  const Clos clos(cluster(2, 4), {});
  EXPECT_EQ(clos.nic_of(2), 1);
  EXPECT_EQ(clos.nic_of(3), 1);
  EXPECT_EQ(clos.nic_of(8), 4);
  EXPECT_EQ(path(clos, 3, 8), (Names{"nic 0.1 up", "nic 1.0 down"}));
}

TEST(Clos, MoreNicsThanDevicesStandForOneEach) {
  const Clos clos(cluster(2, 32), {});
  EXPECT_EQ(clos.nics_per_node(), 8);
  EXPECT_DOUBLE_EQ(clos.capacity_Bps(2 * 16), 4 * 50e9);
}

// Bandwidth below a leaf over that above it is the oversubscription, whatever the number of spines.
TEST(Clos, UplinksCarryWhatOversubscriptionLeaves) {
  for (int spines : {1, 2, 4}) {
    ClosOptions options;
    options.nodes_per_leaf = 2, options.spines = spines, options.oversubscription = 4;
    const Clos clos(cluster(4), options);
    double up = 0;
    for (std::size_t link = 0; link < clos.size(); ++link) {
      if (clos.name(link).rfind("leaf 0", 0) == 0 && clos.name(link).find(" up") != std::string::npos)
        up += clos.capacity_Bps(link);
    }
    EXPECT_DOUBLE_EQ(up, 16 * 50e9 / 4);
  }
}

TEST(Clos, DeadSpinesAreAvoidedAndDeadEndsNamed) {
  ClosOptions options;
  options.nodes_per_leaf = 1, options.spines = 2;
  options.cables = {{"leaf 0 - spine 1", 0, 0}};
  const Clos clos(cluster(2), options);
  for (int to = 8; to < 16; ++to) EXPECT_EQ(path(clos, 0, to)[1], "leaf 0 - spine 0 up");
  options.cables = {{"leaf 0 - spine 1", 0, 0}, {"leaf 1 - spine 0", 0, 0}};
  try {
    path(Clos(cluster(2), options), 0, 8);
    FAIL();
  } catch (const dts::InfeasibleError& error) {
    EXPECT_NE(std::string(error.what()).find("from rank 0 to rank 8"), std::string::npos) << error.what();
  }
}

TEST(Clos, AdaptiveSpraysByWhatIsLeft) {
  ClosOptions options;
  options.nodes_per_leaf = 1, options.spines = 2, options.routing = PathRouting::Adaptive;
  options.cables = {{"leaf 1 - spine 0", 0.5, 0}};
  const Clos clos(cluster(2), options);
  std::vector<LinkPart> parts;
  clos.route(0, 8, parts);
  std::map<std::string, double> part;
  for (const LinkPart& p : parts) part[clos.name(p.link)] = p.part;
  EXPECT_DOUBLE_EQ(part["leaf 0 - spine 0 up"], 1.0 / 3);
  EXPECT_DOUBLE_EQ(part["leaf 0 - spine 1 up"], 2.0 / 3);
  EXPECT_DOUBLE_EQ(part["nic 0.0 up"], 1);
}

TEST(Clos, EcmpKeepsAPairAndUsesEverySpine) {
  ClosOptions options;
  options.nodes_per_leaf = 1, options.spines = 4, options.routing = PathRouting::Ecmp;
  const Clos clos(cluster(8), options);
  std::map<std::string, int> used;
  for (int from = 0; from < 8; ++from) {
    for (int to = 8; to < 64; ++to) ++used[path(clos, from, to)[1]];
  }
  EXPECT_EQ(used.size(), 4u);
  for (const auto& [name, times] : used) EXPECT_GT(times, 60) << name;
  EXPECT_EQ(path(clos, 3, 40), path(clos, 3, 40));
}

TEST(Clos, CablesChangeWithTime) {
  ClosOptions options;
  options.cables = {{"nic 0.0", 0.5, 0}, {"nic 0.0", 0, 2}, {"nic 0.0", 1, 3}, {"port 1", 0.5, 2}};
  Clos clos(cluster(2), options);
  const std::size_t nic = 2 * 16;
  EXPECT_EQ(clos.change_times_s(), (std::vector<double>{2, 3}));
  EXPECT_DOUBLE_EQ(clos.left_Bps(nic), 25e9);
  EXPECT_TRUE(clos.set_time(2));  // dead: routes change
  EXPECT_EQ(clos.left_Bps(nic), 0);
  EXPECT_DOUBLE_EQ(clos.left_Bps(2), 225e9);
  EXPECT_TRUE(clos.set_time(3));
  EXPECT_DOUBLE_EQ(clos.left_Bps(nic), 50e9);
}

TEST(Clos, EveryBadOptionIsNamed) {
  ClosOptions options;
  options.cables = {{"nic 9.0", 0.5, 0}, {"cable 3", 0.5, 0}, {"nic 0.0", 2, -1}};
  try {
    Clos(cluster(2), options);
    FAIL();
  } catch (const dts::ConfigError& error) {
    EXPECT_EQ(error.violations().size(), 4u) << error.what();
  }
  options = {};
  options.oversubscription = 0, options.spines = -1, options.routing = PathRouting::RailAligned;
  try {
    Clos(cluster(2), options);
    FAIL();
  } catch (const dts::ConfigError& error) {
    EXPECT_EQ(error.violations().size(), 3u) << error.what();
  }
}

}  // namespace

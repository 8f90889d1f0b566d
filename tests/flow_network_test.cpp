// Runs on the flow network: closed forms, sharing, order, dead links, deadlock, what is logged.
#include "network/flow_network.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "error.hpp"

namespace {

using dts::FlowNetwork;
using dts::FlowNetworkOptions;
using dts::FlowProgram;
using dts::PathRouting;
using dts::TopologyKind;

constexpr double kB = 50e9, kAlpha = 5e-6;

dts::TopologySpec spec_of(TopologyKind kind, int nodes, int devices = 1) {
  dts::TopologySpec spec;
  spec.kind = kind;
  spec.nodes = nodes;
  spec.devices_per_node = devices;
  return spec;
}

FlowNetwork network_of(const dts::TopologySpec& spec, FlowNetworkOptions options = {}) {
  return FlowNetwork(dts::Topology(spec), std::move(options));
}

template <class Error>
std::string message_of(const FlowNetwork& network, const FlowProgram& program) {
  try {
    network.run(program);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(FlowNetwork, OneMessageTakesItsPathsLatencyAndTheNarrowestLink) {
  const FlowNetwork network = network_of(spec_of(TopologyKind::Ring, 8, 2));
  FlowProgram program;
  program.send(0, 9, 1e9);  // through both hubs and four links of the ring
  const dts::FlowResult result = network.run(program);
  EXPECT_DOUBLE_EQ(result.end_s, 1e9 / kB + 2 * 0.5e-6 + 4 * kAlpha);
  EXPECT_EQ(result.flows, 1u);
}

TEST(FlowNetwork, MessagesThatMeetOnALinkShareIt) {
  const FlowNetwork network = network_of(spec_of(TopologyKind::Switch, 4));
  FlowProgram program;
  program.send(0, 3, 1e9);
  program.send(1, 3, 2e9);  // has the port alone once the first is through
  const dts::FlowResult result = network.run(program);
  EXPECT_NEAR(result.finish_s[0], 2e9 / kB + kAlpha, 1e-12);
  EXPECT_NEAR(result.finish_s[1], 3e9 / kB + kAlpha, 1e-12);
}

TEST(FlowNetwork, TwoGroupsOnOneUplinkSlowEachOther) {
  dts::TopologySpec spec = spec_of(TopologyKind::FatTree, 8);
  spec.radix = 4;
  spec.oversubscription = 4;  // each leaf of four has the uplink of one
  const auto all_gather = [](FlowProgram& program, std::vector<int> ranks) {
    const auto schedule = dts::classic_schedule(dts::CollectiveKind::AllGather, dts::Algorithm::Ring, 1e9, 2);
    return program.communicate(program.add_pattern(dts::make_pattern(schedule, 2)),
                               program.add_group(std::move(ranks)));
  };
  FlowProgram alone, together, apart;
  all_gather(alone, {0, 4});
  all_gather(together, {0, 4});
  all_gather(together, {1, 5});
  all_gather(apart, {0, 4});
  all_gather(apart, {1, 2});
  const FlowNetwork network = network_of(spec);
  const double alone_s = network.run(alone).finish_s[0];
  EXPECT_NEAR(network.run(together).finish_s[0] - alone_s, 0.5e9 / kB, 1e-9);
  EXPECT_DOUBLE_EQ(network.run(apart).finish_s[0], alone_s);
}

TEST(FlowNetwork, ADegradedLinkMovesOnlyWhatIsRoutedOverIt) {
  const dts::Topology ring(spec_of(TopologyKind::Ring, 8));
  FlowProgram program;
  for (int rank = 0; rank < 8; ++rank) program.send(rank, (rank + 1) % 8, 1e9);
  const auto before = FlowNetwork(ring, {}).run(program).finish_s;
  const auto after = FlowNetwork(ring.with_links({{2, 3, {kB / 10, kAlpha}}}), {}).run(program).finish_s;
  for (std::size_t i = 0; i < 8; ++i) {
    EXPECT_NEAR(after[i], i == 2 ? 10e9 / kB + kAlpha : before[i], 1e-12);
  }
}

TEST(FlowNetwork, DeadLinksAreGoneRoundOrNamed) {
  FlowNetworkOptions options;
  options.paths.dead_links = {{0, 1}};
  FlowProgram program;
  program.send(0, 1, 1e9);
  const double around_s = network_of(spec_of(TopologyKind::Ring, 4), options).run(program).end_s;
  EXPECT_DOUBLE_EQ(around_s, 1e9 / kB + 3 * kAlpha);
  options.paths.dead_links = {{0, 1}, {3, 0}};
  const std::string text =
      message_of<dts::InfeasibleError>(network_of(spec_of(TopologyKind::Ring, 4), options), program);
  EXPECT_NE(text.find("a path from rank 0 to rank 1"), std::string::npos) << text;
  options.paths.dead_links = {{0, 2}};
  EXPECT_THROW(network_of(spec_of(TopologyKind::Ring, 4), options), dts::ConfigError);
}

TEST(FlowNetwork, BackgroundTakesItsShareButNoMoreThanItsDemand) {
  FlowProgram program;
  program.send(0, 1, 1e9);
  const auto time_s = [&](double demand_Bps) {
    FlowNetworkOptions options;
    options.background = {{2, 1, demand_Bps}};
    return network_of(spec_of(TopologyKind::Switch, 3), options).run(program).end_s - kAlpha;
  };
  EXPECT_NEAR(time_s(10e9), 1e9 / 40e9, 1e-12);
  EXPECT_NEAR(time_s(1e12), 1e9 / 25e9, 1e-12);
}

TEST(FlowNetwork, TasksWaitForDependenciesStreamsAndRelease) {
  const FlowNetwork network = network_of(spec_of(TopologyKind::Switch, 2));
  FlowProgram program(1);
  const auto first = program.compute(0, 1e-3, {0});
  const auto second = program.compute(0, 2e-3, {0});
  const auto late = program.send(0, 1, 0, {}, 10e-3);
  const auto after = program.send(0, 1, 50e6);
  program.depend(after, second);
  const dts::FlowResult result = network.run(program);
  EXPECT_DOUBLE_EQ(result.finish_s[first], 1e-3);
  EXPECT_DOUBLE_EQ(result.start_s[second], 1e-3);
  EXPECT_DOUBLE_EQ(result.start_s[late], 10e-3);
  EXPECT_DOUBLE_EQ(result.finish_s[late], 10e-3 + kAlpha);
  EXPECT_DOUBLE_EQ(result.start_s[after], 3e-3);
  EXPECT_DOUBLE_EQ(result.finish_s[after], 4e-3 + kAlpha);
}

TEST(FlowNetwork, ACircleIsNamedWithItsRanksAndNeverHangs) {
  const FlowNetwork network = network_of(spec_of(TopologyKind::Switch, 8));
  FlowProgram program(2);
  program.compute(0, 1e-3);
  const auto a = program.send(4, 5, 1, {0}), b = program.send(6, 7, 1, {1});
  program.set_name(a, "grads");
  program.depend(a, b);
  program.depend(b, a);
  const std::string text = message_of<dts::ConfigError>(network, program);
  EXPECT_NE(text.find("2 of 3 tasks"), std::string::npos) << text;
  EXPECT_NE(text.find("ranks 4, 5, 6, 7"), std::string::npos) << text;
  EXPECT_NE(text.find("'grads' waits for"), std::string::npos) << text;
}

TEST(FlowNetwork, StreamsInOppositeOrdersAreADeadlock) {  // rank 0 issues A then B, rank 1 B then A
  FlowProgram program(2);
  const auto a0 = program.send(0, 1, 1, {0}), b0 = program.send(0, 1, 1, {0});
  const auto b1 = program.send(1, 0, 1, {1}), a1 = program.send(1, 0, 1, {1});
  program.depend(a0, a1);
  program.depend(b1, b0);
  EXPECT_NE(message_of<dts::ConfigError>(network_of(spec_of(TopologyKind::Ring, 2)), program).find("deadlock"),
            std::string::npos);
}

TEST(FlowNetwork, RefusesWhatDoesNotExist) {
  const FlowNetwork network = network_of(spec_of(TopologyKind::Ring, 4));
  FlowProgram far, loop, twice, unknown;
  far.send(0, 4, 1);
  EXPECT_THROW(network.run(far), dts::ConfigError);
  EXPECT_THROW(loop.send(1, 1, 1), dts::ConfigError);
  EXPECT_THROW(twice.add_group({0, 1, 0}), dts::ConfigError);
  EXPECT_THROW(twice.send(0, 1, -1), dts::ConfigError);
  EXPECT_THROW(twice.compute(0, std::nan("")), dts::ConfigError);
  unknown.depend(unknown.compute(0, 1), 7);
  EXPECT_THROW(network.run(unknown), dts::ConfigError);
  FlowNetworkOptions options;
  options.background = {{0, 0, 1e9}, {0, 1, -1}, {0, 9, 1e9}};
  try {
    network_of(spec_of(TopologyKind::Ring, 4), options);
    FAIL();
  } catch (const dts::ConfigError& error) {
    EXPECT_EQ(error.violations().size(), 3u);
  }
  FlowProgram endless;
  endless.send(0, 1, 1e308);
  endless.send(0, 1, 1e308);
  dts::TopologySpec slow = spec_of(TopologyKind::Ring, 4);
  slow.inter.bandwidth_Bps = 0.5;
  EXPECT_THROW(network_of(slow).run(endless), dts::ConfigError);
  options = {};
  options.paths.routing = PathRouting::RailAligned;
  EXPECT_THROW(network_of(spec_of(TopologyKind::Ring, 4), options), dts::ConfigError);
}

TEST(FlowNetwork, LogsEveryByteOnceOverLinksPairsAndTime) {
  const FlowNetwork network = network_of(spec_of(TopologyKind::FatTree, 9));
  FlowProgram program;
  for (int rank = 0; rank < 9; ++rank)
    program.send(rank, (4 * rank + 1) % 9 == rank ? 0 : (4 * rank + 1) % 9, 1e6 * (rank + 1));
  const dts::FlowResult result = network.run(program, {40, true});
  double sent = 0, into_ranks = 0, over_time = 0;
  for (const dts::PairBytes& pair : result.pair_bytes) sent += pair.bytes;
  EXPECT_DOUBLE_EQ(sent, 45e6);
  const auto& links = network.topology().links();
  for (std::size_t id = 0; id < links.size(); ++id) {
    if (links[id].to < 9) into_ranks += result.link_bytes[id];
    double row = 0;
    for (std::size_t i = 0; i < result.intervals; ++i) {
      const double cell = result.bytes_over_time[id * result.intervals + i];
      EXPECT_LE(cell, links[id].rate.bandwidth_Bps * result.interval_s * (1 + 1e-9));
      row += cell;
    }
    EXPECT_NEAR(row, result.link_bytes[id], 1);
    over_time += row;
  }
  EXPECT_DOUBLE_EQ(into_ranks, sent);
  EXPECT_GT(over_time, sent);
  EXPECT_GE(result.intervals, 20u);
  EXPECT_LE(result.intervals, 80u);
}

// ---- routing
// ---------------------------------------------------------------------------------------------------------

// 16 nodes on leaves of 4 under 4 spines; every node sends to the node 4 further on.
double shifted_s(PathRouting routing, std::uint64_t seed = 0) {
  dts::TopologySpec spec = spec_of(TopologyKind::FatTree, 16);
  spec.radix = 4;
  spec.spines = 4;
  FlowNetworkOptions options;
  options.paths.routing = routing;
  options.paths.seed = seed;
  FlowProgram program;
  for (int rank = 0; rank < 16; ++rank) program.send(rank, (rank + 4) % 16, 1e9);
  return network_of(spec, options).run(program).end_s;
}

TEST(Paths, AdaptiveSpreadsOverSpinesAndHashesCollide) {
  const double free_s = 1e9 / kB + 3 * kAlpha;
  EXPECT_NEAR(shifted_s(PathRouting::Shortest), free_s, 1e-12);  // the receiver's number mod 4
  EXPECT_NEAR(shifted_s(PathRouting::Adaptive), free_s, 1e-12);
  double slowest = 0, mean = 0;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const double time_s = shifted_s(PathRouting::Ecmp, seed);
    EXPECT_EQ(time_s, shifted_s(PathRouting::Ecmp, seed));
    slowest = std::max(slowest, time_s);
    mean += time_s / 50;
  }
  EXPECT_GT(slowest, 2.5 * free_s);  // three or four of four on one spine
  EXPECT_GT(mean, 1.5 * free_s);     // some leaf of four nearly always has a collision
}

TEST(Paths, RailAlignedMessagesChangeRailsInsideTheNode) {
  dts::TopologySpec spec = spec_of(TopologyKind::RailOptimized, 4, 2);
  spec.spines = 2;
  const dts::Topology topology(spec);
  const auto crossed = [&](PathRouting routing) {
    FlowNetworkOptions options;
    options.paths.routing = routing;
    FlowProgram program;
    program.send(0, 3, 1e6);  // node 0 rail 0 -> node 1 rail 1
    const auto bytes = FlowNetwork(topology, options).run(program).link_bytes;
    return bytes[static_cast<std::size_t>(topology.find_link(8, 1))];  // from the hub to the neighbour on rail 1
  };
  EXPECT_EQ(crossed(PathRouting::RailAligned), 1e6);
  EXPECT_EQ(crossed(PathRouting::Shortest), 0);
}

TEST(Paths, EveryRoutingTakesTheFewestHops) {
  for (TopologyKind kind :
       {TopologyKind::Torus2D, TopologyKind::FatTree, TopologyKind::Dragonfly, TopologyKind::Tree}) {
    const dts::Topology topology(spec_of(kind, 12));
    for (PathRouting routing : {PathRouting::Ecmp, PathRouting::Adaptive}) {
      dts::Router router(topology);
      dts::PathFinder paths(topology, {routing, 3, {}});
      for (int from = 0; from < 12; ++from) {
        for (int to = 0; to < 12; ++to) {
          const dts::Path path = paths.find(from, to, [](int) { return 0.0; });
          EXPECT_EQ(path.count, router.route(from, to).size()) << from << " " << to;
        }
      }
    }
  }
}

}  // namespace

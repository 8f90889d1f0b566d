// Collectives message by message: bounds, closed forms, fused rings against every step, order of magnitude of state.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "comm/group_dims.hpp"
#include "communication_model.hpp"
#include "network/flow_network.hpp"

namespace {

using dts::Algorithm;
using dts::CollectiveKind;
using dts::FlowNetwork;
using dts::FlowProgram;
using dts::TopologyKind;

constexpr double kB = 50e9, kAlpha = 5e-6;

std::vector<int> first(int n) {
  std::vector<int> ranks(static_cast<std::size_t>(n));
  std::iota(ranks.begin(), ranks.end(), 0);
  return ranks;
}

dts::TopologySpec spec_of(TopologyKind kind, int nodes, int devices = 1) {
  dts::TopologySpec spec;
  spec.kind = kind;
  spec.nodes = nodes;
  spec.devices_per_node = devices;
  return spec;
}

double run_s(const FlowNetwork& network, CollectiveKind kind, Algorithm algorithm, double bytes,
             const std::vector<int>& ranks, bool fused = false, int chunks = 1) {
  const int n = static_cast<int>(ranks.size());
  FlowProgram program;
  const auto schedule =
      dts::classic_schedule(kind, algorithm, bytes, n, dts::group_dims(network.topology(), algorithm, ranks));
  program.communicate(program.add_pattern(dts::make_pattern(schedule, n, {fused, chunks})), program.add_group(ranks));
  return network.run(program).end_s;
}

// Bytes that some rank must at least send or receive (Patarasuk, Yuan 2009).
double injected_bytes(CollectiveKind kind, double bytes, int n) {
  const double share = (n - 1.0) / n;
  switch (kind) {
    case CollectiveKind::AllReduce: return 2 * share * bytes;
    case CollectiveKind::AllGather:
    case CollectiveKind::ReduceScatter:
    case CollectiveKind::AllToAll:
    case CollectiveKind::Gather:
    case CollectiveKind::Scatter: return share * bytes;
    case CollectiveKind::Barrier: return 0;
    default: return bytes;
  }
}

constexpr CollectiveKind kKinds[] = {
    CollectiveKind::AllReduce, CollectiveKind::AllGather, CollectiveKind::ReduceScatter,
    CollectiveKind::AllToAll,  CollectiveKind::Broadcast, CollectiveKind::Reduce,
    CollectiveKind::Gather,    CollectiveKind::Scatter,   CollectiveKind::Barrier};

TEST(FlowCollectives, EveryAlgorithmEndsAndRespectsTheInjectionBound) {
  for (int n : {2, 3, 8, 13}) {
    const FlowNetwork network(dts::Topology(spec_of(TopologyKind::Switch, n)), {});
    for (CollectiveKind kind : kKinds) {
      for (Algorithm algorithm : dts::classic_algorithms(kind)) {
        for (int chunks : {1, 5}) {
          const double bytes = kind == CollectiveKind::Barrier ? 0 : 1e8;
          const double time_s = run_s(network, kind, algorithm, bytes, first(n), false, chunks);
          EXPECT_GE(time_s, injected_bytes(kind, bytes, n) / kB + kAlpha * (1 - 1e-9))
              << name_of(kind) << " " << name_of(algorithm) << " " << n;
          EXPECT_TRUE(std::isfinite(time_s));
        }
      }
    }
  }
}

// On one switch every message has the same latency and every rank the same port: no round waits for a slower one, so
// the price round by round is exact for patterns in which all ranks do the same.
TEST(FlowCollectives, SymmetricAlgorithmsCostWhatTheirRoundsCost) {
  for (int n : {2, 4, 16}) {
    const dts::Topology topology(spec_of(TopologyKind::Switch, n));
    const dts::CommunicationModel model(topology);
    for (CollectiveKind kind : {CollectiveKind::AllReduce, CollectiveKind::AllGather, CollectiveKind::ReduceScatter,
                                CollectiveKind::AllToAll, CollectiveKind::Barrier}) {
      for (Algorithm algorithm : dts::classic_algorithms(kind)) {
        const bool alike = algorithm != Algorithm::Tree && !dts::is_pipelined(algorithm) && !dts::needs_dims(algorithm);
        if (!alike) continue;
        const double bytes = kind == CollectiveKind::Barrier ? 0 : 3e7;
        const double rounds_s = model.collective(kind, bytes, first(n), {algorithm}).time_s;
        EXPECT_NEAR(run_s(FlowNetwork(topology, {}), kind, algorithm, bytes, first(n)), rounds_s, 1e-9 * rounds_s)
            << name_of(kind) << " " << name_of(algorithm) << " " << n;
      }
    }
  }
}

TEST(FlowCollectives, PipelinesOverlapLatenciesAndNeverLoseToTheirRounds) {
  const dts::Topology topology(spec_of(TopologyKind::Switch, 12));
  const dts::CommunicationModel model(topology);
  const FlowNetwork network(topology, {});
  for (int chunks : {1, 4, 32}) {
    const double chain_s = run_s(network, CollectiveKind::Broadcast, Algorithm::Chain, 1e8, first(12), false, chunks);
    EXPECT_NEAR(chain_s, 11 * kAlpha + (10.0 + chunks) / chunks * 1e8 / kB, 1e-9);
    for (CollectiveKind kind : {CollectiveKind::AllReduce, CollectiveKind::Broadcast, CollectiveKind::Reduce}) {
      const double rounds_s = model.collective(kind, 1e8, first(12), {Algorithm::DoubleBinaryTree, -1, chunks}).time_s;
      EXPECT_LE(run_s(network, kind, Algorithm::DoubleBinaryTree, 1e8, first(12), false, chunks),
                rounds_s * (1 + 1e-9));
    }
  }
}

TEST(FlowCollectives, AFusedRingEqualsEveryStepOnEqualLinks) {
  for (int n : {2, 3, 8, 33, 64}) {
    for (TopologyKind topology : {TopologyKind::Ring, TopologyKind::Switch, TopologyKind::FullyConnected}) {
      dts::FlowNetworkOptions options;
      options.reduce_s_per_byte = 1e-12;
      const FlowNetwork network(dts::Topology(spec_of(topology, n)), options);
      for (CollectiveKind kind :
           {CollectiveKind::AllReduce, CollectiveKind::AllGather, CollectiveKind::ReduceScatter}) {
        for (double bytes : {0.0, 1e3, 64e6}) {
          const double steps_s = run_s(network, kind, Algorithm::Ring, bytes, first(n));
          EXPECT_NEAR(run_s(network, kind, Algorithm::Ring, bytes, first(n), true), steps_s, 1e-9 * steps_s)
              << name_of(kind) << " " << n << " " << bytes;
        }
      }
    }
  }
}

// Two equal rings over the same links: both at half speed from start to end, fused or not.
TEST(FlowCollectives, FusedRingsShareLikeTheirSteps) {
  const FlowNetwork network(dts::Topology(spec_of(TopologyKind::Ring, 16)), {});
  double end_s[2];
  for (bool fused : {false, true}) {
    FlowProgram program;
    const auto schedule = dts::classic_schedule(CollectiveKind::AllReduce, Algorithm::Ring, 64e6, 16);
    const auto pattern = program.add_pattern(dts::make_pattern(schedule, 16, {fused, 1}));
    const auto group = program.add_group(first(16));
    program.communicate(pattern, group);
    program.communicate(pattern, group);
    end_s[fused] = network.run(program).end_s;
  }
  EXPECT_NEAR(end_s[1], end_s[0], 1e-9 * end_s[0]);
  EXPECT_NEAR(end_s[0], 30 * (kAlpha + 2 * 4e6 / kB), 1e-9);
}

// Rings of two-speed hops: never above the steps, and below them by less than a round of latencies and step times.
TEST(FlowCollectives, AFusedRingOnUnequalHopsIsACloseLowerBound) {
  for (int nodes : {2, 4, 8}) {
    const FlowNetwork network(dts::Topology(spec_of(TopologyKind::RailOptimized, nodes, 8)), {});
    for (double bytes : {8e3, 1e6, 64e6, 1e9}) {
      const int n = 8 * nodes;
      const double steps_s = run_s(network, CollectiveKind::AllReduce, Algorithm::Ring, bytes, first(n));
      const double fused_s = run_s(network, CollectiveKind::AllReduce, Algorithm::Ring, bytes, first(n), true);
      EXPECT_LE(fused_s, steps_s * (1 + 1e-9));
      EXPECT_GE(fused_s, 0.9 * steps_s) << nodes << " " << bytes;
    }
  }
}

TEST(FlowCollectives, TimeFallsWithBandwidthAndGrowsWithSizeAndLatency) {
  for (TopologyKind kind : {TopologyKind::Ring, TopologyKind::Torus2D, TopologyKind::FatTree}) {
    for (Algorithm algorithm :
         {Algorithm::Ring, Algorithm::Rabenseifner, Algorithm::Direct, Algorithm::DoubleBinaryTree}) {
      const auto time_s = [&](double bandwidth_Bps, double latency_s, double bytes) {
        dts::TopologySpec spec = spec_of(kind, 12);
        spec.inter = {bandwidth_Bps, latency_s};
        return run_s(FlowNetwork(dts::Topology(spec), {}), CollectiveKind::AllReduce, algorithm, bytes, first(12),
                     false, 3);
      };
      const double base_s = time_s(50e9, 1e-6, 1e7), slack = 1 + 1e-9;
      EXPECT_LE(time_s(60e9, 1e-6, 1e7), base_s * slack);
      EXPECT_GE(time_s(50e9, 2e-6, 1e7) * slack, base_s);
      EXPECT_GE(time_s(50e9, 1e-6, 2e7) * slack, base_s);
    }
  }
}

// Ranks of a ring are alike: every one ends at the same time, and every link carries the same.
TEST(FlowCollectives, SymmetricInSymmetricOut) {
  const FlowNetwork network(dts::Topology(spec_of(TopologyKind::Torus2D, 16)), {});
  FlowProgram program;
  const auto schedule = dts::classic_schedule(CollectiveKind::AllToAll, Algorithm::Direct, 1e8, 16);
  program.communicate(program.add_pattern(dts::make_pattern(schedule, 16)), program.add_group(first(16)));
  const auto result = network.run(program);
  const auto [least, most] = std::minmax_element(result.link_bytes.begin(), result.link_bytes.end());
  EXPECT_DOUBLE_EQ(*least, *most);
  // Bisection of a 4 x 4 torus: 8 links a way carry what half of the ranks send to the other half.
  EXPECT_GE(result.end_s, 8 * 8 * 1e8 / 16 / (8 * kB));
}

TEST(FlowCollectives, BucketsAlongATorusEqualTheirClosedForm) {
  dts::TopologySpec spec = spec_of(TopologyKind::Torus2D, 32);
  spec.dims = {4, 8};
  const FlowNetwork network(dts::Topology(spec), {});
  // Both ways: half of each share per direction. 7 steps of S/8 then 3 of S/32, and back.
  const double bytes = 64e6;
  const double expected_s = 2 * (7 * (kAlpha + bytes / 8 / 2 / kB) + 3 * (kAlpha + bytes / 32 / 2 / kB));
  EXPECT_NEAR(run_s(network, CollectiveKind::AllReduce, Algorithm::TorusBucket, bytes, first(32)), expected_s, 1e-9);
}

TEST(FlowCollectives, HierarchicalAllReduceEqualsItsClosedForm) {
  const FlowNetwork network(dts::Topology(spec_of(TopologyKind::RailOptimized, 4, 8)), {});
  const double bytes = 64e6, inside_s = 7 * (1e-6 + bytes / 8 / 300e9), across_s = 2 * 3 * (kAlpha + bytes / 32 / kB);
  EXPECT_NEAR(run_s(network, CollectiveKind::AllReduce, Algorithm::Hierarchical, bytes, first(32)),
              2 * inside_s + across_s, 1e-9);
  EXPECT_TRUE(dts::group_dims(network.topology(), Algorithm::Hierarchical, {0, 1, 2, 8, 9}).empty());
  EXPECT_EQ(dts::group_dims(network.topology(), Algorithm::Hierarchical, {0, 1, 8, 9}), (std::vector<int>{2, 2}));
}

TEST(FlowCollectives, MessagesAreCountedBeforeTheyAreSent) {
  const dts::Schedule ring = dts::classic_schedule(CollectiveKind::AllReduce, dts::Algorithm::Ring, 8e6, 8);
  EXPECT_EQ(dts::messages_of(dts::make_pattern(ring, 8)), 2 * 7 * 8);
  EXPECT_EQ(dts::messages_of(dts::make_pattern(ring, 8, {true, 1})), 8);
}

}  // namespace

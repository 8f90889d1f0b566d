#include "communication_model.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "comm/group_dims.hpp"
#include "error.hpp"

namespace {

using dts::Algorithm;
using dts::CollectiveKind;
using dts::CommunicationModel;
using dts::TopologyKind;

constexpr double kSize = 1e9;

CommunicationModel model_of(TopologyKind kind, int nodes, int devices_per_node = 1, double gamma = 0) {
  dts::TopologySpec spec;
  spec.kind = kind;
  spec.nodes = nodes;
  spec.devices_per_node = devices_per_node;
  return CommunicationModel(dts::Topology(spec), gamma);
}

std::vector<int> first(int count) {
  std::vector<int> ranks(static_cast<std::size_t>(count));
  std::iota(ranks.begin(), ranks.end(), 0);
  return ranks;
}

double all_reduce_s(const CommunicationModel& model, Algorithm algorithm, double bytes = kSize) {
  return model.collective(CollectiveKind::AllReduce, bytes, first(model.topology().device_count()), {algorithm}).time_s;
}

TEST(CommunicationModel, SendTakesLatencyOfItsRouteAndTheSlowestLink) {
  const CommunicationModel ring = model_of(TopologyKind::Ring, 8);
  const auto send = ring.collective(CollectiveKind::SendRecv, 1e6, {0, 3});
  EXPECT_DOUBLE_EQ(send.time_s, 3 * 5e-6 + 1e6 / 50e9);
  EXPECT_EQ(send.bound, "link rank 0 -> rank 1");
  const CommunicationModel slow = ring.with_links({{1, 2, {1e9, 7e-6}}});
  const auto slowed = slow.collective(CollectiveKind::SendRecv, 1e6, {0, 3});
  EXPECT_DOUBLE_EQ(slowed.time_s, 17e-6 + 1e6 / 1e9);
  EXPECT_EQ(slowed.bound, "link rank 1 -> rank 2");
  EXPECT_EQ(ring.collective(CollectiveKind::SendRecv, 100, {0, 3}).bound, "latency");
}

TEST(CommunicationModel, DevicesOfANodeUseItsHub) {
  const CommunicationModel model = model_of(TopologyKind::Ring, 2, 4);
  EXPECT_DOUBLE_EQ(model.collective(CollectiveKind::SendRecv, 3e6, {0, 3}).time_s, 1e-6 + 3e6 / 300e9);
  EXPECT_DOUBLE_EQ(model.collective(CollectiveKind::SendRecv, 3e6, {0, 4}).time_s, 6e-6 + 3e6 / 50e9);
}

TEST(CommunicationModel, SharedLinksSlowRecursiveDoublingOnARingOnly) {
  const CommunicationModel ring = model_of(TopologyKind::Ring, 16), full = model_of(TopologyKind::FullyConnected, 16);
  // Distances 1, 2, 4 load each link once per step of distance; at 8 the two ways round halve the load.
  const double doubling_s = (1 + 2 + 4 + 4) * kSize / 50e9 + (1 + 2 + 4 + 8) * 5e-6;
  EXPECT_NEAR(all_reduce_s(ring, Algorithm::RecursiveDoubling), doubling_s, 1e-9);
  EXPECT_GT(all_reduce_s(ring, Algorithm::RecursiveDoubling), 5 * all_reduce_s(ring, Algorithm::Ring));
  EXPECT_DOUBLE_EQ(all_reduce_s(full, Algorithm::RecursiveDoubling), 4 * (5e-6 + kSize / 50e9));
  EXPECT_DOUBLE_EQ(all_reduce_s(full, Algorithm::Ring), all_reduce_s(ring, Algorithm::Ring));
}

TEST(CommunicationModel, BothDirectionsHalveTheRing) {
  const CommunicationModel ring = model_of(TopologyKind::Ring, 8);
  EXPECT_NEAR(all_reduce_s(ring, Algorithm::BidirectionalRing), all_reduce_s(ring, Algorithm::Ring) / 2, 5e-5);
}

TEST(CommunicationModel, AllToAllMeetsTheBisectionOfARing) {
  // n^2/8 blocks cross each link in each direction.
  const auto cost =
      model_of(TopologyKind::Ring, 16).collective(CollectiveKind::AllToAll, kSize, first(16), {Algorithm::Direct});
  EXPECT_NEAR(cost.time_s, 16.0 * 16 / 8 * kSize / 16 / 50e9 + 8 * 5e-6, 1e-9);
}

TEST(CommunicationModel, OversubscribedUplinksSlowCrossLeafTraffic) {
  const auto time_s = [](double over) {
    dts::TopologySpec spec;
    spec.kind = TopologyKind::FatTree;
    spec.nodes = 16;
    spec.radix = 8;
    spec.oversubscription = over;
    return CommunicationModel(dts::Topology(spec))
        .collective(CollectiveKind::AllToAll, kSize, first(16), {Algorithm::Direct});
  };
  EXPECT_NEAR(time_s(1).time_s, 15.0 / 16 * kSize / 50e9 + 15e-6, 1e-9);  // the node's own link
  EXPECT_NEAR(time_s(4).time_s, 8 * 8 * kSize / 16 / 100e9 + 15e-6, 1e-9);
  EXPECT_EQ(time_s(4).bound, "link switch 0 -> switch 2");
}

TEST(CommunicationModel, AutoIsNeverSlowerThanAnyAlgorithm) {
  for (TopologyKind kind : {TopologyKind::Ring, TopologyKind::Tree, TopologyKind::Torus2D, TopologyKind::Switch,
                            TopologyKind::Dragonfly, TopologyKind::RailOptimized}) {
    const CommunicationModel model = model_of(kind, 9, 2, 1e-12);
    for (CollectiveKind c : {CollectiveKind::AllReduce, CollectiveKind::AllGather, CollectiveKind::ReduceScatter,
                             CollectiveKind::Broadcast, CollectiveKind::Reduce, CollectiveKind::AllToAll}) {
      for (double bytes : {0.0, 1e3, 1e6, 1e9}) {
        const double chosen_s = model.collective(c, bytes, first(18)).time_s;
        double best_s = std::numeric_limits<double>::infinity();
        for (Algorithm a : dts::classic_algorithms(c)) {
          if (needs_dims(a) && dts::group_dims(model.topology(), a, first(18)).empty()) continue;
          best_s = std::min(best_s, model.collective(c, bytes, first(18), {a}).time_s);
        }
        EXPECT_NEAR(chosen_s, best_s, 1e-8 * best_s) << name_of(c) << " of " << bytes;
      }
    }
  }
}

TEST(CommunicationModel, AutoChangesWithTheSize) {
  const CommunicationModel model = model_of(TopologyKind::Ring, 16);
  EXPECT_EQ(model.collective(CollectiveKind::AllReduce, 1e9, first(16)).algorithm, "bidirectional_ring");
  EXPECT_EQ(model.collective(CollectiveKind::AllReduce, 8, first(16)).algorithm, "recursive_doubling");
}

TEST(CommunicationModel, TimeFallsWithBandwidthAndGrowsWithSizeAndLatency) {
  for (TopologyKind kind : {TopologyKind::Ring, TopologyKind::FatTree, TopologyKind::Torus3D}) {
    dts::TopologySpec spec;
    spec.kind = kind;
    spec.nodes = 12;
    const auto time_s = [&](double bandwidth_Bps, double latency_s, double bytes) {
      spec.inter = {bandwidth_Bps, latency_s};
      return all_reduce_s(CommunicationModel(dts::Topology(spec)), Algorithm::Auto, bytes);
    };
    for (double bytes = 1; bytes < 1e10; bytes *= 7) {
      EXPECT_LE(time_s(50e9, 1e-6, bytes), time_s(50e9, 1e-6, 2 * bytes));
      EXPECT_LE(time_s(90e9, 1e-6, bytes), time_s(50e9, 1e-6, bytes));
      EXPECT_LE(time_s(50e9, 1e-6, bytes), time_s(50e9, 2e-6, bytes));
    }
  }
}

TEST(CommunicationModel, OrderOfTheRingMatters) {
  const CommunicationModel model = model_of(TopologyKind::Ring, 8);
  const auto ring_s = [&](const std::vector<int>& ranks) {
    return model.collective(CollectiveKind::AllReduce, kSize, ranks, {Algorithm::Ring}).time_s;
  };
  EXPECT_GT(ring_s({0, 4, 1, 5, 2, 6, 3, 7}), 2 * ring_s(first(8)));
}

TEST(CommunicationModel, RootIsWhereDataComesFrom) {
  const CommunicationModel model = model_of(TopologyKind::Switch, 4);
  const auto traffic = model.traffic(CollectiveKind::Broadcast, 100, first(4), {Algorithm::Direct, 2});
  for (std::size_t to : {0u, 1u, 3u}) EXPECT_DOUBLE_EQ(traffic.pair_bytes[2 * 4 + to], 100);
  EXPECT_DOUBLE_EQ(traffic.pair_bytes[0 * 4 + 2], 0);
}

TEST(CommunicationModel, TrafficIsConserved) {
  const CommunicationModel model = model_of(TopologyKind::FatTree, 6, 2);
  for (CollectiveKind kind : {CollectiveKind::AllReduce, CollectiveKind::Broadcast, CollectiveKind::AllToAll}) {
    for (Algorithm a : dts::classic_algorithms(kind)) {
      if (a == Algorithm::TorusBucket) continue;  // no torus
      const auto traffic = model.traffic(kind, kSize, first(12), {a});
      const auto& links = model.topology().links();
      double out_of_devices = 0, into_devices = 0;
      for (std::size_t id = 0; id < links.size(); ++id) {
        out_of_devices += links[id].from < 12 ? traffic.link_bytes[id] : 0;
        into_devices += links[id].to < 12 ? traffic.link_bytes[id] : 0;
      }
      const double sent = std::accumulate(traffic.pair_bytes.begin(), traffic.pair_bytes.end(), 0.0);
      EXPECT_NEAR(sent, out_of_devices, 1e-9 * sent) << name_of(a);
      EXPECT_NEAR(sent, into_devices, 1e-9 * sent) << name_of(a);
    }
  }
}

TEST(CommunicationModel, RingAllReduceSendsTheTextbookBytes) {
  const CommunicationModel model = model_of(TopologyKind::Ring, 8);
  EXPECT_DOUBLE_EQ(model.collective(CollectiveKind::AllReduce, 8, first(8), {Algorithm::Ring}).sent_bytes_per_rank, 14);
  const auto traffic = model.traffic(CollectiveKind::AllReduce, 8, first(8), {Algorithm::Ring});
  EXPECT_DOUBLE_EQ(traffic.pair_bytes[7 * 8 + 0], 14);
}

TEST(CommunicationModel, OneRankCommunicatesNothing) {
  const auto cost = model_of(TopologyKind::Ring, 1).collective(CollectiveKind::AllReduce, kSize, {0});
  EXPECT_EQ(cost.time_s, 0);
  EXPECT_EQ(cost.algorithm, "none");
}

TEST(CommunicationModel, ReductionBoundIsNamed) {
  const auto cost = model_of(TopologyKind::Switch, 8, 1, 1e-9).collective(CollectiveKind::AllReduce, kSize, first(8));
  EXPECT_EQ(cost.bound, "reduction");
}

TEST(CommunicationModel, ReportsEveryProblemOfACall) {
  const CommunicationModel model = model_of(TopologyKind::Ring, 4);
  try {
    model.collective(CollectiveKind::AllReduce, -1, {0, 9, 0}, {Algorithm::Ring, 3, 5});
    FAIL() << "did not throw";
  } catch (const dts::ConfigError& e) {
    const std::string text = e.what();
    for (const char* part : {"size: got -1", "ranks[1]: got 9", "ranks[2]: got 0, expected each rank once",
                             "chunks: got 5", "root: got 3"}) {
      EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
    }
  }
  EXPECT_THROW(model.collective(CollectiveKind::AllReduce, NAN, first(4)), dts::ConfigError);
  EXPECT_THROW(model.collective(CollectiveKind::AllReduce, 1, {}), dts::ConfigError);
  EXPECT_THROW(model.collective(CollectiveKind::SendRecv, 1, first(3)), dts::ConfigError);
  EXPECT_THROW(model.collective(CollectiveKind::Barrier, 1, first(3)), dts::ConfigError);
  EXPECT_THROW(CommunicationModel(model.topology(), -1), dts::ConfigError);
}

TEST(CommunicationModel, OverflowIsAnErrorNotInfinity) {
  dts::TopologySpec spec;
  spec.nodes = 4;
  spec.inter.bandwidth_Bps = 1e-300;
  const CommunicationModel model{dts::Topology(spec)};
  EXPECT_THROW(model.collective(CollectiveKind::AllReduce, 1e300, first(4)), dts::ConfigError);
}

TEST(CommunicationModel, RefusesSchedulesTooLargeToStore) {
  const CommunicationModel model = model_of(TopologyKind::Ring, 4096);
  EXPECT_THROW(model.collective(CollectiveKind::AllToAll, 1, first(4096), {Algorithm::Direct}), dts::ConfigError);
  EXPECT_GT(all_reduce_s(model, Algorithm::Ring), 0);
}

}  // namespace

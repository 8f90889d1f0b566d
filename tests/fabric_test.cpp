#include "comm/fabric.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <string>
#include <utility>

#include "comm/span.hpp"
#include "error.hpp"

namespace {

using dts::ClusterSpec;
using dts::CollectiveKind;
using dts::GroupSpan;
constexpr std::array<CollectiveKind, 10> kKinds = {
    CollectiveKind::SendRecv,      CollectiveKind::Broadcast, CollectiveKind::Reduce, CollectiveKind::AllReduce,
    CollectiveKind::ReduceScatter, CollectiveKind::AllGather, CollectiveKind::Gather, CollectiveKind::Scatter,
    CollectiveKind::AllToAll,      CollectiveKind::Barrier};

// Round constants, so that expected times are sums a reader can do: 100 GB/s inside, 8 NICs of 10 GB/s, no ramps.
ClusterSpec plain(int nodes = 1) {
  ClusterSpec c;
  c.nodes = nodes;
  c.node.nic_Bps = 10e9;
  dts::ScaleUpSpec& s = c.node.scale_up;
  s.device_Bps = 100e9;
  s.launch_s = s.p2p_launch_s = 10e-6;
  s.hop_s = s.p2p_peer_s = 1e-6;
  s.ring_efficiency = s.p2p_efficiency = s.sendrecv_efficiency = 1;
  s.ring_ramp = s.nvls_ramp = s.p2p_ramp = s.all_reduce_copy = s.gather_copy = s.p2p_copy = 0;
  s.simple_startup_s = s.simple_hop_s = s.ll_efficiency = s.ll128_efficiency = 0;  // one protocol
  s.nvls_min_ranks = 0;
  s.nvls_startup_s = 50e-6;
  s.nvls_efficiency = s.nvls_tree_efficiency = 0.6;
  dts::ScaleOutSpec& o = c.scale_out;
  o.hop_s = 5e-6;
  o.level_startup_s = 40e-6;
  o.low_latency_Bps = 1e9;
  o.ramp = o.p2p_ramp = o.ll128_Bps = 0;
  o.p2p_peer_s = 2e-6;
  o.ring_efficiency = o.tree_efficiency = o.p2p_efficiency = o.sendrecv_efficiency = 1;
  return c;
}

double price(const ClusterSpec& c, CollectiveKind kind, double bytes, int size, int stride = 1) {
  return dts::fabric_collective(c, kind, bytes, span_of(c, size, stride)).time_s;
}

TEST(Fabric, RingInsideADomainByHand) {
  const auto c = plain();
  // 8e8 bytes over 8 ranks: shards of 1e8 bytes, 1 ms each on 100 GB/s.
  EXPECT_NEAR(price(c, CollectiveKind::AllReduce, 8e8, 8), 10e-6 + 14e-6 + 14e-3, 1e-12);
  EXPECT_NEAR(price(c, CollectiveKind::AllGather, 8e8, 8), 10e-6 + 7e-6 + 7e-3, 1e-12);
  EXPECT_NEAR(price(c, CollectiveKind::ReduceScatter, 8e8, 8), 10e-6 + 7e-6 + 7e-3, 1e-12);
  EXPECT_NEAR(price(c, CollectiveKind::Broadcast, 8e8, 8), 10e-6 + 7e-6 + 8e-3, 1e-12);
  EXPECT_NEAR(price(c, CollectiveKind::AllToAll, 8e8, 8), 10e-6 + 7e-6 + 7e-3, 1e-12);
  EXPECT_NEAR(price(c, CollectiveKind::SendRecv, 8e8, 2), 10e-6 + 1e-6 + 8e-3, 1e-12);
  EXPECT_NEAR(price(c, CollectiveKind::Barrier, 8e8, 8), 24e-6, 1e-12);
}

TEST(Fabric, RampAndLocalCopyByHand) {
  auto c = plain();
  c.node.scale_up.ring_ramp = 1e-8;
  c.node.scale_up.ring_ramp_growth = 0.5;
  c.node.scale_up.gather_copy = 0.5;
  // 4 ranks, 4e8 bytes: sqrt(1e8) * sqrt(3) * 1e-8 and 3.5 shards of 1 ms.
  EXPECT_NEAR(price(c, CollectiveKind::AllGather, 4e8, 4), 13e-6 + 1e-4 * std::sqrt(3.0) + 3.5e-3, 1e-12);
}

TEST(Fabric, SwitchReductionServesLargeAllReducesOnly) {
  auto c = plain();
  c.node.scale_up.nvls_min_ranks = 5;
  const auto large = dts::fabric_collective(c, CollectiveKind::AllReduce, 6e8, span_of(c, 8));
  EXPECT_EQ(large.algorithm, "nvls");
  EXPECT_EQ(large.bound, "scale-up");
  EXPECT_EQ(large.sms, c.node.scale_up.nvls_sms);
  EXPECT_NEAR(large.time_s, 50e-6 + 10e-3, 1e-12);  // 60 GB/s
  EXPECT_NEAR(large.sent_bytes_per_rank, 6e8 * 9 / 8, 1);
  const auto small = dts::fabric_collective(c, CollectiveKind::AllReduce, 1024, span_of(c, 8));
  EXPECT_EQ(small.algorithm, "ring");
  EXPECT_EQ(small.bound, "latency");
  EXPECT_EQ(dts::fabric_collective(c, CollectiveKind::AllReduce, 6e8, span_of(c, 4)).algorithm, "ring");
  EXPECT_EQ(dts::fabric_collective(c, CollectiveKind::AllGather, 6e8, span_of(c, 8)).algorithm, "ring");
}

TEST(Fabric, AcrossNodesByHand) {
  const auto c = plain(4);
  // Low latency tree: 10 us + 2 (7 hops + 2 levels of 5 us), then 2 passes at 1 GB/s.
  EXPECT_NEAR(price(c, CollectiveKind::AllReduce, 1000, 32), 10e-6 + 34e-6 + 2e-6, 1e-12);
  // Bulk: two levels more of 40 us, and 2 * 31/32 of the buffer through 8 NICs of 10 GB/s.
  EXPECT_NEAR(price(c, CollectiveKind::AllReduce, 32e8, 32), 44e-6 + 80e-6 + 62e8 / 80e9, 1e-9);
  // Ring all-gather: 28 hops inside, 3 across at 1.35 times a tree's.
  EXPECT_NEAR(price(c, CollectiveKind::AllGather, 32e8, 32), 10e-6 + 28e-6 + 20.25e-6 + 80e-6 + 31e8 / 80e9, 1e-9);
  // 24 of 32 shards leave by a NIC share of 10 GB/s; 23 remote peers beyond the first.
  EXPECT_NEAR(price(c, CollectiveKind::AllToAll, 32e8, 32), 10e-6 + 7e-6 + 5e-6 + 46e-6 + 24e8 / 10e9, 1e-9);
  EXPECT_NEAR(price(c, CollectiveKind::SendRecv, 1e8, 2, 8), 10e-6 + 5e-6 + 1e8 / 10e9, 1e-9);
  // Broadcast over slow links inside: the whole buffer once at 1 GB/s, and no local copy.
  auto slow = plain(2);
  slow.scale_out.low_latency_Bps = 1e6;
  slow.node.scale_up.device_Bps = 1e9;
  slow.node.scale_up.gather_copy = slow.node.scale_up.all_reduce_copy = 1;
  const double hops_s = 10e-6 + 14e-6 + 6.75e-6 + 40e-6;
  EXPECT_NEAR(price(slow, CollectiveKind::Broadcast, 16e8, 16), hops_s + 1.6, 1e-9);
  EXPECT_NEAR(price(slow, CollectiveKind::AllGather, 16e8, 16), hops_s + 1.6, 1e-9);  // 15 shards, and one copied
}

TEST(Fabric, FourMultiprocessorsFeedARanksShareOfTheNics) {
  auto c = plain(4);
  c.node.scale_up.ring_sms = 24;
  const auto sms = [&](int size, int stride) {
    return dts::fabric_collective(c, CollectiveKind::AllGather, 32e8, span_of(c, size, stride)).sms;
  };
  EXPECT_EQ(sms(4, 8), 4);    // one rank of each node
  EXPECT_EQ(sms(16, 2), 16);  // four of each
  EXPECT_EQ(sms(32, 1), 24);  // eight of each: no more than the ring's channels
}

TEST(Fabric, TwoNodesExchangeTheBufferOnce) {
  auto c = plain(2);
  c.node.scale_up.nvls_min_ranks = 5;
  c.node.scale_up.device_Bps = 1000e9;
  const auto cost = dts::fabric_collective(c, CollectiveKind::AllReduce, 8e9, span_of(c, 16));
  EXPECT_EQ(cost.algorithm, "nvls-tree");
  EXPECT_EQ(cost.bound, "nic");
  EXPECT_NEAR(cost.time_s, 10e-6 + 24e-6 + 40e-6 + 0.1, 1e-9);  // 80 GB/s, not the ring's 80 * 8 / 15
}

TEST(Fabric, SwitchesOfTheNetworkReduce) {
  auto c = plain(4);
  c.node.scale_up.device_Bps = 1000e9;
  c.scale_out.sharp_efficiency = 0.9, c.scale_out.sharp_startup_s = 30e-6;
  const auto cost = dts::fabric_collective(c, CollectiveKind::AllReduce, 32e8, span_of(c, 32));
  EXPECT_EQ(cost.algorithm, "sharp");
  EXPECT_EQ(cost.bound, "nic");
  EXPECT_NEAR(cost.time_s, 10e-6 + 14e-6 + 30e-6 + 32e8 / (0.9 * 80e9),
              1e-9);        // once out, once back, both ways at a time
  c.scale_out.ramp = 1e-9;  // k sqrt(S), of eight members and the switch
  EXPECT_NEAR(dts::fabric_collective(c, CollectiveKind::AllReduce, 32e8, span_of(c, 32)).time_s - cost.time_s,
              3e-9 * std::sqrt(32e8), 1e-9);
  c.node.scale_up.device_Bps = 50e9;  // links inside take longer than the NICs
  const auto inside = dts::fabric_collective(c, CollectiveKind::AllReduce, 32e8, span_of(c, 32));
  EXPECT_EQ(inside.bound, "scale-up");
  EXPECT_NEAR(inside.time_s, 2 * 32e8 / (0.92 * 50e9 * 8 / 7),
              0.03 * inside.time_s);  // a tree's share of the ring's rate
}

TEST(Fabric, AGroupOwnsTheNicsOfItsRanks) {
  const auto c = plain(4);
  const double one = price(c, CollectiveKind::AllGather, 4e9, 4, 8);  // one rank per node
  const double all = price(c, CollectiveKind::AllGather, 4e9, 32);
  EXPECT_NEAR(one, 10e-6 + 20.25e-6 + 80e-6 + 3e9 / 10e9, 1e-9);
  EXPECT_GT(one, 6 * all);
  auto shared = c;
  shared.node.nics = 4;
  EXPECT_GT(price(shared, CollectiveKind::AllGather, 4e9, 4, 8), 1.99 * one - 1e-3);
}

TEST(Fabric, GroupExponentIsMeshSwitchOrSharedBus) {
  auto c = plain();
  const auto rate = [&](int n) {
    return 1e9 * (n - 1) / n / (price(c, CollectiveKind::AllGather, 1e9, n) - 10e-6 - 1e-6 * (n - 1));
  };
  EXPECT_NEAR(rate(2), 100e9, 1);
  c.node.scale_up.group_exponent = 1;
  EXPECT_NEAR(rate(2), 100e9 / 7, 1);
  EXPECT_NEAR(rate(4), 300e9 / 7, 1);
  EXPECT_NEAR(rate(8), 100e9, 1);
  c.node.scale_up.group_exponent = -1;
  c.node.scale_up.ring_efficiency = 0.2;
  EXPECT_NEAR(rate(4), 20e9 * 7 / 3, 1);
  EXPECT_NEAR(rate(2), 100e9, 1);  // never above the link
}

ClusterSpec torus(int devices, int axes, int wrap = 4) {
  auto c = plain();
  c.node.devices = devices;
  c.node.scale_up.kind = dts::ScaleUpKind::Torus;
  c.node.scale_up.torus_axes = axes;
  c.node.scale_up.torus_wrap = wrap;
  return c;
}

TEST(Fabric, TorusUsesTheAxesAGroupSpans) {
  const auto c = torus(64, 3);  // 4 x 4 x 4, 33.3 GB/s per axis both ways
  const double axis_Bps = 100e9 / 3;
  EXPECT_NEAR(price(c, CollectiveKind::AllGather, 4e9, 4), 12e-6 + 3e9 / axis_Bps, 1e-9);
  EXPECT_NEAR(price(c, CollectiveKind::AllGather, 4e9, 4, 16), 12e-6 + 3e9 / axis_Bps, 1e-9);
  EXPECT_NEAR(price(c, CollectiveKind::AllGather, 16e9, 16), 14e-6 + 15e9 / (2 * axis_Bps), 1e-9);
  EXPECT_NEAR(price(c, CollectiveKind::AllGather, 64e9, 64), 16e-6 + 63e9 / 100e9, 1e-9);
  EXPECT_NEAR(price(c, CollectiveKind::AllReduce, 64e9, 64), 22e-6 + 126e9 / 100e9, 1e-9);
  EXPECT_NEAR(price(c, CollectiveKind::AllToAll, 4e9, 4), 12e-6 + 4e9 / axis_Bps, 1e-9);  // a quarter of 4 x the buffer
  // Each rank sends all but its own shard, twice in an all-reduce.
  const auto sent = [&](CollectiveKind kind) {
    return dts::fabric_collective(c, kind, 64e9, span_of(c, 64)).sent_bytes_per_rank;
  };
  EXPECT_NEAR(sent(CollectiveKind::AllGather), 63e9, 1);
  EXPECT_NEAR(sent(CollectiveKind::AllReduce), 126e9, 1);
  // Half the rate of messages for all-to-all, of rings for gathers.
  auto half = c;
  half.node.scale_up.p2p_efficiency = 0.5;
  EXPECT_NEAR(price(half, CollectiveKind::AllToAll, 4e9, 4), 12e-6 + 8e9 / axis_Bps, 1e-9);
  EXPECT_EQ(price(half, CollectiveKind::AllGather, 4e9, 4), price(c, CollectiveKind::AllGather, 4e9, 4));
  half.node.scale_up.ring_efficiency = 0.25;
  EXPECT_NEAR(price(half, CollectiveKind::AllGather, 4e9, 4), 12e-6 + 12e9 / axis_Bps, 1e-9);
  // Two of four lie on an open line: one link each way.
  EXPECT_NEAR(price(c, CollectiveKind::AllGather, 2e9, 2), 11e-6 + 1e9 / (axis_Bps / 2), 1e-9);
  auto pod = torus(4, 3);  // a job of 64 chips in a pod of 4096
  pod.nodes = 16;
  pod.node.scale_up.domain_devices = 4096;
  EXPECT_EQ(price(pod, CollectiveKind::AllGather, 64e9, 64), price(c, CollectiveKind::AllGather, 64e9, 64));
  const auto open = torus(64, 3, 8);
  EXPECT_NEAR(price(open, CollectiveKind::AllGather, 4e9, 4), 13e-6 + 3e9 / (axis_Bps / 2), 1e-9);
}

TEST(Fabric, OneRankCostsNothing) {
  const auto c = plain(2);
  for (const CollectiveKind kind : kKinds) {
    const auto cost = dts::fabric_collective(c, kind, 1e9, GroupSpan{});
    EXPECT_EQ(cost.time_s, 0);
    EXPECT_EQ(cost.sent_bytes_per_rank, 0);
    EXPECT_TRUE(cost.algorithm.empty());
  }
}

// Real constants (the defaults), every kind, groups inside and across domains.
TEST(Fabric, MoreBytesNeverFasterAndMoreBandwidthNeverSlower) {
  ClusterSpec c, faster, later;
  c.nodes = faster.nodes = later.nodes = 16;
  faster.node.nic_Bps *= 2;
  faster.node.scale_up.device_Bps *= 2;
  later.scale_out.hop_s *= 2;
  later.node.scale_up.hop_s *= 2;
  for (const CollectiveKind kind : kKinds) {
    for (const auto& [size, stride] : {std::pair{2, 1}, {8, 1}, {2, 8}, {16, 1}, {16, 8}, {128, 1}}) {
      double before = 0;
      for (double bytes = 0; bytes < 1e11; bytes = bytes * 1.7 + 1) {
        const double t = price(c, kind, bytes, size, stride);
        ASSERT_TRUE(std::isfinite(t));
        EXPECT_GE(t, before);
        EXPECT_LE(price(faster, kind, bytes, size, stride), t);
        EXPECT_GE(price(later, kind, bytes, size, stride), t);
        before = t;
      }
    }
  }
}

TEST(Fabric, NeverFasterThanItsOwnLinks) {
  ClusterSpec c;
  c.nodes = 16;
  const double S = 1e9, nic = 50e9, device = 450e9;
  for (const int size : {16, 32, 128}) {
    const double nodes = size / 8.0, leaving = S * (nodes - 1) / nodes;
    EXPECT_GE(price(c, CollectiveKind::AllGather, S, size), leaving / (8 * nic));
    EXPECT_GE(price(c, CollectiveKind::AllReduce, S, size), 2 * leaving / (8 * nic));
    EXPECT_GE(price(c, CollectiveKind::AllToAll, S, size), leaving / nic);
  }
  EXPECT_GE(price(c, CollectiveKind::AllGather, S, 8), S * 7 / 8 / device);
  EXPECT_GE(price(c, CollectiveKind::AllReduce, S, 8), S / device);
}

TEST(Cluster, CheckNamesEveryUnphysicalField) {
  EXPECT_NO_THROW(dts::check_cluster(plain(4)));
  auto lone = plain(1);
  lone.node.nics = lone.node.nic_Bps = 0;
  EXPECT_NO_THROW(dts::check_cluster(lone));
  auto c = plain(4);
  c.node.nics = 0;
  c.node.scale_up.device_Bps = std::nan("");
  c.node.scale_up.ring_efficiency = 1.5;
  c.node.scale_up.domain_devices = 12;
  c.scale_out.hop_s = -1;
  try {
    dts::check_cluster(c);
    FAIL() << "did not throw";
  } catch (const dts::ConfigError& e) {
    EXPECT_EQ(e.violations().size(), 5u) << e.what();
    EXPECT_NE(std::string(e.what()).find("cluster.node.scale_up.ring_efficiency: got 1.5"), std::string::npos);
  }
  auto shape = torus(64, 3);
  shape.node.scale_up.torus_shape = {8, 8, 2};
  EXPECT_THROW(dts::check_cluster(shape), dts::ConfigError);
  shape.node.scale_up.torus_shape = {4, 8, 2};
  EXPECT_NO_THROW(dts::check_cluster(shape));
  auto huge = plain(2000000000);
  EXPECT_THROW(dts::check_cluster(huge), dts::ConfigError);
}

}  // namespace

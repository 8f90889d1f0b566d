// Protocols and algorithms that compete: NCCL's LL, LL128 and Simple, PAT, SHARP, one-shot kernels, and the channels of
// a point-to-point stream; by hand on round constants, and the laws that hold on any.
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "comm/fabric.hpp"
#include "comm/span.hpp"

namespace {

using dts::ClusterSpec;
using dts::CollectiveKind;

// 100 GB/s inside with LL at 1, LL128 at 50 GB/s; 8 NICs of 10 GB/s; every start a round number.
ClusterSpec three_protocols(int nodes = 1) {
  ClusterSpec c;
  c.nodes = nodes;
  c.node.nic_Bps = 10e9;
  dts::ScaleUpSpec& s = c.node.scale_up;
  s.device_Bps = 100e9;
  s.launch_s = 10e-6;
  s.hop_s = 1e-6;
  s.ring_efficiency = 1;
  s.ring_ramp = s.all_reduce_copy = s.gather_copy = 0;
  s.ll_efficiency = 0.01;
  s.ll128_startup_s = 3e-6;
  s.ll128_efficiency = 0.5;
  s.simple_startup_s = 20e-6;
  s.simple_hop_s = 2e-6;
  s.nvls_min_ranks = 0;
  dts::ScaleOutSpec& o = c.scale_out;
  o.hop_s = 5e-6;
  o.level_startup_s = 40e-6;
  o.low_latency_Bps = 1e9;
  o.ll128_startup_s = 15e-6;
  o.ll128_Bps = 20e9;
  o.ramp = 0;
  o.ring_efficiency = o.tree_efficiency = 1;
  return c;
}

dts::CollectiveCost price(const ClusterSpec& c, CollectiveKind kind, double bytes, int size, int stride = 1) {
  return dts::fabric_collective(c, kind, bytes, span_of(c, size, stride));
}

TEST(FabricProtocols, InsideADomainEachServesItsSizes) {
  const auto c = three_protocols();
  // All-gather of 8: 7 steps, 7/8 of the buffer through every link.
  const auto small = price(c, CollectiveKind::AllGather, 800, 8);
  EXPECT_EQ(small.protocol, "LL");
  EXPECT_NEAR(small.time_s, 17e-6 + 700 / 1e9, 1e-12);
  const auto middle = price(c, CollectiveKind::AllGather, 8e5, 8);
  EXPECT_EQ(middle.protocol, "LL128");
  EXPECT_NEAR(middle.time_s, 20e-6 + 7e5 / 50e9, 1e-12);
  const auto large = price(c, CollectiveKind::AllGather, 8e8, 8);
  EXPECT_EQ(large.protocol, "Simple");
  EXPECT_NEAR(large.time_s, 17e-6 + 20e-6 + 14e-6 + 7e8 / 100e9, 1e-12);
}

TEST(FabricProtocols, AcrossDomainsEachServesItsSizes) {
  const auto c = three_protocols(2);
  // Tree of 16 on 2 nodes: 10 us + 2 (7 hops + 5 us); the buffer goes up and down.
  const auto small = price(c, CollectiveKind::AllReduce, 1000, 16);
  EXPECT_EQ(small.algorithm + small.protocol, "treeLL");
  EXPECT_NEAR(small.time_s, 34e-6 + 2e-6, 1e-12);
  const auto middle = price(c, CollectiveKind::AllReduce, 1e5, 16);
  EXPECT_EQ(middle.protocol, "LL128");
  EXPECT_NEAR(middle.time_s, 34e-6 + 15e-6 + 2e5 / 20e9, 1e-12);
  EXPECT_EQ(price(c, CollectiveKind::AllReduce, 1e9, 16).protocol, "Simple");
}

TEST(FabricProtocols, TheSlowerPipelineDecidesTheStart) {
  auto c = three_protocols(2);
  c.node.scale_up.ll_efficiency = c.node.scale_up.ll128_efficiency = c.scale_out.ll128_Bps = 0;
  c.scale_out.low_latency_Bps = 1;  // only the bulk protocol is left
  // Ring of 16: 14 hops inside at 2 us more each and 20 us beat the 40 us of one level.
  const double hops_s = 14e-6 + 1.35 * 5e-6;
  EXPECT_NEAR(price(c, CollectiveKind::AllGather, 16e8, 16).time_s, 10e-6 + hops_s + 48e-6 + 15e8 / 80e9, 1e-9);
  c.scale_out.level_startup_s = 90e-6;
  EXPECT_NEAR(price(c, CollectiveKind::AllGather, 16e8, 16).time_s, 10e-6 + hops_s + 90e-6 + 15e8 / 80e9, 1e-9);
}

TEST(FabricProtocols, TheRampEndsWhereChunksAreFull) {
  auto c = three_protocols(2);
  c.scale_out.ramp = 1e-8;
  c.scale_out.ramp_bytes = 1e8;
  auto open = c;
  open.scale_out.ramp_bytes = 1e18;
  const auto extra = [&](const ClusterSpec& with, double bytes) {
    return price(with, CollectiveKind::AllGather, bytes, 16).time_s -
           price(three_protocols(2), CollectiveKind::AllGather, bytes, 16).time_s;
  };
  EXPECT_NEAR(extra(c, 1e8), 3e-4, 1e-9);  // 1e-8 sqrt(1e8) sqrt(1 level * 9)
  EXPECT_NEAR(extra(c, 1e10), 3e-4, 1e-9);
  EXPECT_NEAR(extra(open, 1e10), 3e-3, 1e-9);
}

TEST(FabricProtocols, PatServesOneMemberPerDomain) {
  const auto c = three_protocols(64);
  const auto pat = price(c, CollectiveKind::AllGather, 64e5, 64, 8);
  EXPECT_EQ(pat.algorithm, "pat");
  // 10 us, the start, 6 rounds of 5 us, 64 blocks of 2.8 us; 63/64 of the buffer at 3/4 of a NIC.
  EXPECT_NEAR(pat.time_s, 10e-6 + 40e-6 + 30e-6 + 179.2e-6 + 63e5 / 7.5e9, 1e-9);
  EXPECT_EQ(price(c, CollectiveKind::AllGather, 64e9, 64, 8).algorithm, "ring");  // the ring moves bytes faster
  EXPECT_NE(price(c, CollectiveKind::AllGather, 64e5, 512).algorithm, "pat");
  EXPECT_NE(price(c, CollectiveKind::AllReduce, 64e5, 64, 8).algorithm, "pat");
}

TEST(FabricProtocols, TwoDomainsReduceAroundARingUnlessTheSwitchReduces) {
  auto c = three_protocols(2);
  c.node.scale_up.device_Bps = 1e13;  // the NICs bound
  c.node.scale_up.nvls_min_ranks = 0;
  // 2 * 15 / 16 of the buffer over 8 NICs of 10 GB/s, however near a tree of two comes to half of that.
  const auto ring = price(c, CollectiveKind::AllReduce, 1e12, 16);
  EXPECT_NEAR(ring.time_s, 1.875e12 / 80e9, 0.01 * ring.time_s);
  c.node.scale_up.nvls_min_ranks = 8, c.node.scale_up.nvls_tree_efficiency = 0.9;
  const auto switched = price(c, CollectiveKind::AllReduce, 1e12, 16);
  EXPECT_EQ(switched.algorithm, "nvls-tree");
  EXPECT_NEAR(switched.time_s, 1e12 / 80e9, 0.01 * switched.time_s);
}

TEST(FabricProtocols, AGroupMayUseFewerNicsThanItsRanksHave) {
  auto c = three_protocols(4);
  c.node.scale_up.device_Bps = 1e13;
  const double all = price(c, CollectiveKind::AllReduce, 1e12, 32).time_s;
  const double one_each = price(c, CollectiveKind::AllReduce, 1e12, 4, 8).time_s;  // one rank and its NIC a node
  c.scale_out.group_nics = 1;
  EXPECT_NEAR(price(c, CollectiveKind::AllReduce, 1e12, 32).time_s, 8 * all, 0.01 * 8 * all);
  EXPECT_EQ(price(c, CollectiveKind::AllReduce, 1e12, 4, 8).time_s, one_each);
}

TEST(FabricProtocols, SharpSendsTheBufferOnceAtAnyScale) {
  auto c = three_protocols(16);
  c.node.scale_up.device_Bps = 1e12;  // the NICs bound
  const auto tree = price(c, CollectiveKind::AllReduce, 1e10, 128);
  c.scale_out.sharp_efficiency = 0.9;
  c.scale_out.sharp_startup_s = 30e-6;
  const auto sharp = price(c, CollectiveKind::AllReduce, 1e10, 128);
  EXPECT_EQ(sharp.algorithm, "sharp");
  EXPECT_NEAR(sharp.time_s, 10e-6 + 14e-6 + 30e-6 + 1e10 / 72e9, 1e-9);
  EXPECT_GT(tree.time_s, 1.5 * sharp.time_s);
  auto larger = c;
  larger.nodes = 64;
  EXPECT_NEAR(price(larger, CollectiveKind::AllReduce, 1e10, 512).time_s, sharp.time_s, 1e-9);
  EXPECT_NE(price(c, CollectiveKind::AllGather, 1e10, 128).algorithm, "sharp");
}

TEST(FabricProtocols, OneShotServesSmallAllReduces) {
  auto c = three_protocols();
  c.node.scale_up.one_shot_launch_s = 2e-6;
  c.node.scale_up.one_shot_peer_s = 0.1e-6;
  c.node.scale_up.one_shot_efficiency = 0.7;
  const auto small = price(c, CollectiveKind::AllReduce, 1e5, 8);
  EXPECT_EQ(small.algorithm, "one-shot");
  EXPECT_NEAR(small.time_s, 2.7e-6 + 7e5 / 70e9, 1e-12);
  EXPECT_NE(price(c, CollectiveKind::AllReduce, 1e9, 8).algorithm, "one-shot");  // reads every buffer whole
}

TEST(FabricProtocols, AStreamGetsMoreChannelsForLargeMessages) {
  auto c = three_protocols();
  dts::ScaleUpSpec& s = c.node.scale_up;
  s.p2p_launch_s = 9e-6;
  s.p2p_peer_s = 1e-6;
  s.p2p_ramp = 0;
  s.sendrecv_efficiency = 0.8;
  s.p2p_channels = 32;
  s.p2p_channel_Bps = 2.5e9;
  s.p2p_part_bytes = 1e7;
  const auto time_s = [&](double bytes, int ranks) { return price(c, CollectiveKind::SendRecv, bytes, ranks).time_s; };
  EXPECT_NEAR(time_s(1e7, 8), 10e-6 + 1e7 / 10e9, 1e-12);   // 4 of 32 channels
  EXPECT_NEAR(time_s(1e8, 8), 10e-6 + 1e7 / 2.5e9, 1e-12);  // up to 32 parts of 10 MB take as long as one
  EXPECT_NEAR(time_s(1e9, 8), 10e-6 + 1e9 / 80e9, 1e-12);   // all channels, the link's rate
  EXPECT_NEAR(time_s(1e7, 2), 10e-6 + 1e7 / 40e9, 1e-12);   // two ranks: 16 channels each
}

// No rank can send or receive faster than its own ports: inside, the device; across, the NICs of the group.
TEST(FabricProtocols, NeverUnderTheInjectionBound) {
  for (const int nodes : {1, 2, 4, 16}) {
    const auto c = three_protocols(nodes);
    for (const int members : {2, 4, 8}) {
      const dts::GroupSpan span{members * nodes, members, nodes, 1};
      const double n = span.ranks;
      for (double bytes = 1; bytes < 1e12; bytes *= 3) {
        const double gathered = dts::fabric_collective(c, CollectiveKind::AllGather, bytes, span).time_s;
        const double reduced = dts::fabric_collective(c, CollectiveKind::AllReduce, bytes, span).time_s;
        EXPECT_GE(gathered, (n - 1) / n * bytes / 100e9);
        EXPECT_GE(reduced, bytes / 100e9);
        if (nodes == 1) continue;
        const double nics = members * 10e9;
        EXPECT_GE(gathered, (n - members) / n * bytes / nics);
        EXPECT_GE(reduced, (nodes - 1.0) / nodes * bytes / nics);
      }
    }
  }
}

}  // namespace

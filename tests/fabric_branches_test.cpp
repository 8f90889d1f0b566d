// Every branch that competes for a collective, by hand: what it starts with, its ramp, what a byte takes, what a rank
// sends and the multiprocessors it holds. Round constants, each of them different.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "comm/fabric.hpp"
#include "comm/fabric_rates.hpp"

namespace {

using dts::ClusterSpec;
using dts::CollectiveKind;
using dts::GroupSpan;

// Inside 100 GB/s a device; 8 NICs of 10 GB/s for 8 devices.
ClusterSpec round_cluster(double device_Bps = 100e9) {
  ClusterSpec c;
  c.nodes = 4;
  c.node.nic_Bps = 10e9;
  dts::ScaleUpSpec& s = c.node.scale_up;
  s.device_Bps = device_Bps;
  s.launch_s = 10e-6, s.hop_s = 1e-6;
  s.ring_efficiency = 0.5, s.ring_ramp = 1e-9, s.ring_ramp_growth = 0.5, s.all_reduce_copy = 2, s.gather_copy = 1;
  s.ring_sms = 24;
  s.simple_startup_s = 20e-6, s.simple_hop_s = 2e-6;
  s.ll_efficiency = 0.01, s.ll128_startup_s = 3e-6, s.ll128_efficiency = 0.25;
  s.one_shot_launch_s = 2e-6, s.one_shot_peer_s = 0.5e-6, s.one_shot_efficiency = 0.8;
  s.nvls_min_ranks = 4, s.nvls_startup_s = 50e-6, s.nvls_ramp = 3e-9, s.nvls_efficiency = 0.6;
  s.nvls_tree_efficiency = 0.4, s.nvls_sms = 16;
  s.p2p_launch_s = 6e-6, s.p2p_peer_s = 0.5e-6, s.p2p_ramp = 4e-9, s.p2p_efficiency = 0.8, s.p2p_copy = 0.5;
  s.sendrecv_efficiency = 0.7, s.p2p_channels = 32, s.p2p_channel_Bps = 2.5e9, s.p2p_part_bytes = 1e7;
  dts::ScaleOutSpec& o = c.scale_out;
  o.hop_s = 5e-6, o.low_latency_Bps = 4e9, o.ll128_startup_s = 15e-6, o.ll128_Bps = 12e9;
  o.level_startup_s = 40e-6, o.ramp = 1e-9, o.ramp_bytes = 1e8, o.ring_efficiency = 0.8, o.tree_efficiency = 0.9;
  o.p2p_peer_s = 2e-6, o.p2p_ramp = 13e-9, o.p2p_efficiency = 0.5, o.sendrecv_efficiency = 0.25;
  o.sharp_efficiency = 0.6, o.sharp_startup_s = 30e-6;
  return c;
}

struct Expected {
  std::string name;  // algorithm and protocol
  double startup_us, ramp_ns, byte_ns;
  const char* limit;
  double sent_share, sms;
  double floor_us = 0;
};

void expect_branches(const ClusterSpec& c, CollectiveKind kind, const GroupSpan& span,
                     const std::vector<Expected>& expected) {
  SCOPED_TRACE(static_cast<int>(kind));
  const dts::Branches found = branches_of(c, kind, span);
  ASSERT_EQ(found.end() - found.begin(), static_cast<std::ptrdiff_t>(expected.size()));
  const dts::Branch* b = found.begin();
  for (const Expected& e : expected) {
    EXPECT_EQ(std::string(b->algorithm) + " " + b->protocol, e.name);
    EXPECT_NEAR(b->startup_s, e.startup_us * 1e-6, 1e-12) << e.name;
    EXPECT_NEAR(b->ramp, e.ramp_ns * 1e-9, 1e-16) << e.name;
    EXPECT_NEAR(b->s_per_byte, e.byte_ns * 1e-9, 1e-17) << e.name;
    EXPECT_STREQ(b->limit, e.limit) << e.name;
    EXPECT_NEAR(b->sent_share, e.sent_share, 1e-12) << e.name;
    EXPECT_EQ(b->sms, e.sms) << e.name;
    EXPECT_NEAR(b->floor_s, e.floor_us * 1e-6, 1e-12) << e.name;
    ++b;
  }
}

constexpr char kUp[] = "scale-up", kNic[] = "nic";

// Four of eight behind a switch: rings at 50 GB/s, LL at 1, LL128 at 25, NVLS at 60, one-shot at 80.
TEST(FabricBranches, FourRanksOfADomain) {
  const ClusterSpec c = round_cluster();
  const GroupSpan four{4, 4, 1, 1};
  const double root3 = std::sqrt(3.0) / 2, root6 = std::sqrt(6.0) / 2;  // steps over ranks
  for (CollectiveKind kind : {CollectiveKind::AllReduce, CollectiveKind::Barrier}) {
    expect_branches(c, kind, four,
                    {{"ring LL", 10 + 6, 0, 6 / 4.0 / 1, kUp, 1.5, 24},
                     {"ring LL128", 10 + 6 + 3, 0, (6 + 2) / 4.0 / 25, kUp, 1.5, 24},
                     {"ring Simple", 10 + 6 + 20 + 12, root6, (6 + 2) / 4.0 / 50, kUp, 1.5, 24},
                     {"nvls Simple", 50, 3, 1 / 60.0, kUp, 1.25, 16},
                     {"one-shot LL", 2 + 1.5, 0, 3 / 80.0, kUp, 3, 24}});
  }
  for (CollectiveKind kind : {CollectiveKind::AllGather, CollectiveKind::ReduceScatter}) {
    expect_branches(c, kind, four,
                    {{"ring LL", 10 + 3, 0, 0.75 / 1, kUp, 0.75, 24},
                     {"ring LL128", 10 + 3 + 3, 0, (3 + 1) / 4.0 / 25, kUp, 0.75, 24},
                     {"ring Simple", 10 + 3 + 20 + 6, root3, (3 + 1) / 4.0 / 50, kUp, 0.75, 24},
                     {"one-shot LL", 2 + 1.5, 0, 0.75 / 80, kUp, 0.75, 24}});
  }
  for (CollectiveKind kind : {CollectiveKind::Broadcast, CollectiveKind::Reduce}) {
    expect_branches(c, kind, four,
                    {{"chain LL", 13, 0, 1 / 1.0, kUp, 1, 24},
                     {"chain LL128", 16, 0, 1 / 25.0, kUp, 1, 24},
                     {"chain Simple", 39, root3, 1 / 50.0, kUp, 1, 24}});
  }
  for (CollectiveKind kind : {CollectiveKind::Gather, CollectiveKind::Scatter}) {
    expect_branches(c, kind, four, {{"direct Simple", 6 + 1.5, 4, 0.75 / 80, kUp, 0.75, 24}});
  }
  expect_branches(c, CollectiveKind::AllToAll, four,
                  {{"pairwise Simple", 6 + 1.5, 4, (3 + 0.5) / 4 / 80, kUp, 0.75, 24}});
  // 32 channels for four: eight each, of 2.5 GB/s, until one of them has carried a part of 10 MB.
  expect_branches(
      c, CollectiveKind::SendRecv, four,
      {{"direct Simple", 6.5, 4, 1 / 20.0, kUp, 1, 24}, {"direct Simple", 6.5, 4, 1 / 70.0, kUp, 1, 24, 6.5 + 4000}});
}

TEST(FabricBranches, WhatALibraryHasNotIsNoBranch) {
  ClusterSpec c = round_cluster();
  dts::ScaleUpSpec& s = c.node.scale_up;
  s.ll_efficiency = s.ll128_efficiency = s.one_shot_launch_s = 0, s.nvls_min_ranks = 5, s.p2p_channels = 0;
  const double root6 = std::sqrt(6.0) / 2;
  expect_branches(c, CollectiveKind::AllReduce, {4, 4, 1, 1}, {{"ring Simple", 48, root6, 0.04, kUp, 1.5, 24}});
  expect_branches(c, CollectiveKind::SendRecv, {4, 4, 1, 1}, {{"direct Simple", 6.5, 4, 1 / 70.0, kUp, 1, 24}});
  s.p2p_channels = 64, s.p2p_channel_Bps = 10e9;  // the channels one starts with outrun the link
  expect_branches(c, CollectiveKind::SendRecv, {4, 4, 1, 1}, {{"direct Simple", 6.5, 4, 1 / 70.0, kUp, 1, 24}});
  c.scale_out.ll128_Bps = 0;
  expect_branches(
      c, CollectiveKind::Broadcast, {8, 2, 4, 1},
      {{"ring LL", 34.25, 0, 1 / 4.0, kNic, 1, 8}, {"ring Simple", 34.25 + 80, std::sqrt(6.0), 1 / 16.0, kNic, 1, 8}});
}

// Two ranks of each of four domains: NICs of 20 GB/s, of which rings and trees reach 16; LL at 4, LL128 at 12. Rings
// have four hops inside and three, at 1.35 times a tree's, across: 24.25 us a pass. Two levels of domains.
TEST(FabricBranches, TwoRanksOfEachOfFourDomains) {
  const ClusterSpec c = round_cluster();
  const GroupSpan eight{8, 2, 4, 1};
  const double depth = std::sqrt(2 * (2 + 1.0));
  for (CollectiveKind kind : {CollectiveKind::AllReduce, CollectiveKind::Barrier}) {
    expect_branches(c, kind, eight,
                    {{"tree LL", 10 + 2 * (1 + 10), 0, 2 / 4.0, kNic, 2, 8},
                     {"tree LL128", 32 + 2 * 15, 0, 2 / 12.0, kNic, 2, 8},
                     {"tree Simple", 32 + 2 * 40, depth, 2 * 7 / 8.0 / 16, kNic, 2, 8},
                     {"ring LL", 10 + 2 * 24.25, 0, 1.75 / 4, kNic, 1.75, 8},
                     {"ring LL128", 58.5 + 30, 0, 1.75 / 12, kNic, 1.75, 8},
                     {"ring Simple", 58.5 + 80, depth, 1.75 / 16, kNic, 1.75, 8},
                     {"sharp Simple", 10 + 2 + 30, std::sqrt(3.0), 1 / 12.0, kNic, 1, 8}});
  }
  for (CollectiveKind kind : {CollectiveKind::AllGather, CollectiveKind::ReduceScatter}) {
    expect_branches(c, kind, eight,
                    {{"ring LL", 34.25, 0, 0.875 / 4, kNic, 0.875, 8},
                     {"ring LL128", 34.25 + 30, 0, 0.875 / 12, kNic, 0.875, 8},
                     {"ring Simple", 34.25 + 80, depth, 0.875 / 16, kNic, 0.875, 8}});
  }
  // A peer inside and six elsewhere: a quarter of the buffer stays, three leave by half of 10 GB/s.
  for (CollectiveKind kind : {CollectiveKind::Gather, CollectiveKind::Scatter}) {
    expect_branches(c, kind, eight, {{"direct Simple", 6 + 0.5 + 5 + 2 * 5, 13, 0.75 / 5, kNic, 0.75 + 0.125, 8}});
  }
  expect_branches(c, CollectiveKind::AllToAll, eight, {{"pairwise Simple", 21.5, 13, 0.75 / 5, kNic, 0.875, 8}});
  expect_branches(c, CollectiveKind::SendRecv, {2, 1, 2, 1}, {{"direct Simple", 6 + 5, 13, 1 / 2.5, kNic, 1, 4}});
}

// Links of 1 GB/s inside: rings at 0.5 GB/s, trees at 0.92 of it, messages at 0.8.
TEST(FabricBranches, SlowLinksInsideLimitWhatCrosses) {
  ClusterSpec c = round_cluster(1e9);
  const GroupSpan eight{8, 2, 4, 1};
  const double depth = std::sqrt(6.0);
  expect_branches(c, CollectiveKind::AllReduce, eight,
                  {{"tree LL", 32, 0, 0.5, kNic, 2, 8},
                   {"tree LL128", 62, 0, 2 / 12.0, kNic, 2, 8},
                   {"tree Simple", 112, depth, 2 / 0.46, kUp, 2, 8},
                   {"ring LL", 58.5, 0, 1.75 / 4, kNic, 1.75, 8},
                   {"ring LL128", 88.5, 0, 1.75 / 12, kNic, 1.75, 8},
                   {"ring Simple", 138.5, depth, (14 + 2) / 8.0 / 0.5, kUp, 1.75, 8},
                   {"sharp Simple", 42, std::sqrt(3.0), 2 / 0.46, kUp, 1, 8}});
  expect_branches(c, CollectiveKind::AllToAll, eight,
                  {{"pairwise Simple", 21.5, 13, (1 + 0.5) / 8 / 0.8, kUp, 0.875, 8}});
  // Pipelines inside that start later than the network's 80 us: four steps for a gather, two for a tree.
  c.node.scale_up.simple_startup_s = 100e-6;
  const dts::Branches gather = branches_of(c, CollectiveKind::AllGather, eight);
  EXPECT_NEAR((gather.begin() + 2)->startup_s, 34.25e-6 + 100e-6 + 8e-6, 1e-12);
  const dts::Branches sum = branches_of(c, CollectiveKind::AllReduce, eight);
  EXPECT_NEAR((sum.begin() + 2)->startup_s, 32e-6 + 100e-6 + 4e-6, 1e-12);
  EXPECT_NEAR((sum.begin() + 5)->startup_s, 58.5e-6 + 100e-6 + 16e-6, 1e-12);
}

// One rank of each of four domains has no links inside: a NIC of 10 GB/s, of which a ring reaches 8.
TEST(FabricBranches, OneRankOfEachDomain) {
  expect_branches(round_cluster(), CollectiveKind::AllGather, {4, 1, 4, 8},
                  {{"ring LL", 10 + 1.35 * 15, 0, 0.75 / 4, kNic, 0.75, 4},
                   {"ring LL128", 30.25 + 30, 0, 0.75 / 7.5, kNic, 0.75, 4},  // 120 of 128 bytes
                   {"ring Simple", 30.25 + 80, 2, 0.75 / 8, kNic, 0.75, 4},
                   {"pat Simple", 10 + 40 + 10 + 4 * 2.8, 1, 0.75 / (0.75 * 8), kNic, 0.75, 4}});
}

// Four ranks of each of two domains whose switches reduce, at 40 GB/s inside and at NICs of 40.
TEST(FabricBranches, SwitchesOfTwoDomains) {
  const double depth = std::sqrt(5.0);
  const GroupSpan eight{8, 4, 2, 1};
  expect_branches(round_cluster(), CollectiveKind::AllReduce, eight,
                  {{"tree LL", 10 + 2 * (3 + 5), 0, 2 / 4.0, kNic, 2, 16},
                   {"tree LL128", 26 + 15, 0, 2 / 12.0, kNic, 2, 16},
                   {"nvls-tree Simple", 26 + 40, depth, 1 / 36.0, kNic, 2, 16},
                   {"ring LL", 10 + 2 * (6 + 6.75), 0, 1.75 / 4, kNic, 1.75, 16},
                   {"ring LL128", 35.5 + 15, 0, 1.75 / 12, kNic, 1.75, 16},
                   {"ring Simple", 35.5 + 20 + 24, depth, 1.75 / 32, kNic, 1.75, 16},
                   {"sharp Simple", 10 + 6 + 30, depth, 1 / 24.0, kNic, 1, 16}});
  // Of three and more domains an inner one sends twice; a slow switch is what limits then.
  const dts::Branches four = branches_of(round_cluster(50e9), CollectiveKind::AllReduce, {16, 4, 4, 1});
  EXPECT_NEAR((four.begin() + 2)->s_per_byte, 2 * 15 / 16.0 / 32e9, 1e-17);
  const dts::Branches slow = branches_of(round_cluster(20e9), CollectiveKind::AllReduce, eight);
  EXPECT_NEAR((slow.begin() + 2)->s_per_byte, 1 / 8e9, 1e-17);
  EXPECT_STREQ((slow.begin() + 2)->limit, kUp);
  EXPECT_NEAR((slow.begin() + 6)->s_per_byte, 1 / 8e9, 1e-17);
  EXPECT_STREQ((slow.begin() + 6)->limit, kUp);
}

// The fit ends at the 14 steps of an all-reduce on eight; beyond, by the root.
TEST(FabricBranches, StartOfTheSimpleProtocol) {
  const dts::ScaleUpSpec s = round_cluster().node.scale_up;
  for (const auto& [steps, counted] : {std::pair{1.0, 1.0}, {14, 14}, {56, 28}}) {
    EXPECT_NEAR(dts::simple_start_s(s, steps), (20 + 2 * counted) * 1e-6, 1e-12) << steps;
  }
}

// In a mesh of three a pair has half of the links; of a bus that four share, all of it, at most the device's own.
TEST(FabricBranches, RatesOfPartsOfAMeshAndABus) {
  ClusterSpec c = round_cluster();
  c.node.devices = 3, c.node.scale_up.group_exponent = 1;
  EXPECT_NEAR(dts::rates_of(c, {2, 2, 1, 1}).ring_Bps, 25e9, 1);
  EXPECT_NEAR(dts::rates_of(c, {2, 2, 1, 1}).p2p_Bps, 40e9, 1);
  EXPECT_NEAR(dts::rates_of(c, {3, 3, 1, 1}).ring_Bps, 50e9, 1);
  EXPECT_NEAR(dts::rates_of(c, {3, 3, 1, 1}).pair_Bps, 35e9, 1);
  c.node.devices = 4, c.node.scale_up.group_exponent = -1;
  EXPECT_NEAR(dts::rates_of(c, {3, 3, 1, 1}).ring_Bps, 75e9, 1);
  EXPECT_NEAR(dts::rates_of(c, {2, 2, 1, 1}).ring_Bps, 100e9, 1);
  EXPECT_EQ(dts::rates_of(c, {4, 1, 4, 1}).ring_Bps, 0);
}

// Parts of a torus: both directions of a closed axis, one of an open one; the bisection of a ring or a line.
TEST(FabricBranches, PartsOfATorus) {
  dts::ScaleUpSpec s = round_cluster().node.scale_up;
  const auto expect_part = [&](int slice, const GroupSpan& span, double axes_Bps, double hops, double seconds) {
    SCOPED_TRACE(testing::Message() << s.torus_axes << " axes, " << span.ranks << " by " << span.stride);
    const dts::TorusPart part = torus_part(s, slice, span);
    EXPECT_NEAR(part.axes_Bps, axes_Bps, 1);
    EXPECT_EQ(part.hops, hops);
    EXPECT_NEAR(part.alltoall_s_per_byte, seconds, 1e-18);
  };
  s.torus_axes = 1;  // a ring of 16 at 100 GB/s, and part of it
  expect_part(16, {16, 16, 1, 1}, 100e9, 8, 16 / 400e9);
  expect_part(16, {4, 4, 1, 1}, 50e9, 3, 4 / 200e9);
  s.torus_axes = 2;  // 4 x 4 at 50 GB/s an axis
  expect_part(16, {4, 4, 1, 1}, 50e9, 2, 4 / 200e9);
  expect_part(16, {8, 8, 1, 1}, 75e9, 2 + 1, 2 / 100e9);
  expect_part(16, {16, 16, 1, 1}, 100e9, 4, 4 / 200e9);
  expect_part(16, {4, 4, 1, 4}, 50e9, 2, 4 / 200e9);     // along the second axis
  expect_part(16, {2, 2, 1, 2}, 25e9, 1, 2 / 100e9);     // every second of the first
  expect_part(16, {3, 3, 1, 0}, 25e9, 2, 3 / 100e9);     // of no known shape: a line
  expect_part(8, {8, 8, 1, 1}, 75e9, 2 + 1, 2 / 100e9);  // 4 x 2
  s.torus_wrap = 2;
  expect_part(8, {8, 8, 1, 1}, 100e9, 2 + 1, 4 / 200e9);
  s.torus_shape = {2, 4, 1};  // as it is given
  expect_part(8, {2, 2, 1, 1}, 50e9, 1, 2 / 200e9);
  expect_part(8, {4, 4, 1, 2}, 50e9, 2, 4 / 200e9);
  s.torus_shape = {}, s.torus_axes = 3, s.torus_wrap = 4;  // 3 x 2 x 2
  expect_part(12, {12, 12, 1, 1}, 50e9, 2 + 1 + 1, 3 / (4 * 50e9 / 3));
}

// What a group owns of its node: the NICs of its ranks, at most as many as the library drives.
TEST(FabricBranches, NicsThatRingsDrive) {
  ClusterSpec c = round_cluster();
  const auto ring_Bps = [&](const GroupSpan& span) {  // of the bulk protocol
    return 0.875 / ((branches_of(c, CollectiveKind::AllGather, span).begin() + 2)->s_per_byte) / 0.8;
  };
  const GroupSpan eight{8, 2, 4, 1};
  EXPECT_NEAR(ring_Bps(eight), 20e9, 1);
  c.node.nics = 4;
  EXPECT_NEAR(ring_Bps(eight), 10e9, 1);
  GroupSpan alone = eight;
  alone.nics_alone = 2;  // no sibling uses what the ranks share
  EXPECT_NEAR(ring_Bps(alone), 20e9, 1);
  c.node.nics = 8, c.scale_out.group_nics = 1;
  EXPECT_NEAR(ring_Bps(eight), 10e9, 1);
  c.scale_out.group_nics = 0, c.node.scale_up.ring_devices = 8;  // one NIC of eight devices
  EXPECT_NEAR(ring_Bps(eight), 10e9, 1);
  c.node.scale_up.ring_devices = 4;
  EXPECT_NEAR(ring_Bps(eight), 20e9, 1);
  c.node.scale_up.ring_devices = 16;
  EXPECT_NEAR(ring_Bps(eight), 10e9, 1);  // never less than one
}

}  // namespace

// Buffers of NCCL's communicators against published sizes and by hand.
#include "memory/communicator_bytes.hpp"

#include <gtest/gtest.h>

#include "units.hpp"

namespace dts {
namespace {

// The facts of catalog/libraries.yaml.
CommunicationLibrary nccl(bool on_use) {
  CommunicationLibrary l;
  l.simple_bytes = 4 * kMiB, l.ll_bytes = 0.5 * kMiB, l.ll128_bytes = 4915200, l.granularity_bytes = 2 * kMiB;
  l.shared_steps = 16, l.network_chunk_bytes = l.local_chunk_bytes = 128 * kKiB, l.switch_chunk_bytes = 512 * kKiB;
  l.switch_buffer_bytes = kMiB, l.point_to_point_Bps = 14e9, l.ring_Bps = 40e9, l.link_share = 0.8;
  l.connects_on_use = on_use, l.pool_of_sends = !on_use;
  return l;
}

ClusterSpec dgx(double device_Bps, int nvls_min_ranks, int nodes = 4) {
  ClusterSpec c;
  c.nodes = nodes;
  c.node.scale_up.device_Bps = device_Bps;
  c.node.scale_up.nvls_min_ranks = nvls_min_ranks;
  return c;
}
ClusterSpec a100() { return dgx(300e9, 0); }
ClusterSpec h100() { return dgx(450e9, 5); }

Communicator ring(GroupSpan span) {
  Communicator c;
  c.span = span, c.ring = true;
  return c;
}

TEST(CommunicatorBytes, TwoAmpereDevicesTakeWhatNcclIssue964Measures) {
  Communicator pair;
  pair.span = {2, 2, 1, 1};
  EXPECT_DOUBLE_EQ(communicator_bytes(nccl(false), a100(), pair), 544 * kMiB);
  // Of four, 688 MiB on a rank at the end of a tree's chain; one inside it has neighbours on both sides.
  pair.span = {4, 4, 1, 1};
  const double inside = communicator_bytes(nccl(false), a100(), pair);
  EXPECT_DOUBLE_EQ(inside - 544 * kMiB, 2 * (688 - 544) * kMiB);
}

TEST(CommunicatorBytes, AllToAllOfADgxH100ConnectsAllChannelsToEveryPeer) {
  Communicator all;
  all.span = {8, 8, 1, 1};
  all.near_peers = 7;  // NCCL issue 1685: 32 channels a peer, of 10 and 2 MiB
  EXPECT_DOUBLE_EQ(communicator_bytes(nccl(true), h100(), all), 7.0 * 32 * (10 + 2) * kMiB);
}

TEST(CommunicatorBytes, NothingWithoutUseOrCompanyOrLibrary) {
  Communicator idle;
  idle.span = {8, 8, 1, 1};
  EXPECT_EQ(communicator_bytes(nccl(true), h100(), idle), 0);
  EXPECT_EQ(communicator_bytes(nccl(false), h100(), ring({1, 1, 1, 1})), 0);
  EXPECT_EQ(communicator_bytes({}, h100(), ring({8, 8, 1, 1})), 0);
}

TEST(CommunicatorBytes, AcrossNodesByHand) {
  // One member a node: two channels for its NIC, four with Hopper's switches; 10 MiB each way and direction.
  EXPECT_DOUBLE_EQ(communicator_bytes(nccl(true), a100(), ring({4, 1, 4, 1})), 2.0 * 20 * kMiB);
  EXPECT_DOUBLE_EQ(communicator_bytes(nccl(true), h100(), ring({4, 1, 4, 1})), 4.0 * 20 * kMiB);
  // Eight: 16 channels, of which each rank leaves the node on an eighth.
  EXPECT_DOUBLE_EQ(communicator_bytes(nccl(true), h100(), ring({32, 8, 4, 1})), 16 * (12 * 7 + 20) / 8.0 * kMiB);
}

// A tree's neighbours: half of them elsewhere twice over, 10 MiB each way and direction, shared by a domain's members;
// 12 MiB inside where there are more than two.
TEST(CommunicatorBytes, TreesAcrossNodesByHand) {
  Communicator tree;
  tree.tree = true;
  tree.span = {32, 8, 4, 1};
  EXPECT_DOUBLE_EQ(communicator_bytes(nccl(true), h100(), tree), 16 * (12 + 1.5 * 20 / 8) * kMiB);
  tree.span = {8, 2, 4, 1};  // two NICs, doubled, and again with Hopper's switches
  EXPECT_DOUBLE_EQ(communicator_bytes(nccl(true), h100(), tree), 8 * (1.5 * 20 / 2) * kMiB);
  EXPECT_DOUBLE_EQ(communicator_bytes(nccl(true), a100(), tree), 4 * (1.5 * 20 / 2) * kMiB);
  tree.span = {6, 3, 2, 1};
  EXPECT_DOUBLE_EQ(communicator_bytes(nccl(true), a100(), tree), 6 * (12 + 1.0 * 20 / 3) * kMiB);
  ClusterSpec few = a100();
  few.node.nics = 2;  // none of a member's own: a channel, doubled
  EXPECT_DOUBLE_EQ(communicator_bytes(nccl(true), few, tree), 2 * (12 + 1.0 * 20 / 3) * kMiB);
}

// Channels of one peer: as many of 14 GB/s as fill a NIC, a power of two, at least two; all behind a switch.
TEST(CommunicatorBytes, ChannelsOfAPeer) {
  const auto channels = [](const ClusterSpec& c, const GroupSpan& span) {
    Communicator one;
    one.span = span, one.near_peers = 1;
    return communicator_bytes(nccl(true), c, one) / (12 * kMiB);
  };
  ClusterSpec c = h100();  // 50 GB/s
  EXPECT_DOUBLE_EQ(channels(c, {16, 8, 2, 1}), 4);
  c.node.nic_Bps = 57e9;
  EXPECT_DOUBLE_EQ(channels(c, {16, 8, 2, 1}), 8);
  c.node.nics = 16, c.node.nic_Bps = 28e9;
  EXPECT_DOUBLE_EQ(channels(c, {16, 8, 2, 1}), 4);
  c.node.nics = 8, c.node.nic_Bps = 1e9;
  EXPECT_DOUBLE_EQ(channels(c, {16, 8, 2, 1}), 2);
  EXPECT_DOUBLE_EQ(channels(c, {8, 8, 1, 1}), 32);  // 24 channels, rounded up
  c.node.scale_up.p2p_channels = 16;
  EXPECT_DOUBLE_EQ(channels(c, {8, 8, 1, 1}), 16);
  c.node.scale_up.group_exponent = 1;  // a mesh: a pair
  EXPECT_DOUBLE_EQ(channels(c, {8, 8, 1, 1}), 2);
  c.node.scale_up.p2p_channels = 1;
  EXPECT_DOUBLE_EQ(channels(c, {8, 8, 1, 1}), 1);
}

TEST(CommunicatorBytes, ChannelsAndPoolsOfSlowLinks) {
  const GroupSpan pair{2, 2, 1, 1};
  EXPECT_DOUBLE_EQ(communicator_bytes(nccl(true), dgx(25e9, 0), ring(pair)), 2 * 12 * kMiB);  // PCIe: one, doubled
  EXPECT_DOUBLE_EQ(communicator_bytes(nccl(true), dgx(50e9, 0), ring(pair)), 4 * 12 * kMiB);  // a ring of 40 GB/s
  CommunicationLibrary l = nccl(true);
  l.pool_of_sends = true, l.local_chunk_bytes = 256 * kKiB;
  Communicator idle;
  idle.span = pair;
  ClusterSpec c = dgx(25e9, 0);  // two channels, 16 steps of a chunk
  EXPECT_DOUBLE_EQ(communicator_bytes(l, c, idle), 2 * 16 * 512 * kKiB);
  c.node.scale_up.group_exponent = 1;
  EXPECT_DOUBLE_EQ(communicator_bytes(l, c, idle), 2 * 16 * 256 * kKiB);
  idle.span = {2, 1, 2, 1};
  EXPECT_DOUBLE_EQ(communicator_bytes(l, c, idle), 2 * 16 * 128 * kKiB);
}

TEST(CommunicatorBytes, AlgorithmsAndWhatTheyConnect) {
  struct Case {
    const char* algorithm;
    bool ring, tree, in_switch;
  };
  for (const Case& c : {Case{"ring", true, false, false},
                        {"chain", true, false, false},
                        {"pat", true, false, false},
                        {"sharp", true, false, false},
                        {"tree", false, true, false},
                        {"nvls-tree", false, true, true},
                        {"nvls", false, false, true},
                        {"direct", false, false, false}}) {
    Communicator found;
    add_algorithm(found, c.algorithm);
    EXPECT_EQ(found.ring, c.ring) << c.algorithm;
    EXPECT_EQ(found.tree, c.tree) << c.algorithm;
    EXPECT_EQ(found.in_switch, c.in_switch) << c.algorithm;
  }
}

TEST(CommunicatorBytes, SendsElsewhereShareTwoPoolsWhateverTheirNumber) {
  Communicator far;
  far.span = {4, 1, 4, 1};
  far.far_peers = 1;
  const double one = communicator_bytes(nccl(true), h100(), far);
  EXPECT_DOUBLE_EQ(one, 2.0 * 4 * 16 * 128 * kKiB);
  far.far_peers = 3;
  EXPECT_DOUBLE_EQ(communicator_bytes(nccl(true), h100(), far), one);
}

TEST(CommunicatorBytes, SwitchesReserveForEveryRankOfTheDomain) {
  Communicator c;
  c.span = {8, 8, 1, 1};
  c.in_switch = true;
  EXPECT_DOUBLE_EQ(communicator_bytes(nccl(true), h100(), c), 16.0 * 2 * 8 * kMiB);
  EXPECT_EQ(communicator_bytes(nccl(true), a100(), c), 0);
}

TEST(CommunicatorBytes, ConnectingOnUseNeverTakesMore) {
  for (const GroupSpan span : {GroupSpan{2, 2, 1, 1}, {8, 8, 1, 1}, {16, 8, 2, 1}, {64, 1, 64, 8}}) {
    Communicator c = ring(span);
    for (const char* algorithm : {"tree", "nvls", "chain", "pairwise"}) {
      add_algorithm(c, algorithm);
      EXPECT_LE(communicator_bytes(nccl(true), h100(), c), communicator_bytes(nccl(false), h100(), c));
    }
  }
}

TEST(CommunicatorBytes, VoltaHasHalfOfAmperesChannels) {
  const GroupSpan pair{2, 2, 1, 1};
  EXPECT_DOUBLE_EQ(2 * communicator_bytes(nccl(true), dgx(150e9, 0), ring(pair)),
                   communicator_bytes(nccl(true), a100(), ring(pair)));
}

}  // namespace
}  // namespace dts

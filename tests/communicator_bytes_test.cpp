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

#include "comm/token_exchange.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "comm/interconnect.hpp"
#include "comm/span.hpp"

namespace {

using dts::ClusterSpec;
using dts::TokenCopies;

double distinct(double groups, double experts, double top_k) {
  return dts::distinct_groups(groups, groups, {top_k, experts, 0});
}

TEST(DistinctGroups, EnumeratedByHand) {
  // 2 of 6 experts in 3 groups of 2: 3 of 15 pairs lie in one group, 12 in two: (3 + 24) / 15.
  EXPECT_DOUBLE_EQ(distinct(3, 6, 2), 27.0 / 15);
  EXPECT_DOUBLE_EQ(distinct(4, 8, 1), 1);
  EXPECT_DOUBLE_EQ(distinct(4, 8, 8), 4);  // every expert chosen: every group met
  EXPECT_DOUBLE_EQ(distinct(1, 8, 2), 1);
}

TEST(DistinctGroups, CommonModels) {
  EXPECT_NEAR(distinct(8, 256, 8), 5.30, 0.01);
  EXPECT_NEAR(distinct(64, 256, 8), 7.68, 0.01);
  EXPECT_NEAR(distinct(2, 256, 8), 1.99, 0.01);
  EXPECT_NEAR(distinct(8, 128, 8), 5.34, 0.01);
  EXPECT_NEAR(distinct(8, 64, 6), 4.54, 0.01);
  // DeepSeek-V3: experts in at most 4 of 8 nodes.
  const TokenCopies limited{8, 256, 4};
  EXPECT_NEAR(dts::distinct_groups(8, 8, limited), 3.63, 0.01);
  EXPECT_NEAR(dts::distinct_groups(64, 8, limited), 7.36, 0.01);
  EXPECT_EQ(dts::distinct_groups(2, 2, limited), distinct(2, 256, 8));  // a limit above what there is
}

// 100 GB/s inside, 10 GB/s per NIC, nothing fixed but the launch.
ClusterSpec plain(int nodes) {
  ClusterSpec c;
  c.nodes = nodes;
  c.node.nic_Bps = 10e9;
  c.node.scale_up.device_Bps = 100e9;
  c.node.scale_up.p2p_efficiency = c.scale_out.ring_efficiency = 1;
  c.node.scale_up.p2p_launch_s = 10e-6;
  c.node.scale_up.p2p_peer_s = c.node.scale_up.p2p_ramp = 0;
  c.scale_out.hop_s = c.scale_out.p2p_peer_s = c.scale_out.p2p_ramp = 0;
  return c;
}

TEST(TokenExchange, SlowerLinkDecides) {
  const TokenCopies copies{8, 256, 0};
  const double rows = 1e6 * 1000, bytes = 8 * rows;  // a million tokens of 1000 bytes
  const ClusterSpec one = plain(1), two = plain(2);
  EXPECT_DOUBLE_EQ(dts::token_exchange(one, bytes, copies, dts::span_of(one, 8)).time_s,
                   10e-6 + rows * distinct(8, 256, 8) / 100e9);
  const auto far = dts::token_exchange(two, bytes, copies, dts::span_of(two, 16));
  EXPECT_DOUBLE_EQ(far.time_s, 10e-6 + rows * distinct(2, 256, 8) / 2 / 10e9);
  EXPECT_EQ(far.bound, "nic");
  EXPECT_EQ(dts::token_exchange(two, bytes, copies, dts::span_of(two, 1)).time_s, 0);
  // Ranks alone on their nodes: nothing to pass on.
  EXPECT_EQ(dts::exchange_bytes(bytes, copies, dts::span_of(two, 2, 8)).scale_up, 0);
}

TEST(TokenExchange, FixedTimesOfPeersAndNodes) {
  // Three nodes: launch, seven peers inside, one hop, and the second of two remote nodes; NICs at 0.8 of 10 GB/s.
  ClusterSpec c = plain(3);
  c.node.scale_up.p2p_peer_s = 1e-6;
  c.scale_out.hop_s = 5e-6, c.scale_out.p2p_peer_s = 3e-6;
  c.scale_out.ring_efficiency = 0.8;
  const TokenCopies copies{8, 240, 0};
  const double rows = 1e9;
  const auto cost = dts::token_exchange(c, 8 * rows, copies, dts::span_of(c, 24));
  const double nic_s = rows * distinct(3, 240, 8) * 2 / 3 / 8e9;
  EXPECT_NEAR(cost.transfer_s, nic_s, 1e-12);
  EXPECT_NEAR(cost.time_s, 10e-6 + 7e-6 + 5e-6 + 3e-6 + nic_s, 1e-12);
  EXPECT_EQ(cost.algorithm, "hierarchical");
}

TEST(TokenExchange, PublishedDeepEpBandwidths) {
  // DeepEP README (deepseek-ai/DeepEP), bytes of one copy per rank (one node) or per node, over time: v1 on H800 with
  // 400 Gb/s NICs, v2 on SM90. H800: half of H100's NVLink.
  struct Row {
    double nvlink_Bps;
    int nodes;
    double published_GBps;
  };
  for (const Row& row : {Row{200e9, 1, 153},
                         {200e9, 1, 158},
                         {200e9, 2, 43},
                         {200e9, 4, 58},
                         {200e9, 8, 51},
                         {450e9, 2, 90},
                         {450e9, 4, 61}}) {
    ClusterSpec c;
    c.nodes = row.nodes;
    c.node.nic_Bps = 50e9;
    c.node.scale_up.device_Bps = row.nvlink_Bps;
    const TokenCopies copies{8, 256, 0};
    const double ranks = 8 * row.nodes, rows = 4096.0 * 7168 * 2;
    const double counted = rows * distinct(row.nodes > 1 ? row.nodes : ranks, 256, 8);
    const auto cost = dts::token_exchange(c, 8 * rows, copies, dts::span_of(c, static_cast<int>(ranks)));
    EXPECT_NEAR(counted / cost.time_s / 1e9 / row.published_GBps, 1, 0.12)
        << row.nodes << " nodes, " << row.published_GBps;
  }
}

TEST(TokenExchange, TrafficIsWhatTheFormulaSays) {
  const ClusterSpec c = plain(3);
  const auto network = dts::make_interconnect(c);
  std::vector<int> ranks(24);
  std::iota(ranks.begin(), ranks.end(), 0);
  const dts::RankGroup group = network->group(ranks);
  const TokenCopies copies{4, 48, 0};
  std::vector<double> matrix(24 * 24, 0);
  network->add_exchange_traffic(1e6, copies, 2, group, matrix);
  const dts::ExchangeBytes moved = dts::exchange_bytes(1e6, copies, group.span);
  for (std::size_t i = 0; i < 24; ++i) {
    double sent = 0, received = 0, nic = 0;
    for (std::size_t j = 0; j < 24; ++j) {
      sent += matrix[i * 24 + j], received += matrix[j * 24 + i];
      if (i / 8 != j / 8) nic += matrix[i * 24 + j];
    }
    EXPECT_NEAR(nic, 2 * moved.nic, 1e-6);
    EXPECT_NEAR(sent, 2 * (moved.nic + moved.scale_up * 7 / 8), 1e-6);  // an eighth stays where it is
    EXPECT_NEAR(received, sent, 1e-6);
  }
}

}  // namespace

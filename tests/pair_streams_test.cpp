#include "comm/pair_streams.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <utility>

#include "comm/fabric.hpp"

namespace {

using dts::CollectiveCost;
using dts::CollectiveKind;
using dts::PairStream;

dts::ClusterSpec cluster(int nodes) {
  dts::ClusterSpec c;
  c.nodes = nodes;
  return c;
}

std::vector<int> strided(int count, int stride) {
  std::vector<int> ranks;
  for (int i = 0; i < count; ++i) ranks.push_back(i * stride);
  return ranks;
}

struct Moved {
  std::map<int, double> sent, received, near;  // over NICs; over NICs; inside a domain
};

Moved moved(const dts::ClusterSpec& c, CollectiveKind kind, double bytes, const std::vector<int>& ranks,
            dts::TokenCopies copies = {}) {
  const auto network = dts::make_interconnect(c);
  const dts::RankGroup group = network->group(ranks);
  const CollectiveCost cost =
      copies.deduplicated() ? network->exchange(bytes, copies, group) : network->cost(kind, bytes, group);
  Moved m;
  for (const PairStream& s : dts::pair_streams(c, {kind, bytes, copies}, group, cost)) {
    EXPECT_GE(s.link_bytes, s.bytes);
    if (s.from / 8 == s.to / 8) {
      m.near[s.from] += s.bytes;
    } else {
      m.sent[s.from] += s.bytes, m.received[s.to] += s.bytes;
    }
  }
  return m;
}

TEST(PairStreams, ASumInTheSwitchMovesOneBufferAndAShareOfOne) {
  const dts::ClusterSpec c = cluster(1);
  const auto network = dts::make_interconnect(c);
  CollectiveCost cost;
  cost.algorithm = "nvls";  // each rank sends its buffer once, and the sum of its share
  for (const PairStream& s :
       dts::pair_streams(c, {CollectiveKind::AllReduce, 800, {}}, network->group(strided(8, 1)), cost))
    EXPECT_DOUBLE_EQ(s.bytes, 800 + 100);
}

TEST(PairStreams, ARingMovesItsBytesOverEveryNic) {
  const double bytes = 1e9, n = 64;
  for (const auto kind : {CollectiveKind::AllGather, CollectiveKind::ReduceScatter}) {
    const Moved m = moved(cluster(8), kind, bytes, strided(64, 1));
    EXPECT_EQ(m.sent.size(), 64u);
    for (const auto& [rank, sent] : m.sent) EXPECT_NEAR(sent, bytes * (n - 1) / n / 8, 1e-3) << rank;
    for (const auto& [rank, sent] : m.near) EXPECT_NEAR(sent, bytes * (n - 1) / n * 7 / 8, 1e-3) << rank;
  }
}

// What leaves a domain is what its NICs need the price's transfer time for, at the rate of a ring.
TEST(PairStreams, BoundByNicsTheyFillThemForTheWholeTransfer) {
  const dts::ClusterSpec c = cluster(16);
  const auto network = dts::make_interconnect(c);
  for (const auto kind : {CollectiveKind::AllReduce, CollectiveKind::ReduceScatter}) {
    for (int stride : {1, 8}) {
      const dts::RankGroup group = network->group(strided(stride == 1 ? 128 : 16, stride));
      const CollectiveCost cost = network->cost(kind, 4e9, group);
      ASSERT_EQ(cost.bound, "nic");
      std::map<int, double> taken;
      for (const PairStream& s : dts::pair_streams(c, {kind, 4e9, {}}, group, cost)) {
        if (s.from / 8 != s.to / 8) taken[s.from] += s.link_bytes;
      }
      double fullest = 0;  // of a tree: an inner domain; its price counts (ranks - 1) / ranks of what passes
      for (const auto& [rank, bytes] : taken) fullest = std::max(fullest, bytes);
      const double counted = cost.algorithm == "nvls-tree" || cost.algorithm == "tree"
                                 ? 1 - 1 / static_cast<double>(group.ranks.size())
                                 : 1;
      EXPECT_NEAR(counted * fullest / cost.transfer_s, c.node.nic_Bps, 1e-3 * c.node.nic_Bps) << cost.algorithm;
    }
  }
}

TEST(PairStreams, TreesBalanceTheirDomains) {
  const dts::ClusterSpec c = cluster(16);
  const auto network = dts::make_interconnect(c);
  const dts::RankGroup group = network->group(strided(16, 8));
  CollectiveCost cost;
  cost.algorithm = "tree";
  Moved m;
  for (const PairStream& s : dts::pair_streams(c, {CollectiveKind::AllReduce, 1e9, {}}, group, cost)) {
    m.sent[s.from] += s.bytes, m.received[s.to] += s.bytes;
  }
  double sent = 0;
  for (const auto& [rank, bytes] : m.sent) sent += bytes;
  EXPECT_NEAR(sent, 2 * 15 * 1e9, 1e-3);  // two trees of 15 edges, half the buffer each way
  for (const auto& [rank, bytes] : m.sent) {
    EXPECT_LE(bytes, 2e9 * 1.0001) << rank;
    EXPECT_NEAR(bytes, m.received[rank], 1e-3) << rank;
  }
}

// Half of the buffer up and half down on both trees, whoever is the root: each domain sends it once.
TEST(PairStreams, TreesOfTwoDomainsSendTheBufferOnce) {
  const dts::ClusterSpec c = cluster(2);
  const auto network = dts::make_interconnect(c);
  CollectiveCost cost;
  cost.algorithm = "tree";
  std::map<bool, double> sent;  // by whether the first domain sends
  const dts::RankGroup group = network->group(strided(4, 4));
  for (const PairStream& s : dts::pair_streams(c, {CollectiveKind::AllReduce, 1e9, {}}, group, cost)) {
    if (s.from / 8 != s.to / 8) sent[s.from < 8] += s.bytes;
  }
  EXPECT_NEAR(sent[true], 1e9, 1e-3);
  EXPECT_NEAR(sent[false], 1e9, 1e-3);
}

// NCCL's trees: of four domains 0-2, 2-1, 2-3 and its mirror 3-1, 1-2, 1-0; of three 0-2, 2-1 and the same one further,
// 1-0, 0-2. Each edge takes a quarter of the bytes per hop each way.
TEST(PairStreams, TreesOfFewDomainsByHand) {
  const std::map<int, std::map<std::pair<int, int>, int>> edges{
      {4, {{{0, 1}, 1}, {{0, 2}, 1}, {{1, 2}, 2}, {{1, 3}, 1}, {{2, 3}, 1}}},
      {3, {{{0, 1}, 1}, {{0, 2}, 2}, {{1, 2}, 1}}},
  };
  const dts::ClusterSpec c = cluster(4);
  const auto network = dts::make_interconnect(c);
  for (const auto& [domains, expected] : edges) {
    CollectiveCost cost;
    cost.algorithm = "tree";
    std::map<std::pair<int, int>, double> found;
    double all = 0;
    for (const PairStream& s :
         dts::pair_streams(c, {CollectiveKind::AllReduce, 1e9, {}}, network->group(strided(domains, 8)), cost)) {
      found[std::minmax(s.from / 8, s.to / 8)] += s.bytes, all += s.bytes;
    }
    EXPECT_EQ(found.size(), expected.size());
    for (const auto& [pair, times] : expected) EXPECT_NEAR(found[pair], all * times / (2 * (domains - 1)), 1);
  }
}

TEST(PairStreams, AnExchangeReachesEveryPairOnce) {
  const Moved m = moved(cluster(2), CollectiveKind::AllToAll, 16e6, strided(16, 1));
  for (const auto& [rank, bytes] : m.sent) EXPECT_NEAR(bytes, 8e6, 1e-3) << rank;
  for (const auto& [rank, bytes] : m.near) EXPECT_NEAR(bytes, 7e6, 1e-3) << rank;
}

// Rows that several experts of a domain share cross once.
TEST(PairStreams, DeduplicatedRowsCrossOnce) {
  const dts::TokenCopies copies{8, 64, 0};
  const Moved all = moved(cluster(2), CollectiveKind::AllToAll, 16e6, strided(16, 1));
  const Moved once = moved(cluster(2), CollectiveKind::AllToAll, 16e6, strided(16, 1), copies);
  for (const auto& [rank, bytes] : once.sent) EXPECT_LT(bytes, 0.3 * all.sent.at(rank)) << rank;
}

// What the matrix of a job shows of a ring: each member to the next, the last to the first, and nothing back.
TEST(PairStreams, TheMatrixSendsToTheNextMember) {
  const auto network = dts::make_interconnect(cluster(1));
  std::vector<double> matrix(64, 0);
  network->add_traffic(CollectiveKind::AllGather, 1e9, 2, network->group({1, 3, 4}), matrix);
  const std::map<int, double> sent{{1 * 8 + 3, 0}, {3 * 8 + 4, 0}, {4 * 8 + 1, 0}};
  for (int i = 0; i < 64; ++i) {
    EXPECT_NEAR(matrix[static_cast<std::size_t>(i)], sent.count(i) ? 2 * 1e9 * 2 / 3 : 0, 1e-3) << i;
  }
}

TEST(PairStreams, TheMatrixOfMessagesAndExchanges) {
  const auto network = dts::make_interconnect(cluster(1));
  const dts::RankGroup group = network->group({1, 3, 4});
  std::vector<double> sent(64, 0), exchanged(64, 0);
  network->add_traffic(CollectiveKind::SendRecv, 6e6, 2, group, sent);
  network->add_traffic(CollectiveKind::AllToAll, 6e6, 2, group, exchanged);
  for (int from = 0; from < 8; ++from) {
    for (int to = 0; to < 8; ++to) {
      const auto members = [](int rank) { return rank == 1 || rank == 3 || rank == 4; };
      const auto at = static_cast<std::size_t>(from * 8 + to);
      EXPECT_EQ(sent[at], from == 1 && to == 3 ? 12e6 : 0) << from << to;
      EXPECT_EQ(exchanged[at], members(from) && members(to) && from != to ? 4e6 : 0) << from << to;
    }
  }
  network->add_traffic(CollectiveKind::AllGather, 1e9, 1, network->group({5}), sent);  // nobody to send to
  EXPECT_EQ(sent[5 * 8 + 5], 0);
}

TEST(PairStreams, NobodySendsWithoutPartnersOrBytes) {
  EXPECT_TRUE(moved(cluster(1), CollectiveKind::AllReduce, 1e9, {3}).near.empty());
  EXPECT_TRUE(moved(cluster(1), CollectiveKind::AllReduce, 0, {3, 4}).near.empty());
  EXPECT_TRUE(moved(cluster(1), CollectiveKind::Barrier, 1e9, {3, 4}).near.empty());
}

}  // namespace

// Schedules of the classic algorithms: every rank ends with what it should, and time equals the textbook closed forms.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <set>

#include "comm/classic.hpp"
#include "comm/schedule_cost.hpp"
#include "error.hpp"

namespace {

using dts::Algorithm;
using dts::CollectiveKind;

constexpr double kAlpha = 5e-6, kBeta = 1 / 50e9, kGamma = 1 / 200e9, kSize = 64.0 * 1024 * 1024;

dts::Topology network(dts::TopologyKind kind, int nodes) {
  dts::TopologySpec spec;
  spec.kind = kind;
  spec.nodes = nodes;
  return dts::Topology(spec);
}

dts::ScheduleCost cost_on(dts::TopologyKind topology_kind, CollectiveKind kind, Algorithm algorithm, double bytes,
                          int n, double gamma = 0, int chunks = 0) {
  const dts::Topology topology = network(topology_kind, n);
  dts::Router router(topology);
  std::vector<int> ranks(static_cast<std::size_t>(n));
  std::iota(ranks.begin(), ranks.end(), 0);
  return schedule_cost(classic_schedule(kind, algorithm, bytes, n), ranks, router, topology, {gamma, chunks});
}

double time_on_switch(CollectiveKind kind, Algorithm algorithm, double bytes, int n, double gamma = 0) {
  return cost_on(dts::TopologyKind::Switch, kind, algorithm, bytes, n, gamma).time_s;
}

void expect_close(double got, double expected) { EXPECT_NEAR(got, expected, 1e-3 * expected); }

double log2_of(int n) { return std::log2(static_cast<double>(n)); }

TEST(TextbookForms, AllReduce) {
  for (int n : {2, 4, 8, 64, 256}) {
    for (double s : {1024.0, kSize}) {
      const auto time = [&](Algorithm a) { return time_on_switch(CollectiveKind::AllReduce, a, s, n, kGamma); };
      const double share = (n - 1.0) / n, logn = log2_of(n);
      expect_close(time(Algorithm::Ring), 2 * (n - 1) * kAlpha + 2 * share * s * kBeta + share * s * kGamma);
      expect_close(time(Algorithm::RecursiveDoubling), logn * (kAlpha + s * kBeta + s * kGamma));
      expect_close(time(Algorithm::Rabenseifner), 2 * logn * kAlpha + 2 * share * s * kBeta + share * s * kGamma);
      expect_close(time(Algorithm::Tree), 2 * logn * (kAlpha + s * kBeta) + logn * s * kGamma);
      expect_close(time(Algorithm::Direct), 2 * kAlpha + 2 * share * s * kBeta + share * s * kGamma);
    }
  }
}

TEST(TextbookForms, AllGatherAndReduceScatter) {
  for (int n : {2, 8, 128}) {
    const double share = (n - 1.0) / n, bulk = share * kSize * kBeta;
    expect_close(time_on_switch(CollectiveKind::AllGather, Algorithm::Ring, kSize, n), (n - 1) * kAlpha + bulk);
    expect_close(time_on_switch(CollectiveKind::AllGather, Algorithm::RecursiveDoubling, kSize, n),
                 log2_of(n) * kAlpha + bulk);
    expect_close(time_on_switch(CollectiveKind::ReduceScatter, Algorithm::RecursiveHalving, kSize, n),
                 log2_of(n) * kAlpha + bulk);
    expect_close(time_on_switch(CollectiveKind::ReduceScatter, Algorithm::Ring, kSize, n), (n - 1) * kAlpha + bulk);
  }
  // Bruck's all-gather needs no power of two.
  expect_close(time_on_switch(CollectiveKind::AllGather, Algorithm::Bruck, kSize, 12),
               4 * kAlpha + 11.0 / 12 * kSize * kBeta);
}

TEST(TextbookForms, BroadcastReduceGatherScatter) {
  for (CollectiveKind kind : {CollectiveKind::Broadcast, CollectiveKind::Reduce}) {
    expect_close(time_on_switch(kind, Algorithm::Tree, kSize, 16), 4 * (kAlpha + kSize * kBeta));
    expect_close(time_on_switch(kind, Algorithm::Tree, kSize, 11), 4 * (kAlpha + kSize * kBeta));
  }
  for (CollectiveKind kind : {CollectiveKind::Gather, CollectiveKind::Scatter}) {
    expect_close(time_on_switch(kind, Algorithm::Tree, kSize, 16), 4 * kAlpha + 15.0 / 16 * kSize * kBeta);
    expect_close(time_on_switch(kind, Algorithm::Direct, kSize, 16), kAlpha + 15.0 / 16 * kSize * kBeta);
  }
  expect_close(time_on_switch(CollectiveKind::Broadcast, Algorithm::ScatterAllGather, kSize, 16),
               19 * kAlpha + 2 * 15.0 / 16 * kSize * kBeta);
}

TEST(TextbookForms, AllToAllAndBarrier) {
  for (int n : {4, 32}) {
    expect_close(time_on_switch(CollectiveKind::AllToAll, Algorithm::Pairwise, kSize, n),
                 (n - 1) * (kAlpha + kSize / n * kBeta));
    expect_close(time_on_switch(CollectiveKind::AllToAll, Algorithm::Bruck, kSize, n),
                 log2_of(n) * (kAlpha + kSize / 2 * kBeta));
  }
  expect_close(time_on_switch(CollectiveKind::Barrier, Algorithm::Dissemination, 0, 12), 4 * kAlpha);
}

// (sqrt((h-1) alpha) + sqrt(S beta))^2 for h stages at the best number of chunks.
double pipelined(double stages, double size_beta) {
  return std::pow(std::sqrt((stages - 1) * kAlpha) + std::sqrt(size_beta), 2);
}

TEST(TextbookForms, PipelinesAtTheBestNumberOfChunks) {
  const double s = 1e9;
  expect_close(time_on_switch(CollectiveKind::Broadcast, Algorithm::Chain, s, 17), pipelined(16, s * kBeta));
  expect_close(time_on_switch(CollectiveKind::Reduce, Algorithm::Chain, s, 17), pipelined(16, s * kBeta));
  // The second root of a double tree starts one stage late.
  expect_close(time_on_switch(CollectiveKind::Broadcast, Algorithm::DoubleBinaryTree, s, 16), pipelined(5, s * kBeta));
  // An inner member of a double tree takes two half-size chunks and passes as many on, up and down at once: 2 S beta.
  expect_close(time_on_switch(CollectiveKind::AllReduce, Algorithm::DoubleBinaryTree, s, 16),
               pipelined(8, 2 * s * kBeta));
}

TEST(Pipelines, ChosenChunksBeatEveryOtherNumber) {
  for (double bytes : {1e3, 1e6, 1e9}) {
    const double best = time_on_switch(CollectiveKind::Broadcast, Algorithm::Chain, bytes, 9);
    for (int chunks : {1, 2, 3, 7, 50, 1000, 65536}) {
      const double time =
          cost_on(dts::TopologyKind::Switch, CollectiveKind::Broadcast, Algorithm::Chain, bytes, 9, 0, chunks).time_s;
      expect_close(time, (7 + chunks) * (kAlpha + bytes * kBeta / chunks));
      EXPECT_LE(best, time * (1 + 1e-12));
    }
  }
}

TEST(NonPowersOfTwo, FoldOntoThePowerBelow) {
  // Two rounds more: partners hand over the vector and get the result back.
  expect_close(time_on_switch(CollectiveKind::AllReduce, Algorithm::RecursiveDoubling, kSize, 12),
               5 * (kAlpha + kSize * kBeta));
  expect_close(time_on_switch(CollectiveKind::AllReduce, Algorithm::Rabenseifner, kSize, 12),
               2 * (kAlpha + kSize * kBeta) + 6 * kAlpha + 2 * 7.0 / 8 * kSize * kBeta);
}

// Of 12 blocks, 8 participants own 2, 2, 2, 2, 1, 1, 1, 1: the busiest passes 8 + 4 + 2 of them.
TEST(NonPowersOfTwo, HalvingAndDoublingCarryThePartnersBlocks) {
  const double block = kSize / 12 * kBeta;
  expect_close(time_on_switch(CollectiveKind::ReduceScatter, Algorithm::RecursiveHalving, kSize, 12),
               5 * kAlpha + (12 + 14 + 1) * block);
  expect_close(time_on_switch(CollectiveKind::AllGather, Algorithm::RecursiveDoubling, kSize, 12),
               5 * kAlpha + (1 + 14 + 11) * block);
}

// Runs a schedule on sets of contributions: what each member knows of each other's data after the last round. Valid
// for algorithms whose sends carry everything the sender has.
std::vector<std::set<int>> spread(const dts::Schedule& schedule, int n) {
  std::vector<std::set<int>> known(static_cast<std::size_t>(n));
  for (int i = 0; i < n; ++i) known[static_cast<std::size_t>(i)].insert(i);
  for (const dts::Round& round : schedule) {
    const int times = round.stages > 0 ? round.stages : static_cast<int>(round.repeat);
    for (int t = 0; t < times; ++t) {
      const auto before = known;
      for (const dts::Send& s : round.sends) {
        const auto& given = before[static_cast<std::size_t>(s.from)];
        known[static_cast<std::size_t>(s.to)].insert(given.begin(), given.end());
      }
    }
  }
  return known;
}

TEST(Schedules, EveryRankHearsFromEveryRank) {
  for (CollectiveKind kind : {CollectiveKind::AllReduce, CollectiveKind::AllGather, CollectiveKind::ReduceScatter,
                              CollectiveKind::AllToAll, CollectiveKind::Barrier}) {
    for (Algorithm algorithm : dts::classic_algorithms(kind)) {
      for (int n : {2, 3, 4, 5, 7, 8, 12, 16, 33}) {
        for (const auto& known : spread(classic_schedule(kind, algorithm, 1e6, n), n)) {
          EXPECT_EQ(known.size(), static_cast<std::size_t>(n))
              << name_of(kind) << " " << name_of(algorithm) << " " << n;
        }
      }
    }
  }
}

TEST(Schedules, RootReachesAllAndAllReachTheRoot) {
  for (int n : {2, 3, 6, 8, 13, 32}) {
    for (CollectiveKind kind : {CollectiveKind::Broadcast, CollectiveKind::Scatter}) {
      for (Algorithm algorithm : dts::classic_algorithms(kind)) {
        for (const auto& known : spread(classic_schedule(kind, algorithm, 1e6, n), n)) EXPECT_EQ(known.count(0), 1u);
      }
    }
    for (CollectiveKind kind : {CollectiveKind::Reduce, CollectiveKind::Gather}) {
      for (Algorithm algorithm : dts::classic_algorithms(kind)) {
        EXPECT_EQ(spread(classic_schedule(kind, algorithm, 1e6, n), n)[0].size(), static_cast<std::size_t>(n))
            << name_of(kind) << " " << name_of(algorithm) << " " << n;
      }
    }
  }
}

std::vector<double> received_bytes(const dts::Schedule& schedule, int n) {
  std::vector<double> bytes(static_cast<std::size_t>(n), 0.0);
  for (const dts::Round& round : schedule) {
    for (const dts::Send& s : round.sends) bytes[static_cast<std::size_t>(s.to)] += s.bytes * round.repeat;
  }
  return bytes;
}

TEST(Schedules, NobodyReceivesLessThanItNeeds) {
  for (int n : {2, 3, 5, 8, 13, 16}) {
    const double share = (n - 1.0) / n * kSize;
    for (CollectiveKind kind : {CollectiveKind::AllGather, CollectiveKind::AllToAll}) {
      for (Algorithm a : dts::classic_algorithms(kind)) {
        for (double got : received_bytes(classic_schedule(kind, a, kSize, n), n)) EXPECT_GE(got, share * (1 - 1e-12));
      }
    }
    for (Algorithm a : dts::classic_algorithms(CollectiveKind::Broadcast)) {
      const auto got = received_bytes(classic_schedule(CollectiveKind::Broadcast, a, kSize, n), n);
      for (int i = 1; i < n; ++i) EXPECT_GE(got[static_cast<std::size_t>(i)], kSize * (1 - 1e-12)) << name_of(a) << n;
    }
    for (Algorithm a : dts::classic_algorithms(CollectiveKind::Gather)) {
      EXPECT_NEAR(received_bytes(classic_schedule(CollectiveKind::Gather, a, kSize, n), n)[0], share, 1);
    }
  }
}

TEST(Schedules, RingIsFoldedAndBandwidthOptimal) {
  const dts::Schedule ring = classic_schedule(CollectiveKind::AllReduce, Algorithm::Ring, kSize, 1024);
  ASSERT_EQ(ring.size(), 2u);
  EXPECT_EQ(ring[0].sends.size(), 1024u);
  EXPECT_EQ(ring[0].repeat, 1023);
  for (double got : received_bytes(ring, 1024)) EXPECT_NEAR(got, 2 * 1023.0 / 1024 * kSize, 1);
}

TEST(Schedules, BoundOfStoredSendsByAlgorithm) {
  const auto bound = [](CollectiveKind kind, Algorithm algorithm) {
    return dts::classic_send_count(kind, algorithm, 8);
  };
  EXPECT_EQ(bound(CollectiveKind::AllToAll, Algorithm::Direct), 8 * 7);
  EXPECT_EQ(bound(CollectiveKind::AllToAll, Algorithm::Pairwise), 8 * 7);
  EXPECT_EQ(bound(CollectiveKind::AllReduce, Algorithm::Ring), 4 * 8);
  EXPECT_EQ(bound(CollectiveKind::AllReduce, Algorithm::BidirectionalRing), 4 * 8);
  EXPECT_EQ(bound(CollectiveKind::Broadcast, Algorithm::Chain), 4 * 8);
  EXPECT_EQ(bound(CollectiveKind::AllReduce, Algorithm::DoubleBinaryTree), 4 * 8 * (1 + 3));
  for (CollectiveKind rooted : {CollectiveKind::Broadcast, CollectiveKind::Reduce, CollectiveKind::Gather,
                                CollectiveKind::Scatter, CollectiveKind::SendRecv}) {
    EXPECT_EQ(bound(rooted, Algorithm::Direct), 4 * 8 * (1 + 3));
  }
}

TEST(Schedules, StoredSendsStayWithinTheStatedBound) {
  for (CollectiveKind kind : {CollectiveKind::AllReduce, CollectiveKind::AllToAll, CollectiveKind::Broadcast,
                              CollectiveKind::Gather, CollectiveKind::AllGather, CollectiveKind::ReduceScatter}) {
    for (Algorithm a : dts::classic_algorithms(kind)) {
      for (int n : {2, 31, 64}) {
        std::size_t largest = 0, total = 0;
        for (const dts::Round& r : classic_schedule(kind, a, 1, n)) {
          largest = std::max(largest, r.sends.size());
          total += r.sends.size();
        }
        const bool every_pair = a == Algorithm::Direct;
        EXPECT_LE(static_cast<double>(every_pair ? largest : total), classic_send_count(kind, a, n)) << name_of(a) << n;
      }
    }
  }
}

TEST(Schedules, RefuseAnAlgorithmOfAnotherCollective) {
  try {
    classic_schedule(CollectiveKind::Broadcast, Algorithm::Bruck, 1, 4);
    FAIL() << "did not throw";
  } catch (const dts::ConfigError& e) {
    EXPECT_NE(std::string(e.what()).find("got bruck, expected auto or one that carries out broadcast: tree"),
              std::string::npos);
  }
}

}  // namespace

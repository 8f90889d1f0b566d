// Max-min rates: hand-made cases, and random arrivals and departures against a solver that starts from nothing.
#include "network/fair_share.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <random>

namespace {

using dts::FairShare;
using Links = std::vector<int>;

FairShare::FlowId add(FairShare& share, const Links& links) { return share.add(links.data(), links.size()); }

// Water-filling as the textbook has it: raise all rates together, freeze the flows of each link that fills.
std::vector<double> reference(const std::vector<double>& capacity, const std::vector<Links>& flows) {
  std::vector<double> rate(flows.size(), -1);
  for (std::size_t fixed = 0; fixed < flows.size();) {
    double level = std::numeric_limits<double>::infinity();
    std::size_t tightest = 0;
    for (std::size_t link = 0; link < capacity.size(); ++link) {
      double left = capacity[link];
      int open = 0;
      for (std::size_t f = 0; f < flows.size(); ++f) {
        if (std::find(flows[f].begin(), flows[f].end(), static_cast<int>(link)) == flows[f].end()) continue;
        rate[f] >= 0 ? left -= rate[f] : open += 1;
      }
      if (open > 0 && left / open < level) level = left / open, tightest = link;
    }
    for (std::size_t f = 0; f < flows.size(); ++f) {
      if (rate[f] >= 0 || std::find(flows[f].begin(), flows[f].end(), static_cast<int>(tightest)) == flows[f].end())
        continue;
      rate[f] = level;
      ++fixed;
    }
  }
  return rate;
}

TEST(FairShare, ALoneFlowGetsItsNarrowestLink) {
  FairShare share({10, 4, 7});
  const auto flow = add(share, {0, 1, 2});
  EXPECT_EQ(share.solve(), std::vector<FairShare::FlowId>{flow});
  EXPECT_DOUBLE_EQ(share.rate_Bps(flow), 4);
}

TEST(FairShare, TheTextbookExample) {  // Bertsekas, Gallager, figure 6.10's idea: a long flow and short ones
  FairShare share({1, 2});
  const auto longest = add(share, {0, 1}), a = add(share, {0}), b = add(share, {1});
  share.solve();
  EXPECT_DOUBLE_EQ(share.rate_Bps(longest), 0.5);
  EXPECT_DOUBLE_EQ(share.rate_Bps(a), 0.5);
  EXPECT_DOUBLE_EQ(share.rate_Bps(b), 1.5);
}

TEST(FairShare, OnlyFlowsWhoseRateChangedAreReported) {
  FairShare share({10, 10, 10});
  const auto a = add(share, {0}), b = add(share, {1});
  share.solve();
  const auto c = add(share, {1, 2});
  auto changed = share.solve();
  std::sort(changed.begin(), changed.end());
  EXPECT_EQ(changed, (std::vector<FairShare::FlowId>{b, c}));
  share.release(c);
  EXPECT_EQ(share.solve(), std::vector<FairShare::FlowId>{b});
  EXPECT_DOUBLE_EQ(share.rate_Bps(a), 10);
  EXPECT_DOUBLE_EQ(share.rate_Bps(b), 10);
}

// Full, but binding nobody: the ports are as narrow as their part of the uplink. A change stays with one pair.
TEST(FairShare, ANonBlockingUplinkCouplesNobody) {
  std::vector<double> capacity(9, 50);
  capacity[8] = 400;
  FairShare share(capacity);
  std::vector<FairShare::FlowId> flows;
  for (int port = 0; port < 8; ++port) flows.push_back(add(share, {port, 8}));
  share.solve();
  for (auto flow : flows) EXPECT_DOUBLE_EQ(share.rate_Bps(flow), 50);
  const auto before = share.flows_solved();
  share.release(flows[3]);
  share.solve();
  add(share, {3, 8});
  share.solve();
  EXPECT_LE(share.flows_solved() - before, 2u);
}

// The truth about "adding a flow never speeds another": a third flow may gain, the sorted rates never do.
TEST(FairShare, AnotherFlowMaySpeedAThirdButNeverImprovesTheSortedRates) {
  FairShare share({1, 2});
  const auto both = add(share, {0, 1}), second = add(share, {1});
  share.solve();
  EXPECT_DOUBLE_EQ(share.rate_Bps(second), 1);
  add(share, {0});
  share.solve();
  EXPECT_DOUBLE_EQ(share.rate_Bps(both), 0.5);
  EXPECT_DOUBLE_EQ(share.rate_Bps(second), 1.5);  // gains what `both` lost

  std::mt19937 random(7);
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<double> capacity;
    for (int i = 0; i < 6; ++i) capacity.push_back(1 + static_cast<double>(random() % 9));
    FairShare network(capacity);
    std::vector<FairShare::FlowId> flows;
    const auto path = [&] {
      Links links;
      for (int link = 0; link < 6; ++link) {
        if (random() % 3 == 0) links.push_back(link);
      }
      return links.empty() ? Links{0} : links;
    };
    for (int i = 0; i < 8; ++i) flows.push_back(add(network, path()));
    const auto sorted = [&] {
      network.solve();
      std::vector<double> rates;
      for (auto flow : flows) rates.push_back(network.rate_Bps(flow));
      std::sort(rates.begin(), rates.end());
      return rates;
    };
    const auto before = sorted();
    add(network, path());
    const auto after = sorted();
    for (std::size_t i = 0; i < before.size(); ++i) {
      if (std::abs(after[i] - before[i]) < 1e-8) continue;
      EXPECT_LT(after[i], before[i]) << "first difference at " << i;
      break;
    }
  }
}

TEST(FairShare, IncrementalRatesEqualThoseFromNothing) {
  std::mt19937 random(1);
  for (int trial = 0; trial < 60; ++trial) {
    const std::size_t links = 2 + random() % 12;
    std::vector<double> capacity;
    for (std::size_t i = 0; i < links; ++i) capacity.push_back(1 + static_cast<double>(random() % 20));
    FairShare share(capacity);
    std::map<FairShare::FlowId, Links> alive;
    for (int step = 0; step < 80; ++step) {
      for (std::size_t changes = 1 + random() % 3; changes > 0; --changes) {
        if (!alive.empty() && random() % 5 < 2) {
          const auto victim = std::next(alive.begin(), static_cast<std::ptrdiff_t>(random() % alive.size()));
          share.release(victim->first);
          alive.erase(victim);
          continue;
        }
        Links path;
        for (std::size_t link = 0; link < links; ++link) {
          if (random() % links < 2) path.push_back(static_cast<int>(link));
        }
        if (path.empty()) path.push_back(static_cast<int>(random() % links));
        alive[add(share, path)] = path;
      }
      share.solve();
      std::vector<Links> flows;
      for (const auto& [id, path] : alive) flows.push_back(path);
      const std::vector<double> expected = reference(capacity, flows);
      std::size_t i = 0;
      for (const auto& [id, path] : alive) {
        ASSERT_NEAR(share.rate_Bps(id), expected[i], 1e-7 * expected[i]) << "trial " << trial << " step " << step;
        ++i;
      }
    }
  }
}

TEST(FairShare, SymmetricFlowsGetEqualRates) {
  FairShare share(std::vector<double>(16, 3.3));
  std::vector<FairShare::FlowId> flows;
  for (int from = 0; from < 8; ++from) {
    for (int to = 0; to < 8; ++to) {
      if (from != to) flows.push_back(add(share, {from, 8 + to}));
    }
  }
  share.solve();
  for (auto flow : flows) EXPECT_EQ(share.rate_Bps(flow), share.rate_Bps(flows[0]));
  EXPECT_DOUBLE_EQ(share.rate_Bps(flows[0]), 3.3 / 7);
}

}  // namespace

#include "network/coupled_share.hpp"

#include <gtest/gtest.h>

#include <random>

namespace {

using dts::CoupledShare;
using dts::LinkLoad;

using Loads = std::vector<LinkLoad>;

CoupledShare::Id add(CoupledShare& share, const Loads& loads, double weight = 1) {
  return share.add(loads.data(), loads.size(), weight);
}

TEST(CoupledShare, AloneOnItsLinksNobodyIsSlowed) {
  CoupledShare share({10, 10});
  const Loads a{{0, 10}}, b{{1, 7}};
  const auto x = add(share, a), y = add(share, b, 0.7);
  EXPECT_EQ(share.solve().size(), 2u);
  EXPECT_EQ(share.speed(x), 1);
  EXPECT_EQ(share.speed(y), 1);
  EXPECT_TRUE(share.solve().empty());
}

TEST(CoupledShare, TwoOnOneLinkHalveAndRecover) {
  CoupledShare share({10});
  const Loads a{{0, 10}};
  const auto x = add(share, a), y = add(share, a);
  share.solve();
  EXPECT_DOUBLE_EQ(share.speed(x), 0.5);
  EXPECT_DOUBLE_EQ(share.speed(y), 0.5);
  share.remove(y);
  EXPECT_EQ(share.solve(), std::vector<CoupledShare::Id>{x});
  EXPECT_EQ(share.speed(x), 1);
}

// One that takes 0.3 of its link alone keeps it beside one that would take all of it.
TEST(CoupledShare, TheModestIsServedFirst) {
  CoupledShare share({10});
  const Loads all{{0, 10}}, some{{0, 3}};
  const auto x = add(share, all), y = add(share, some, 0.3);
  share.solve();
  EXPECT_DOUBLE_EQ(share.speed(x), 0.7);
  EXPECT_EQ(share.speed(y), 1);
}

// A collective held back on one link leaves the rest of its other links to those it meets there.
TEST(CoupledShare, TheSlowestLinkHoldsACollectiveBackEverywhere) {
  CoupledShare share({10, 10});
  const Loads both{{0, 10}, {1, 10}}, first{{0, 10}}, second{{1, 10}};
  const auto ring = add(share, both), a = add(share, first), b = add(share, first), c = add(share, second);
  share.solve();
  for (const auto id : {ring, a, b}) EXPECT_NEAR(share.speed(id), 1.0 / 3, 1e-12);
  EXPECT_NEAR(share.speed(c), 2.0 / 3, 1e-12);
}

TEST(CoupledShare, ACutLinkSlowsOnlyThoseOnIt) {
  CoupledShare share({10, 10});
  const Loads a{{0, 10}}, b{{1, 10}};
  const auto x = add(share, a), y = add(share, b);
  share.solve();
  share.set_capacity(0, 2);
  EXPECT_EQ(share.solve(), std::vector<CoupledShare::Id>{x});
  EXPECT_DOUBLE_EQ(share.speed(x), 0.2);
  EXPECT_EQ(share.speed(y), 1);
}

struct Case {
  std::vector<double> capacity;
  std::vector<Loads> loads;
  std::vector<double> weight;
};

Case drawn(std::mt19937& random) {
  std::uniform_real_distribution<double> rate(1, 10);
  std::uniform_int_distribution<int> links(1, 4), at(0, 7);
  Case c;
  for (int i = 0; i < 8; ++i) c.capacity.push_back(rate(random));
  for (int i = 0; i < 12; ++i) {
    std::vector<bool> taken(8, false);
    Loads loads;
    double weight = 0;
    for (int k = links(random); k > 0; --k) {
      const int link = at(random);
      if (taken[static_cast<std::size_t>(link)]) continue;
      taken[static_cast<std::size_t>(link)] = true;
      loads.push_back({static_cast<std::uint32_t>(link), rate(random)});
      weight = std::max(weight, loads.back().rate_Bps / 10);
    }
    c.loads.push_back(loads);
    c.weight.push_back(weight);
  }
  return c;
}

// Fair: on full links nothing is left over, and whoever is below full speed has a full link on which nobody takes a
// larger part of its own.
TEST(CoupledShare, DrawnCasesAreFairAndFeasibleWhateverTheirHistory) {
  std::mt19937 random(5);
  for (int round = 0; round < 200; ++round) {
    const Case c = drawn(random);
    CoupledShare share(c.capacity), fresh(c.capacity);
    std::vector<CoupledShare::Id> ids(c.loads.size()), again;
    for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = add(share, c.loads[i], c.weight[i]), share.solve();
    for (std::size_t i = 0; i < ids.size(); i += 3) share.remove(ids[i]), share.solve();
    for (std::size_t i = 0; i < ids.size(); i += 3) ids[i] = add(share, c.loads[i], c.weight[i]), share.solve();
    for (std::size_t i = 0; i < ids.size(); ++i) again.push_back(add(fresh, c.loads[i], c.weight[i]));
    fresh.solve();
    std::vector<double> used(c.capacity.size(), 0);
    for (std::size_t i = 0; i < ids.size(); ++i) {
      EXPECT_NEAR(share.speed(ids[i]), fresh.speed(again[i]), 1e-9);
      for (const LinkLoad& load : c.loads[i]) used[load.link] += load.rate_Bps * share.speed(ids[i]);
    }
    for (std::size_t link = 0; link < used.size(); ++link) EXPECT_LE(used[link], c.capacity[link] * (1 + 1e-9));
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const double level = share.speed(ids[i]) * c.weight[i];
      bool bound = share.speed(ids[i]) > 1 - 1e-9;
      for (const LinkLoad& load : c.loads[i]) {
        if (used[load.link] < c.capacity[load.link] * (1 - 1e-9)) continue;
        bool largest = true;
        for (std::size_t j = 0; j < ids.size(); ++j) {
          for (const LinkLoad& other : c.loads[j]) {
            largest = largest && (other.link != load.link || share.speed(ids[j]) * c.weight[j] <= level * (1 + 1e-9));
          }
        }
        bound = bound || largest;
      }
      EXPECT_TRUE(bound);
    }
  }
}

}  // namespace

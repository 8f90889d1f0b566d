#include "parallel/expert_load.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>

#include "parallel/strategy.hpp"

namespace {

using dts::ExpertLoad;
using dts::LoadKind;
using dts::RoutedLoad;
using dts::Routing;

ExpertLoad skewed(LoadKind kind, double exponent, int seed = 0) {
  ExpertLoad load;
  load.kind = kind, load.exponent = exponent, load.seed = seed;
  return load;
}

Routing routing(const ExpertLoad& load, double capacity = 0, bool pad = false) {
  Routing r;
  r.load = load, r.capacity_factor = capacity, r.pad_to_capacity = pad;
  return r;
}

double sum(const std::vector<double>& values) { return std::accumulate(values.begin(), values.end(), 0.0); }

TEST(ExpertLoads, EveryRoutedRowHasAnExpert) {
  // Over all ranks: rows = tokens x top_k, and no expert sees a token twice.
  for (LoadKind kind : {LoadKind::Balanced, LoadKind::Zipf, LoadKind::PowerLaw}) {
    for (double exponent : {0.0, 0.5, 1.0, 2.0, 8.0}) {
      for (double top_k : {1.0, 2.0, 8.0}) {
        const std::vector<double> loads = dts::expert_loads(skewed(kind, exponent), 16, top_k, 4096);
        EXPECT_NEAR(sum(loads), 16, 1e-9);
        EXPECT_LE(*std::max_element(loads.begin(), loads.end()), 16 / top_k * (1 + 1e-9));
        EXPECT_GE(*std::min_element(loads.begin(), loads.end()), 0);
      }
    }
  }
}

TEST(ExpertLoads, ZipfByHand) {
  std::vector<double> loads = dts::expert_loads(skewed(LoadKind::Zipf, 1), 4, 1, 100);
  std::sort(loads.begin(), loads.end());
  const double total = 1 + 1.0 / 2 + 1.0 / 3 + 1.0 / 4;
  for (int i = 0; i < 4; ++i) EXPECT_NEAR(loads[static_cast<std::size_t>(3 - i)], 4.0 / (i + 1) / total, 1e-12);
  // top_k 2: none above half of the tokens; the first two meet that, the rest share what is left 1/3 : 1/4.
  loads = dts::expert_loads(skewed(LoadKind::Zipf, 3), 4, 2, 100);
  std::sort(loads.begin(), loads.end());
  EXPECT_NEAR(loads[3], 2, 1e-12);
  EXPECT_NEAR(loads[0] / loads[1], 27.0 / 64, 1e-12);
}

TEST(ExpertLoads, HistogramKeepsItsOrder) {
  ExpertLoad load = skewed(LoadKind::Histogram, 1);
  load.histogram = {30, 10, 0, 0};
  EXPECT_EQ(dts::expert_loads(load, 4, 1, 40), (std::vector<double>{3, 1, 0, 0}));
  EXPECT_EQ(dts::expert_loads(load, 4, 2, 40), (std::vector<double>{2, 2, 0, 0}));  // at most half each
  EXPECT_EQ(dts::expert_loads(load, 4, 4, 40), (std::vector<double>{1, 1, 1, 1}));  // everybody's token goes everywhere
}

TEST(RoutedLoad, BalancedIsOne) {
  const RoutedLoad load = dts::routed_load({}, 64, 8, 8, 4096);
  EXPECT_EQ(load.fullest, 1);
  EXPECT_EQ(load.kept, 1);
  EXPECT_TRUE(load.experts.empty());
}

TEST(RoutedLoad, UniformRoutingByHand) {
  // sqrt(2 ln 8 (1 - 8/128) / 32768), 4096 tokens of each of 8 ranks: sampled 1.007 in 32k tokens.
  const Routing r = routing(skewed(LoadKind::Uniform, 1));
  EXPECT_DOUBLE_EQ(dts::routed_load(r, 128, 8, 8, 4096).fullest,
                   1 + std::sqrt(2 * std::log(8) * (1 - 8.0 / 128) / 32768));
  EXPECT_NEAR(dts::routed_load(r, 128, 8, 8, 4096).fullest, 1.007, 0.005);
  EXPECT_EQ(dts::routed_load(r, 128, 8, 1, 4096).fullest, 1);
}

TEST(RoutedLoad, FullestRankOfAHistogram) {
  ExpertLoad load = skewed(LoadKind::Histogram, 1);
  load.histogram = {1, 1, 4, 2, 3, 2, 1, 2};
  const RoutedLoad routed = dts::routed_load(routing(load), 8, 1, 4, 16);
  EXPECT_EQ(routed.experts, (std::vector<double>{2, 1}));
  EXPECT_EQ(routed.fullest, 1.5);
  EXPECT_EQ(routed.kept, 1);
  // 16 tokens over 8 experts: two rows each, so 2 of the third expert's 4 and 1 of the fifth's 3 are dropped.
  const RoutedLoad capped = dts::routed_load(routing(load, 1), 8, 1, 4, 16);
  EXPECT_DOUBLE_EQ(capped.kept, 13.0 / 16);
  EXPECT_EQ(capped.fullest, 1);
}

TEST(RoutedLoad, CapacityRoundsUpAndPadsEveryExpert) {
  // 10 tokens x 2 / 8 experts = 2.5 rows; a factor of 1.1 allows ceil(2.75) = 3.
  const RoutedLoad padded = dts::routed_load(routing({}, 1.1, true), 8, 2, 4, 10);
  EXPECT_DOUBLE_EQ(padded.kept, 3 / 2.5);
  EXPECT_DOUBLE_EQ(padded.fullest, padded.kept);
  EXPECT_EQ(dts::routed_load(routing({}, 1.1), 8, 2, 4, 10).kept, 1);  // nothing to drop
}

TEST(RoutedLoad, GrowsWithSkew) {
  for (LoadKind kind : {LoadKind::Zipf, LoadKind::PowerLaw}) {
    double previous = 1;
    for (double exponent = 0; exponent <= 1.5; exponent += 0.125) {
      const double fullest = dts::routed_load(routing(skewed(kind, exponent)), 64, 4, 64, 4096).fullest;
      EXPECT_GE(fullest, previous - 1e-9);
      previous = fullest;
    }
    EXPECT_GT(previous, 2);
  }
}

TEST(RoutedLoad, PowerLawMeetsItsSampledMedians) {
  // Medians over many draws, 32k tokens; here over seeds of the placement. {exponent, experts, ranks, median}
  for (const auto& [exponent, experts, ep, median] :
       {std::tuple{0.6, 256, 8, 1.24}, {1.01, 256, 8, 1.47}, {1.01, 128, 8, 1.70}}) {
    std::vector<double> fullest;
    for (int seed = 0; seed < 101; ++seed) {
      fullest.push_back(
          dts::routed_load(routing(skewed(LoadKind::PowerLaw, exponent, seed)), experts, 8, ep, 4096).fullest);
    }
    std::nth_element(fullest.begin(), fullest.begin() + 50, fullest.end());
    EXPECT_NEAR(fullest[50] / median, 1, 0.12) << exponent << " " << experts << " " << ep;
  }
}

TEST(CheckRouting, NamesEveryViolation) {
  dts::Strategy s;
  s.expert_load.kind = LoadKind::Histogram;
  s.expert_load.histogram = {1, 2};
  s.pad_to_capacity = s.overlap_shared_experts = s.overlap_moe_1f1b = true;
  s.moe_max_nodes = -1;
  dts::Checker check;
  dts::check_routing(check, s, 8);
  try {
    check.throw_if_any();
    FAIL();
  } catch (const dts::ConfigError& error) {
    const std::string text = error.what();
    for (const char* field :
         {"histogram", "pad_to_capacity", "overlap_shared_experts", "overlap_moe_1f1b", "moe_max_nodes"}) {
      EXPECT_NE(text.find(field), std::string::npos) << field;
    }
  }
}

TEST(CheckRouting, OptionsForExpertsNeedExperts) {
  dts::Strategy s;
  dts::Checker fine, refused;
  dts::check_routing(fine, s, 0);
  EXPECT_TRUE(fine.ok());
  s.capacity_factor = 1;
  dts::check_routing(refused, s, 0);
  EXPECT_FALSE(refused.ok());
}

}  // namespace

#include "step/plan/stragglers.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "error.hpp"

namespace {

using namespace dts;

StragglerSpec spec(StragglerKind kind) {
  StragglerSpec s;
  s.kind = kind;
  return s;
}

TEST(Stragglers, DrawsArePinned) {
  StragglerSpec s = spec(StragglerKind::Uniform);
  s.low = 1, s.high = 2, s.seed = 7;
  const std::vector<double> drawn = slowdown_of(s, 4, 0);
  const double expected[] = {1.6093945245681751, 1.9633517225922468, 1.2926433306793348, 1.1000788863334514};
  for (std::size_t i = 0; i < 4; ++i) EXPECT_DOUBLE_EQ(drawn[i], expected[i]);
}

TEST(Stragglers, NormalQuantilesByTheTable) {
  // z(0.975) = 1.959964; a lognormal's share above exp(1.959964 sigma) is 2.5 %.
  StragglerSpec s = spec(StragglerKind::LogNormal);
  s.sigma = 1;
  const std::vector<double> drawn = slowdown_of(s, 200000, 3);
  const auto above = [&](double z) {
    return static_cast<double>(std::count_if(drawn.begin(), drawn.end(), [&](double f) { return std::log(f) > z; })) /
           200000;
  };
  EXPECT_NEAR(above(1.959964), 0.025, 0.0015);
  EXPECT_NEAR(above(0), 0.5, 0.005);
  EXPECT_NEAR(above(-1.281552), 0.9, 0.003);
  EXPECT_NEAR(above(3.090232), 0.001, 0.0003);
}

TEST(Stragglers, AFractionIsWholeGroups) {
  StragglerSpec s = spec(StragglerKind::Fraction);
  s.fraction = 0.25, s.factor = 3, s.group = 4;
  for (std::int64_t step = 0; step < 20; ++step) {
    const std::vector<double> drawn = slowdown_of(s, 32, step);
    EXPECT_EQ(std::count(drawn.begin(), drawn.end(), 3.0), 8);
    for (std::size_t i = 0; i < 32; ++i) EXPECT_EQ(drawn[i], drawn[i / 4 * 4]);
  }
}

TEST(Stragglers, EveryProblemIsNamed) {
  StragglerSpec s = spec(StragglerKind::Ranks);
  s.ranks = {9, -1}, s.factors = {0}, s.group = 0;
  try {
    check_stragglers(s, 4);
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.violations().size(), 4u) << error.what();  // group, counts, a rank, a factor
  }
  for (StragglerKind kind : {StragglerKind::Normal, StragglerKind::LogNormal}) {
    StragglerSpec wide = spec(kind);
    wide.sigma = std::numeric_limits<double>::quiet_NaN();
    EXPECT_THROW(check_stragglers(wide, 4), ConfigError);
    wide.sigma = 6;
    EXPECT_THROW(check_stragglers(wide, 4), ConfigError);
  }
}

}  // namespace

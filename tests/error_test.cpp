#include "error.hpp"

#include <gtest/gtest.h>

#include <limits>

TEST(Checker, ReportsEveryViolationAtOnce) {
  dts::Checker check;
  check.positive("a", -1);
  check.positive("b", std::numeric_limits<double>::quiet_NaN());
  check.at_least("c", 0, 1);
  check.positive("d", 1);
  ASSERT_EQ(check.violations().size(), 3u);
  try {
    check.throw_if_any();
    FAIL() << "did not throw";
  } catch (const dts::ConfigError& e) {
    const std::string text = e.what();
    EXPECT_NE(text.find("a: got -1, expected a finite number > 0"), std::string::npos);
    EXPECT_NE(text.find("c: got 0, expected an integer >= 1"), std::string::npos);
  }
}

TEST(Checker, IsSilentWithoutViolations) {
  dts::Checker check;
  check.non_negative("a", 0);
  EXPECT_NO_THROW(check.throw_if_any());
}

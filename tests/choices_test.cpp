#include "step/run/choices.hpp"

#include <gtest/gtest.h>

namespace dts {
namespace {

Choices leads(std::initializer_list<double> seconds) {
  Choices choices;
  for (double s : seconds) choices.later_of(s, 0);
  return choices;
}

TEST(Choices, LastUntilALeadTurns) {
  EXPECT_EQ(leads({5}).windows_alike(leads({7}), 100), 2u);    // 5, 3, 1, then -1
  EXPECT_EQ(leads({4}).windows_alike(leads({6}), 100), 2u);    // 0 is still a lead
  EXPECT_EQ(leads({-5}).windows_alike(leads({-7}), 100), 2u);  // -3, -1, then 1
  EXPECT_EQ(leads({-4}).windows_alike(leads({-6}), 100), 1u);  // -2, then 0: the other leads
  EXPECT_EQ(leads({7}).windows_alike(leads({5}), 100), 100u);
  EXPECT_EQ(leads({-7}).windows_alike(leads({-5}), 100), 100u);
  EXPECT_EQ(leads({3, 5}).windows_alike(leads({3, 7}), 100), 2u);
}

TEST(Choices, ThatDifferGoNowhere) {
  EXPECT_EQ(leads({1}).windows_alike(leads({-1}), 100), 0u);
  EXPECT_EQ(leads({1, 2}).windows_alike(leads({1}), 100), 0u);
  Choices one, other;
  one.start(1, 1, 0), other.start(1, 1, 0);
  one.take(1), other.take(2);
  EXPECT_EQ(one.windows_alike(other, 100), 0u);
  EXPECT_EQ(one.windows_alike(one, 100), 100u);
  one.take(Choices::kIssued);
  EXPECT_EQ(one.windows_alike(one, 100), 0u);
}

TEST(Choices, KnowHowWaitsGrow) {
  Choices before, now;
  before.start(-3, 1, 0), now.start(-5, 1, 0);
  before.start(2, 1, 1), now.start(4, 1, 1);
  EXPECT_EQ(now.waits_longer_s(before, 0), 2);
  EXPECT_EQ(now.waits_longer_s(before, 1), 0);  // it waits for nothing
  const std::vector<std::vector<std::size_t>> changing = now.where_waits_change(before, 2);
  EXPECT_EQ(changing[0], std::vector<std::size_t>{0});
  EXPECT_TRUE(changing[1].empty());
  EXPECT_EQ(now.windows_alike(before, 9), 9u);
  EXPECT_EQ(before.windows_alike(now, 9), 1u);  // -1, then 1
}

}  // namespace
}  // namespace dts

#include "step/account/busy_time.hpp"

#include <gtest/gtest.h>

namespace dts {
namespace {

double until(const BusyTime& busy, double time_s) {
  BusyTime::Place place;
  return busy.computed_until_s(time_s, place);
}

TEST(BusyTime, CountsWhatIsComputed) {
  BusyTime busy;
  EXPECT_EQ(until(busy, 5), 0);
  busy.add(1, 3), busy.add(3, 4), busy.add(6, 8);
  ASSERT_EQ(busy.stretches().size(), 2u);  // the first two are one
  EXPECT_EQ(until(busy, 0.5), 0);
  EXPECT_EQ(until(busy, 2), 1);
  EXPECT_EQ(until(busy, 5), 3);
  EXPECT_EQ(until(busy, 7), 4);
  EXPECT_EQ(until(busy, 100), 5);
}

// A pattern of 2 s compute in every 3 s, as it would be if each was added by itself.
TEST(BusyTime, ARepeatedPatternIsThatOfItsPeriods) {
  BusyTime repeated, whole;
  for (BusyTime* busy : {&repeated, &whole}) busy->add(0, 1), busy->add(2, 4), busy->add(4.5, 5);
  repeated.repeat(3, 4);  // 2-4 and 4.5-5 come again, up to 17
  for (int i = 1; i <= 4; ++i) whole.add(2 + 3 * i, 4 + 3 * i), whole.add(4.5 + 3 * i, 5 + 3 * i);
  for (BusyTime* busy : {&repeated, &whole}) busy->add(17, 18), busy->add(20, 21);
  EXPECT_EQ(repeated.stretches().size(), 6u);
  BusyTime::Place place;  // kept from question to question, forwards and back
  for (double t = 0; t < 22; t += 0.25) EXPECT_EQ(repeated.computed_until_s(t, place), until(whole, t)) << t;
  for (double t = 22; t > 0; t -= 0.125) EXPECT_EQ(repeated.computed_until_s(t, place), until(whole, t)) << t;
}

TEST(BusyTime, WithoutGapsItJustGoesOn) {
  BusyTime busy;
  busy.add(0, 4);
  busy.repeat(2, 10);
  ASSERT_EQ(busy.stretches().size(), 1u);
  EXPECT_EQ(busy.stretches().front().end_s, 24);
}

TEST(BusyTime, AnIntervalIsIdleWhereNothingIsComputed) {
  BusyTime busy;
  busy.add(1, 3), busy.add(6, 8);
  busy.repeat(5, 2);  // 3-6 idle, 6-8 busy, up to 18
  BusyTime::Place place;
  for (double start = 0; start < 20; start += 0.5) {
    for (double end = start; end < 20; end += 0.5) {
      EXPECT_EQ(busy.idle_s(start, end, place), end - start - (until(busy, end) - until(busy, start)));
    }
  }
}

TEST(BusyTime, TellsHowOftenAnIntervalOverlapsAlike) {
  BusyTime busy;
  busy.add(0, 10), busy.add(11, 12);
  BusyTime::Place place;
  EXPECT_EQ(busy.alike(1, 2, 3, place), 3);    // ends at 2, 5, 8
  EXPECT_EQ(busy.alike(1, 10, 3, place), 1);   // 13 is beyond
  EXPECT_EQ(busy.alike(10, 11, 3, place), 1);  // reaches out of compute
  busy.repeat(2, 5);                           // 12 to 22
  EXPECT_EQ(busy.alike(13, 14, 2, place), 5);  // ends at 14, 16, 18, 20, 22
  EXPECT_EQ(busy.alike(13, 14, 1, place), 1);  // not in step with the pattern
}

TEST(BusyTime, TellsHowOftenAnIntervalComesAgainInAPattern) {
  BusyTime busy;
  busy.add(0, 10), busy.add(11, 12);
  EXPECT_EQ(busy.again(10.5, 11.5, 2), 0);  // no pattern
  busy.repeat(2, 5);                        // 10-12 comes again up to 22
  EXPECT_EQ(busy.again(10.5, 11.5, 2), 5);  // ends at 13.5, ..., 21.5
  EXPECT_EQ(busy.again(11, 13, 2), 4);      // the fifth ends at 23
  EXPECT_EQ(busy.again(9, 11, 2), 0);       // began before what is repeated
  EXPECT_EQ(busy.again(10.5, 11.5, 3), 0);  // not in step with the pattern
}

}  // namespace
}  // namespace dts

#include "engine/interference.hpp"

#include <gtest/gtest.h>

#include <random>

#include "engine/spread.hpp"

namespace {

using namespace dts;

TEST(Interference, ByHand) {
  EXPECT_EQ(slowed_end_s(1, 4, 1, {}), 5);
  EXPECT_EQ(slowed_end_s(0, 4, 1, {{0, 2, 0.25}}), 4.5);              // 1.5 done in the first 2
  EXPECT_EQ(slowed_end_s(0, 4, 0.5, {{0, 2, 0.25}}), 4.25);           // only half of it slows
  EXPECT_EQ(slowed_end_s(0, 4, 1, {{1, 2, 0.5}}), 4.5);               // begins later
  EXPECT_EQ(slowed_end_s(0, 4, 1, {{0, 100, 0.5}}), 8);               // outlasts it
  EXPECT_EQ(slowed_end_s(0, 4, 1, {{0, 2, 0.25}, {0, 2, 0.25}}), 5);  // two at once
  EXPECT_EQ(slowed_end_s(5, 4, 1, {{0, 5, 0.5}}), 9);                 // over before
  EXPECT_EQ(slowed_end_s(0, 1, 1, {{0, 100, 1}}), 10);                // never all of a device
}

TEST(Interference, WhatEndedIsForgotten) {
  HeldList held{{0, 1, 0.5}, {0, 3, 0.5}};
  held.forget_before(1);
  ASSERT_EQ(held.end() - held.begin(), 1);
  EXPECT_EQ(held.begin()->end_s, 3);
}

// Compute on stream 0, a collective on stream 1 of the same device.
TEST(Interference, AProgramSlowsWhatRunsBeside) {
  Program p(2, 2);
  const TaskId reduce = p.add(4, {1}, {}, {0, 0.25});
  const TaskId pass = p.add(6, {0}, {}, {1, 0}), after = p.add(2, {0}, {}, {1, 0});
  const Timeline t = execute(p);
  EXPECT_EQ(t.end_s[reduce], 4);
  EXPECT_EQ(t.end_s[pass], 7);   // 3 done in the first 4
  EXPECT_EQ(t.end_s[after], 9);  // nothing beside it
}

TEST(Interference, OtherDevicesDoNotFeelIt) {
  Program p(4, 2);
  p.add(4, {1}, {}, {0, 0.5});
  const TaskId other = p.add(4, {2}, {}, {1, 0});
  EXPECT_EQ(execute(p).end_s[other], 4);
}

TEST(Interference, NothingWithoutSharedDevices) {
  Program p(2);
  p.add(4, {1}, {}, {0, 0.5});
  const TaskId pass = p.add(4, {0}, {}, {1, 0});
  EXPECT_EQ(execute(p).end_s[pass], 4);
}

// One unit and one lane: the spread and the plain timeline agree to the last bit, whatever runs beside what.
TEST(Interference, SpreadAgreesWithTheTimeline) {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> seconds(0.1, 3), share(0, 0.4);
  for (int trial = 0; trial < 200; ++trial) {
    Program p(4, 2);
    std::vector<Space> spaces;
    for (int i = 0; i < 40; ++i) {
      const auto stream = static_cast<StreamId>(random() % 4);
      std::vector<TaskId> deps;
      if (i > 0 && random() % 2) deps.push_back(static_cast<TaskId>(random() % static_cast<unsigned>(i)));
      const bool computes = stream % 2 == 0;
      p.add(seconds(random), {stream}, deps, computes ? DeviceUse{1, 0} : DeviceUse{0, share(random)});
      spaces.push_back(computes ? Space::Unit : Space::Lane);
    }
    const Timeline t = execute(p);
    const SpreadEnd end = execute(
        p, spaces, Spread::one(), [&](TaskId task, double* out) { *out = p.duration_s(task); },
        [&](TaskId task, const Instances& i) {
          EXPECT_EQ(i.end_s[0], t.end_s[task]);
          EXPECT_EQ(i.start_s[0], t.start_s[task]);
        });
    EXPECT_EQ(end.makespan_s, t.makespan_s);
  }
}

// Slower by what is held, never faster; and the sum of work done stays.
TEST(Interference, NeverFasterAndMonotone) {
  std::mt19937 random(11);
  std::uniform_real_distribution<double> any(0, 2);
  for (int trial = 0; trial < 500; ++trial) {
    HeldList held, more;
    for (int i = 0; i < 4; ++i) {
      const double start_s = any(random), end_s = start_s + any(random), share = 0.2 * any(random);
      held.add({start_s, end_s, share}), more.add({start_s, end_s, 1.1 * share});
    }
    const double alone = slowed_end_s(0.5, 2, 1, {}), slowed = slowed_end_s(0.5, 2, 1, held);
    EXPECT_GE(slowed, alone);
    EXPECT_LE(slowed, 0.5 + 2 / 0.1);
    EXPECT_LE(slowed_end_s(0.5, 2, 0.5, held), slowed + 1e-12);
    EXPECT_GE(slowed_end_s(0.5, 2, 1, more), slowed - 1e-12);
  }
}

}  // namespace

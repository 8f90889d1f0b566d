#include "engine/spread.hpp"

#include <gtest/gtest.h>

#include <random>

namespace {

using namespace dts;

struct Ends {
  std::vector<std::vector<double>> end_s;  // [task][instance]
  std::vector<std::vector<TaskId>> cause;
  SpreadEnd end;
};

// `seconds[task][instance]`.
Ends run(const Program& program, const std::vector<Space>& spaces, const Spread& spread,
         const std::vector<std::vector<double>>& seconds) {
  Ends ends;
  ends.end = execute(
      program, spaces, spread,
      [&](TaskId task, double* out) { std::copy(seconds[task].begin(), seconds[task].end(), out); },
      [&](TaskId, const Instances& i) {
        ends.end_s.emplace_back(i.end_s, i.end_s + i.count);
        ends.cause.emplace_back(i.cause, i.cause + i.count);
      });
  return ends;
}

// Units 0, 1, 2; lane 0 joins units 0 and 1, lane 1 joins 1 and 2.
Spread chain() {
  Spread s;
  s.units = 3, s.lanes = 2;
  for (const auto& lanes : std::vector<std::vector<std::uint32_t>>{{0}, {0, 1}, {1}}) s.lanes_of_unit.add_row(lanes);
  for (const auto& units : std::vector<std::vector<std::uint32_t>>{{0, 1}, {1, 2}}) s.units_of_lane.add_row(units);
  return s;
}

TEST(Spread, ALaneWaitsForItsUnitsAndAUnitForItsLanes) {
  Program p(2);
  const TaskId pass = p.add(0, {0}, {}), reduce = p.add(0, {1}, {pass}), next = p.add(0, {0}, {reduce});
  const Ends e = run(p, {Space::Unit, Space::Lane, Space::Unit}, chain(), {{1, 2, 5}, {10, 10}, {1, 1, 1}});
  EXPECT_EQ(e.end_s[pass], (std::vector<double>{1, 2, 5}));
  EXPECT_EQ(e.end_s[reduce], (std::vector<double>{12, 15}));
  EXPECT_EQ(e.end_s[next], (std::vector<double>{13, 16, 16}));
  EXPECT_EQ(e.cause[next], (std::vector<TaskId>{reduce, reduce, reduce}));
  EXPECT_EQ(e.end.makespan_s, 16);
  EXPECT_EQ(e.end.last, next);
}

TEST(Spread, TheWorldWaitsForAllAndAllForTheWorld) {
  Program p(1);
  const TaskId pass = p.add(0, {0}, {}), meeting = p.add(0, {0}, {}), update = p.add(0, {0}, {meeting});
  const Ends e = run(p, {Space::Unit, Space::World, Space::Unit}, chain(), {{1, 7, 3}, {0}, {2, 1, 1}});
  EXPECT_EQ(e.end_s[meeting], (std::vector<double>{7}));
  EXPECT_EQ(e.cause[meeting], (std::vector<TaskId>{pass}));
  EXPECT_EQ(e.end_s[update], (std::vector<double>{9, 8, 8}));
}

TEST(Spread, UnitsKeepTheirOwnOrderOnAStream) {
  Program p(1);
  p.add(0, {0}, {});
  p.add(0, {0}, {});
  const Ends e = run(p, {Space::Unit, Space::Unit}, chain(), {{1, 2, 3}, {1, 1, 1}});
  EXPECT_EQ(e.end_s[1], (std::vector<double>{2, 3, 4}));
}

TEST(Spread, OneUnitAndLaneIsTheTimeline) {
  std::mt19937 random(5);
  const auto below = [&](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); };
  for (int trial = 0; trial < 200; ++trial) {
    Program p(3);
    std::vector<Space> spaces;
    std::vector<std::vector<double>> seconds;
    for (TaskId id = 0; id < 30; ++id) {
      std::vector<StreamId> streams;
      std::vector<TaskId> deps;
      for (StreamId s = 0; s < 3; ++s) {
        if (below(3) == 0) streams.push_back(s);
      }
      for (TaskId d = 0; d < id; ++d) {
        if (below(8) == 0) deps.push_back(d);
      }
      seconds.push_back({static_cast<double>(below(6))});
      spaces.push_back(static_cast<Space>(below(3)));
      p.add(seconds.back()[0], streams, deps);
    }
    const Timeline t = execute(p);
    const Ends e = run(p, spaces, Spread::one(), seconds);
    EXPECT_EQ(e.end.makespan_s, t.makespan_s);
    EXPECT_EQ(e.end.last, t.last);
    for (TaskId id = 0; id < 30; ++id) {
      ASSERT_EQ(e.end_s[id][0], t.end_s[id]) << trial;
      ASSERT_EQ(e.cause[id][0], t.cause[id]) << trial;
    }
  }
}

}  // namespace

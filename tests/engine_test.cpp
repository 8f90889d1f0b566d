#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "engine/timeline.hpp"
#include "error.hpp"

namespace {

using namespace dts;

TEST(Timeline, EmptyProgram) {
  const Timeline t = execute(Program(3));
  EXPECT_EQ(t.makespan_s, 0);
  EXPECT_EQ(t.last, kNoTask);
  EXPECT_TRUE(critical_path(t).empty());
}

TEST(Timeline, AStreamRunsInProgramOrder) {
  Program p(2);
  const TaskId a = p.add(3, {0}, {}), b = p.add(2, {1}, {}), c = p.add(1, {0}, {});
  const Timeline t = execute(p);
  EXPECT_EQ(t.start_s[a], 0);
  EXPECT_EQ(t.start_s[b], 0);
  EXPECT_EQ(t.start_s[c], 3);
  EXPECT_EQ(t.makespan_s, 4);
  EXPECT_EQ(critical_path(t), (std::vector<TaskId>{a, c}));
}

TEST(Timeline, ADependencyWaits) {
  Program p(2);
  const TaskId a = p.add(5, {0}, {}), b = p.add(1, {1}, {}), c = p.add(2, {1}, {a, b});
  const Timeline t = execute(p);
  EXPECT_EQ(t.start_s[c], 5);
  EXPECT_EQ(t.cause[c], a);
  EXPECT_EQ(t.cause[b], kNoTask);
  EXPECT_EQ(critical_path(t), (std::vector<TaskId>{a, c}));
}

TEST(Timeline, ACollectiveStartsWithItsLastMember) {
  Program p(3);
  p.add(1, {0}, {});
  const TaskId slow = p.add(4, {1}, {});
  const TaskId all = p.add(10, {0, 1, 2}, {});
  const TaskId after = p.add(1, {2}, {});  // stream 2 was idle until the collective
  const Timeline t = execute(p);
  EXPECT_EQ(t.start_s[all], 4);
  EXPECT_EQ(t.cause[all], slow);
  EXPECT_EQ(t.start_s[after], 14);
}

TEST(Timeline, ATaskWithoutStreamsOnlyWaitsForItsDependencies) {
  Program p(1);
  const TaskId a = p.add(2, {0}, {});
  const TaskId b = p.add(3, {}, {}), c = p.add(1, {}, {a});
  const Timeline t = execute(p);
  EXPECT_EQ(t.start_s[b], 0);
  EXPECT_EQ(t.start_s[c], 2);
}

TEST(Timeline, OnATieTheStreamIsTheCause) {
  Program p(2);
  const TaskId on_stream = p.add(2, {0}, {}), elsewhere = p.add(2, {1}, {});
  const TaskId next = p.add(1, {0}, {elsewhere});
  const Timeline t = execute(p);
  EXPECT_EQ(t.cause[next], on_stream);
}

TEST(Timeline, ZeroLengthTasksKeepTheChain) {
  Program p(1);
  const TaskId a = p.add(1, {0}, {}), meeting = p.add(0, {0}, {a}), b = p.add(1, {0}, {meeting});
  const Timeline t = execute(p);
  EXPECT_EQ(t.makespan_s, 2);
  EXPECT_EQ(critical_path(t).back(), b);
  double sum = 0;
  for (TaskId task : critical_path(t)) sum += p.duration_s(task);
  EXPECT_EQ(sum, 2);
}

TEST(Program, RefusesBadTasks) {
  Program p(2);
  for (double bad : {-1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    EXPECT_THROW(p.add(bad, {0}, {}), ConfigError);
  }
  EXPECT_THROW(p.add(1, {2}, {}), ConfigError);
  EXPECT_THROW(p.add(1, {0}, {0}), ConfigError);  // a task cannot wait for itself
  EXPECT_EQ(p.size(), 0u);                        // a refused task leaves nothing behind
  const TaskId a = p.add(1, {1}, {});
  EXPECT_THROW(p.add(1, {0}, {a, 7}), ConfigError);
  EXPECT_EQ(execute(p).makespan_s, 1);
}

struct Drawn {
  double seconds;
  std::vector<StreamId> streams;
  std::vector<TaskId> deps;
};

std::vector<Drawn> draw(std::mt19937& random, StreamId streams) {
  const auto below = [&](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); };
  std::vector<Drawn> tasks(1 + below(40));
  for (TaskId id = 0; id < tasks.size(); ++id) {
    tasks[id].seconds = below(8);  // small whole numbers: many ties, sums exact
    for (StreamId s = 0; s < streams; ++s) {
      if (below(3) == 0) tasks[id].streams.push_back(s);
    }
    for (TaskId d = 0; d < id; ++d) {
      if (below(6) == 0) tasks[id].deps.push_back(d);
    }
  }
  return tasks;
}

// Longest path ending before `id`, straight from the definition: no sweep, no state.
double earliest_start(const std::vector<Drawn>& tasks, TaskId id) {
  std::vector<double> start(id + 1, 0);
  for (TaskId t = 0; t <= id; ++t) {
    for (TaskId before = 0; before < t; ++before) {
      const auto& a = tasks[before].streams;
      const bool shared = std::any_of(a.begin(), a.end(), [&](StreamId s) {
        return std::count(tasks[t].streams.begin(), tasks[t].streams.end(), s) > 0;
      });
      const bool waits = shared || std::count(tasks[t].deps.begin(), tasks[t].deps.end(), before) > 0;
      if (waits) start[t] = std::max(start[t], start[before] + tasks[before].seconds);
    }
  }
  return start[id];
}

TEST(Timeline, RandomProgramsMatchTheLongestPath) {
  std::mt19937 random(7);
  for (int trial = 0; trial < 200; ++trial) {
    const std::vector<Drawn> tasks = draw(random, 4);
    Program p(4);
    for (const Drawn& task : tasks) p.add(task.seconds, task.streams, task.deps);
    const Timeline t = execute(p);
    double makespan = 0;
    for (TaskId id = 0; id < tasks.size(); ++id) {
      ASSERT_EQ(t.start_s[id], earliest_start(tasks, id)) << "trial " << trial << " task " << id;
      ASSERT_EQ(t.end_s[id], t.start_s[id] + tasks[id].seconds);
      makespan = std::max(makespan, t.end_s[id]);
    }
    EXPECT_EQ(t.makespan_s, makespan);
    double busy = 0;  // the critical path has no gaps and fills the makespan
    for (TaskId id : critical_path(t)) {
      EXPECT_EQ(t.start_s[id], busy);
      busy = t.end_s[id];
    }
    EXPECT_EQ(busy, makespan);
  }
}

TEST(Timeline, LongerTasksNeverEndEarlier) {
  std::mt19937 random(11);
  for (int trial = 0; trial < 100; ++trial) {
    const std::vector<Drawn> tasks = draw(random, 3);
    Program fast(3), slow(3);
    for (const Drawn& task : tasks) {
      fast.add(task.seconds, task.streams, task.deps);
      slow.add(task.seconds + static_cast<double>(random() % 2), task.streams, task.deps);
    }
    const Timeline a = execute(fast), b = execute(slow);
    for (TaskId id = 0; id < tasks.size(); ++id) EXPECT_GE(b.end_s[id], a.end_s[id]);
  }
}

}  // namespace

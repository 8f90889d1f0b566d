// On a network where every collective takes its bytes over one rate, an event's bytes say how long it takes.
#include <gtest/gtest.h>

#include <set>

#include "small_jobs.hpp"

namespace {

using namespace dts;
using test::bare_profile;
using test::small_llama;
using test::WireNetwork;

constexpr double kBps = 1e9;

StepResult run(const Strategy& s) {
  static const DeviceSpec kDevice = test::paper_device();
  const WireNetwork network(static_cast<int>(world_size(s)), 0, kBps);
  return simulate({small_llama(), kDevice, network, s, bare_profile(), 64}, {});
}

Strategy layout(int dp, int pp, int zero) {
  Strategy s;
  s.dp = dp, s.pp = pp, s.zero = zero, s.global_batch = dp * pp;
  return s;
}

TEST(StepMessages, BytesAndGroupsAreThoseOfThePrice) {
  std::set<TaskKind> seen;
  for (const int zero : {0, 1, 2, 3}) {
    const EventTable events = run(layout(4, 2, zero)).events;
    ASSERT_EQ(events.messages.size(), events.tasks.size());
    for (std::size_t i = 0; i < events.tasks.size(); ++i) {
      const Message m = events.messages[i];
      if (m.ranks == 0) {
        EXPECT_EQ(m.bytes, 0);
        continue;
      }
      const TaskKind kind = events.tasks[i].kind;
      seen.insert(kind);
      EXPECT_NEAR(events.end_s[i] - events.start_s[i], m.bytes / kBps, 1e-11);
      EXPECT_EQ(m.ranks, kind == TaskKind::PipelineSend || kind == TaskKind::TiedReduce ? 2 : 4);
    }
  }
  EXPECT_EQ(seen.count(TaskKind::ParamGather) + seen.count(TaskKind::GradReduce) + seen.count(TaskKind::PipelineSend),
            3u);
}

TEST(StepMessages, ReplicasOfShardsAreGroupsOfTheirOwn) {
  Strategy s = layout(8, 1, 3);
  s.dp_replicas = 2;
  const EventTable events = run(s).events;
  std::set<std::int32_t> shards, replicas;
  for (std::size_t i = 0; i < events.tasks.size(); ++i) {
    if (events.tasks[i].kind == TaskKind::GradReduce) shards.insert(events.messages[i].ranks);
    if (events.tasks[i].kind == TaskKind::ReplicaReduce) replicas.insert(events.messages[i].ranks);
  }
  EXPECT_EQ(shards, std::set<std::int32_t>{4});
  EXPECT_EQ(replicas, std::set<std::int32_t>{2});
}

TEST(StepMessages, CopiesOfABidirectionalPipelineMeetInPairs) {
  Strategy s = layout(1, 4, 0);
  s.schedule = PipelineSchedule::DualPipe, s.global_batch = 8;
  const EventTable events = run(s).events;
  int found = 0;
  for (std::size_t i = 0; i < events.tasks.size(); ++i) {
    if (events.tasks[i].kind != TaskKind::CopyReduce) continue;
    ++found;
    EXPECT_EQ(events.messages[i].ranks, 2);
    EXPECT_NEAR(events.end_s[i] - events.start_s[i], events.messages[i].bytes / kBps, 1e-11);
  }
  EXPECT_EQ(found, 4);  // one on each rank
}

}  // namespace

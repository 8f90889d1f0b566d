#include "schedule/windows.hpp"

#include <gtest/gtest.h>

#include "parallel/schedule_check.hpp"
#include "schedule/pipeline.hpp"

namespace {

using namespace dts;

const PipelineSchedule kSchedules[] = {PipelineSchedule::OneFOneB, PipelineSchedule::ZbH1,     PipelineSchedule::ZbH2,
                                       PipelineSchedule::ZbV,      PipelineSchedule::VHalf,    PipelineSchedule::VMin,
                                       PipelineSchedule::DualPipe, PipelineSchedule::DualPipeV};

int chunks_of(PipelineSchedule schedule) {
  switch (schedule) {
    case PipelineSchedule::ZbV:
    case PipelineSchedule::VHalf:
    case PipelineSchedule::VMin:
    case PipelineSchedule::DualPipeV: return 2;
    default: return 1;
  }
}

// `shorter` with its window at `first` written `more` times further. Micro-batches of DualPipe's second direction are
// numbered from the half on, so only kind, chunk and pairing are compared there.
std::vector<Pass> stretched(const std::vector<Pass>& shorter, std::size_t first, std::size_t length, int more,
                            int later) {
  std::vector<Pass> longer(shorter.begin(), shorter.begin() + static_cast<std::ptrdiff_t>(first + length));
  for (int i = 1; i <= more; ++i) {
    for (std::size_t k = first; k < first + length; ++k) {
      longer.push_back(shorter[k]);
      longer.back().micro_batch += i * later;
    }
  }
  for (std::size_t k = first + length; k < shorter.size(); ++k) {
    longer.push_back(shorter[k]);
    longer.back().micro_batch += more * later;
  }
  return longer;
}

void expect_stretches(const Strategy& s) {
  const int period = order_period(s), copies = s.schedule == PipelineSchedule::DualPipe ? 2 : 1;
  const int least = shortest_order(s, 6);
  for (int rest = 0; rest < period; ++rest) {
    const PipelineOrder shorter = pipeline_order(s, least + rest);
    const OrderWindows windows = windows_of(shorter, period / copies);
    ASSERT_GE(windows.count, 5u) << static_cast<int>(s.schedule) << " pp " << s.pp << " vpp " << s.vpp;
    for (int more : {1, 3}) {
      const PipelineOrder longer = pipeline_order(s, least + rest + more * period);
      for (std::size_t rank = 0; rank < shorter.size(); ++rank) {
        const auto expected =
            stretched(shorter[rank], windows.first[rank], windows.length[rank], more, period / copies);
        ASSERT_EQ(expected.size(), longer[rank].size());
        for (std::size_t k = 0; k < expected.size(); ++k) {
          EXPECT_EQ(expected[k].kind, longer[rank][k].kind);
          EXPECT_EQ(expected[k].chunk, longer[rank][k].chunk);
          EXPECT_EQ(expected[k].with_next, longer[rank][k].with_next);
          EXPECT_TRUE(copies == 2 || expected[k].micro_batch == longer[rank][k].micro_batch);
        }
      }
    }
  }
}

TEST(Windows, LongerOrdersRepeatAWindowOfShorterOnes) {
  for (PipelineSchedule schedule : kSchedules) {
    for (int pp : {2, 4, 6, 16}) {
      Strategy s;
      s.schedule = schedule, s.pp = pp, s.vpp = chunks_of(schedule);
      expect_stretches(s);
    }
  }
  for (int vpp : {2, 3, 8}) {
    for (int group : {0, 6}) {
      for (bool pairs : {false, true}) {
        Strategy s;
        s.pp = 4, s.vpp = vpp, s.micro_batch_group = group, s.overlap_moe_1f1b = pairs;
        expect_stretches(s);
      }
    }
  }
  Strategy delayed;
  delayed.pp = 4, delayed.delay_weight_grad = true;
  expect_stretches(delayed);
}

TEST(Windows, WhatIsGreedyOrAllOfOneKindHasNone) {
  Strategy s;
  s.pp = 4;
  for (PipelineSchedule schedule :
       {PipelineSchedule::GPipe, PipelineSchedule::LoopedBfs, PipelineSchedule::Hanayo, PipelineSchedule::Zb1p}) {
    s.schedule = schedule;
    EXPECT_EQ(order_period(s), 0);
  }
  s.schedule = PipelineSchedule::OneFOneB, s.custom_order = {"F0 B0"};
  EXPECT_EQ(order_period(s), 0);
}

}  // namespace

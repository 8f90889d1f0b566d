// Bubbles of the executed orders against the published closed forms, and against rates that the authors of the
// zero-bubble schedules print for profiled pass times.
#include <gtest/gtest.h>

#include <string>

#include "schedule/check_order.hpp"
#include "schedule/zero_bubble_auto.hpp"
#include "schedule_run.hpp"

namespace {

using namespace dts;
using namespace dts::test;

struct Bubble {
  double makespan, span;
};

Bubble bubble_of(const PipelineOrder& order, StageMap map, int chunks, int m, const PassSeconds& s = {}) {
  const StagePlacement placement{map, static_cast<int>(order.size()), chunks};
  const ScheduleRun run = run_order(order, placement, m, s);
  const double work = m * chunks / placement.copies() * (s.forward + s.input + s.weight);
  return {run.makespan - work, run.span() - work};
}

const PassSeconds kUneven{5, 6, 3};  // F, B, W of a chunk

TEST(Bubble, OfWholePassesForAnyTimes) {
  // (p-1)(F+B+W), per chunk of an interleaved schedule: Narayanan et al. arXiv:2104.04473 §2.2.
  for (int p = 1; p <= 6; ++p) {
    for (int m = p; m <= 4 * p; ++m) {
      EXPECT_DOUBLE_EQ(bubble_of(gpipe(p, m), StageMap::Loop, 1, m, kUneven).makespan, 14.0 * (p - 1));
      EXPECT_DOUBLE_EQ(bubble_of(one_f_one_b(p, m), StageMap::Loop, 1, m, kUneven).makespan, 14.0 * (p - 1));
      for (int v = 2; v <= 3; ++v) {
        EXPECT_DOUBLE_EQ(bubble_of(looped_bfs(p, v, m), StageMap::Loop, v, m, kUneven).makespan, 14.0 * (p - 1));
        for (int group = p; group <= m; ++group) {
          if (m % group != 0) continue;
          EXPECT_DOUBLE_EQ(bubble_of(interleaved(p, v, m, group), StageMap::Loop, v, m, kUneven).makespan,
                           14.0 * (p - 1));
        }
      }
    }
  }
}

TEST(Bubble, OfZeroBubbleH1AndH2) {
  // (p-1)(F+B-W) and, per rank, (p-1)(F+B-2W): Qi et al. arXiv:2401.10241 table 1.
  for (int p = 1; p <= 8; ++p) {
    for (int m : {2 * p, 3 * p, 5 * p + 1}) {
      EXPECT_DOUBLE_EQ(bubble_of(zero_bubble(p, m, 1), StageMap::Loop, 1, m, kUneven).makespan, 8.0 * (p - 1));
      EXPECT_DOUBLE_EQ(bubble_of(zero_bubble(p, m, 2), StageMap::Loop, 1, m, kUneven).span, 5.0 * (p - 1));
      EXPECT_DOUBLE_EQ(bubble_of(zero_bubble(p, m, 2), StageMap::Loop, 1, m).span, 0);
      EXPECT_DOUBLE_EQ(bubble_of(zero_bubble(p, m, 2), StageMap::Loop, 1, m).makespan, p - 1);
    }
  }
}

TEST(Bubble, OfTheVSchedulesForEqualPasses) {
  for (int p = 2; p <= 9; ++p) {
    for (int m : {2 * p - 1, 2 * p, 3 * p + 2}) {
      const Bubble zb_v = bubble_of(zero_bubble_v(p, m), StageMap::Wave, 2, m);
      EXPECT_DOUBLE_EQ(zb_v.span, 0) << p;
      EXPECT_DOUBLE_EQ(zb_v.makespan, p - 1) << p;
      if (p == 2) continue;
      // Chunk passes, of arXiv:2405.15362's building blocks after squeezing; 1F1B's bubble is 6 (p-1) of them.
      EXPECT_DOUBLE_EQ(bubble_of(v_half(p, m), StageMap::Wave, 2, m).span, p % 2 == 0 ? 3 * p - 7 : 3 * p - 4)
          << p << " " << m;
      EXPECT_DOUBLE_EQ(bubble_of(v_min(p, m), StageMap::Wave, 2, m).span, p % 3 == 0 ? 4 * p - 7 : 4 * p - 5)
          << p << " " << m;
    }
  }
}

TEST(Bubble, OfDualPipe) {
  // Step = m FB + (p+1)(F+BW-FB) + (p/2-1)(FB+BW-3W), and for the V with p ranks, in chunk times,
  // 2m FB + (2p+1)(F+BW-FB) + (p-1)(FB+BW-3W). DeepSeek's README states the bubble (p/2-1)(FB+BW-3W).
  for (double pair : {3.0, 2.5}) {
    const PassSeconds s{1, 1, 1, 0, pair};
    for (int p = 2; p <= 8; ++p) {
      for (int m : {2 * p, 4 * p, 4 * p + 2}) {
        const double v_run = run_order(dual_pipe_v(p, m), {StageMap::Wave, p, 2}, m, s).makespan;
        EXPECT_DOUBLE_EQ(v_run, 2 * m * pair + (2 * p + 1) * (3 - pair) + (p - 1) * (pair - 1)) << p;
        if (p % 2 != 0) continue;
        const double run = run_order(dual_pipe(p, m), {StageMap::Bidirectional, p, 2}, m, s).makespan;
        EXPECT_DOUBLE_EQ(run, m * pair + (p + 1) * (3 - pair) + (p / 2 - 1) * (pair - 1)) << p;
      }
    }
  }
}

TEST(Bubble, OfHanayoForOneUnitOfMicroBatches) {
  // (p-1) F / waves where a backward takes as long as a forward, twice that where it takes two: F = 2 waves chunks.
  for (int p = 2; p <= 8; ++p) {
    for (int waves = 1; waves <= 3; ++waves) {
      const PipelineOrder order = hanayo(p, 2 * waves, p);
      EXPECT_DOUBLE_EQ(bubble_of(order, StageMap::Wave, 2 * waves, p, {1, 0.5, 0.5}).makespan, 2 * (p - 1));
      EXPECT_DOUBLE_EQ(bubble_of(order, StageMap::Wave, 2 * waves, p, {1, 1, 1}).makespan, 4 * (p - 1));
    }
  }
}

TEST(Bubble, TransfersEnterOncePerTurnOfThePipeline) {
  const double c = 0.01;
  const PassSeconds apart{1, 1, 1, c};
  const auto extra = [&](const PipelineOrder& order, int chunks, int m) {
    return bubble_of(order, StageMap::Loop, chunks, m, apart).makespan -
           bubble_of(order, StageMap::Loop, chunks, m).makespan;
  };
  for (int p = 2; p <= 6; ++p) {
    for (int m : {p, 2 * p, 4 * p}) {
      EXPECT_NEAR(extra(gpipe(p, m), 1, m), 2 * (p - 1) * c, 1e-9) << p << " " << m;
      EXPECT_NEAR(extra(one_f_one_b(p, m), 1, m), c * (2 * (p - 1) * m / p + 2 * p - 4), 1e-9) << p << " " << m;
      if (m < 4 * p) continue;
      EXPECT_NEAR(extra(interleaved(p, 2, m), 2, m), (4 * p - 2) * c, 1e-9) << p;
      EXPECT_NEAR(extra(interleaved(p, 2, m, 2 * p), 2, m), 2 * (p - 1) * c, 1e-9) << p;
    }
  }
}

TEST(ZeroBubbleAuto, RunsUnderItsCapForAnyTimes) {
  int cases = 0;
  for (int p = 1; p <= 7; ++p) {
    for (int m : {1, p, 2 * p, 4 * p + 1}) {
      for (double weight : {0.4, 1.0, 2.0}) {
        for (double transfer : {0.0, 1.0}) {
          for (double share : {0.5, 1.0}) {
            PassTimes times;
            for (int r = 0; r < p; ++r) {
              times.forward_s.push_back(1 + 0.1 * (r % 3)), times.input_s.push_back(1.2),
                  times.weight_s.push_back(weight);
            }
            times.transfer_s = transfer, times.weight_share = share;
            for (double cap : {1.0 * p, 2.0 * p}) {
              const PipelineOrder order = zero_bubble_auto(times, m, cap);
              ASSERT_NO_THROW(check_order(order, {StageMap::Loop, p, 1}, m));
              for (const std::vector<Pass>& passes : order) {
                double held = 0;
                for (const Pass& pass : passes) {
                  held += pass.kind == PassKind::Forward         ? 1
                          : pass.kind == PassKind::BackwardInput ? share - 1
                                                                 : -share;
                  ASSERT_LE(held, cap + 1e-6);
                }
              }
              ++cases;
            }
          }
        }
      }
    }
  }
  EXPECT_EQ(cases, 7 * 4 * 3 * 2 * 2 * 2);
}

}  // namespace

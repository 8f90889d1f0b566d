#include <gtest/gtest.h>

#include <functional>

#include "error.hpp"
#include "in_flight.hpp"
#include "schedule/check_order.hpp"
#include "schedule/tape.hpp"
#include "schedule_run.hpp"

namespace {

using namespace dts;
using namespace dts::test;

struct Case {
  std::string name;
  PipelineOrder order;
  StagePlacement placement;
  int micro_batches;
};

// Every schedule over pp 1..6, 1..3 chunks or waves, and 1..4 pp micro-batches that it allows.
void for_all(const std::function<void(const Case&)>& visit) {
  for (int p = 1; p <= 6; ++p) {
    for (int m = 1; m <= 4 * p + 1; ++m) {
      const auto show = [&](const std::string& name, PipelineOrder order, StageMap map, int chunks) {
        const std::string where =
            name + " pp " + std::to_string(p) + " chunks " + std::to_string(chunks) + " m " + std::to_string(m);
        visit({where, std::move(order), {map, p, chunks}, m});
      };
      show("1f1b", one_f_one_b(p, m), StageMap::Loop, 1);
      show("gpipe", gpipe(p, m), StageMap::Loop, 1);
      show("zb_h1", zero_bubble(p, m, 1), StageMap::Loop, 1);
      show("zb_h2", zero_bubble(p, m, 2), StageMap::Loop, 1);
      for (int v = 2; v <= 3; ++v) {
        show("looped_bfs", looped_bfs(p, v, m), StageMap::Loop, v);
        for (int group = p; group <= m; ++group) {
          if (m % group == 0 || m % group >= p) show("interleaved", interleaved(p, v, m, group), StageMap::Loop, v);
        }
        show("hanayo", hanayo(p, 2 * v - 2, m), StageMap::Wave, 2 * v - 2);
      }
      show("zb_v", zero_bubble_v(p, m), StageMap::Wave, 2);
      if (m >= p && p > 1)
        show("v_half", v_half(p, m), StageMap::Wave, 2), show("v_min", v_min(p, m), StageMap::Wave, 2);
      if (m >= 2 * p) show("dualpipe_v", dual_pipe_v(p, m), StageMap::Wave, 2);
      if (m >= 2 * p && m % 2 == 0 && p % 2 == 0) show("dualpipe", dual_pipe(p, m), StageMap::Bidirectional, 2);
    }
  }
}

TEST(EverySchedule, RunsEachPassOnceInAnOrderThatCannotDeadlock) {
  int seen = 0;
  for_all([&](const Case& c) {
    ASSERT_NO_THROW(check_order(c.order, c.placement, c.micro_batches)) << c.name;
    // Counted without check_order's help: forwards and gradients of every chunk and micro-batch of a rank.
    for (const std::vector<Pass>& passes : c.order) {
      int forwards = 0, inputs = 0, weights = 0;
      for (const Pass& pass : passes) {
        forwards += pass.kind == PassKind::Forward, inputs += gives_input_gradient(pass.kind);
        weights += gives_weight_gradient(pass.kind);
      }
      const int expected = c.placement.chunks * c.micro_batches / c.placement.copies();
      ASSERT_TRUE(forwards == expected && inputs == expected && weights == expected) << c.name;
    }
    ++seen;
  });
  EXPECT_GT(seen, 1500);
}

TEST(EverySchedule, NoRankIsFasterThanItsWork) {
  for_all([](const Case& c) {
    if (c.micro_batches > 2 * c.placement.pp) return;
    const PassSeconds s{2, 3, 1, 0.25};
    const ScheduleRun run = run_order(c.order, c.placement, c.micro_batches, s);
    const double work = 6.0 * c.micro_batches * c.placement.chunks / c.placement.copies();
    ASSERT_TRUE(run.finished) << c.name;
    EXPECT_GE(run.span(), work) << c.name;
    EXPECT_GE(run.makespan, run.span()) << c.name;
    PassSeconds slower = s;
    for (double PassSeconds::*part :
         {&PassSeconds::forward, &PassSeconds::input, &PassSeconds::weight, &PassSeconds::transfer}) {
      slower.*part += 0.5;
      EXPECT_GE(run_order(c.order, c.placement, c.micro_batches, slower).makespan, run.makespan) << c.name;
    }
  });
}

// Passes of activations that a rank holds, in chunks, by the published rules.
void expect_held(const PipelineOrder& order, const std::function<long long(int)>& rule, const std::string& name) {
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    EXPECT_EQ(most_held(order[rank]), rule(static_cast<int>(rank)))
        << name << " rank " << rank << " of " << order.size();
  }
}

TEST(HeldActivations, OfWholePassesFollowTheClosedForm) {
  for (int p = 1; p <= 6; ++p) {
    for (int m = 1; m <= 4 * p; ++m) {
      expect_held(gpipe(p, m), [&](int r) { return chunks_in_flight(PipelineSchedule::GPipe, p, 1, r, m); }, "gpipe");
      expect_held(
          one_f_one_b(p, m), [&](int r) { return chunks_in_flight(PipelineSchedule::OneFOneB, p, 1, r, m); }, "1f1b");
      for (int v = 2; v <= 3; ++v) {
        for (int group = p; group <= m; ++group) {
          if (m % group != 0) continue;
          expect_held(
              interleaved(p, v, m, group),
              [&](int r) { return chunks_in_flight(PipelineSchedule::OneFOneB, p, v, r, m, group); }, "interleaved");
        }
      }
    }
  }
}

TEST(HeldActivations, OfSplitBackwardsAreThePapers) {
  for (int p = 2; p <= 9; ++p) {
    for (int m : {2 * p, 3 * p + 1, 5 * p - p % 2}) {
      expect_held(zero_bubble(p, m, 1), [&](int) { return p; }, "zb_h1");
      expect_held(zero_bubble(p, m, 2), [&](int) { return 2 * p - 1; }, "zb_h2");
      expect_held(zero_bubble_v(p, m), [&](int) { return 2 * p; }, "zb_v");
      const auto most = [](const PipelineOrder& order) {
        int held = 0;
        for (const auto& passes : order) held = std::max(held, most_held(passes));
        return held;
      };
      if (p > 2) {
        EXPECT_EQ(most(v_half(p, m)), 2 * (p % 2 == 0 ? p / 2 + 1 : (p + 1) / 2)) << p;
        EXPECT_EQ(most(v_min(p, m)), 2 * ((p + 4) / 3)) << p;
      }
      EXPECT_EQ(most(dual_pipe_v(p, m)), 2 * p + 1) << p;
      if (p % 2 == 0 && m % 2 == 0) {
        EXPECT_EQ(most(dual_pipe(p, m)), p + 1) << p;
      }
      EXPECT_LE(most(hanayo(p, 4, m)), 4 * p) << p;
    }
  }
}

TEST(TapeBytes, AnInputGradientLeavesWhatTheWeightGradientNeeds) {
  const std::vector<Pass> passes = {{PassKind::Forward, 0, 0},        {PassKind::Forward, 1, 0},
                                    {PassKind::BackwardInput, 1, 0},  {PassKind::Forward, 0, 1},
                                    {PassKind::BackwardWeight, 1, 0}, {PassKind::Backward, 0, 0}};
  EXPECT_DOUBLE_EQ(peak_tape_bytes(passes, {{10, 4}, {7, 3}}), 23);  // two of 10 and the 3 left of 7
  EXPECT_DOUBLE_EQ(peak_tape_bytes(passes, {{1, 0}, {7, 0}}), 8);
  EXPECT_DOUBLE_EQ(peak_tape_bytes(one_f_one_b(4, 8)[1], {{5, 5}}), 15);
}

}  // namespace

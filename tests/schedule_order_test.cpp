// Small orders worked out by hand, and orders that users write.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "error.hpp"
#include "schedule/check_order.hpp"
#include "schedule/custom_order.hpp"
#include "schedule_run.hpp"

namespace {

using namespace dts;
using namespace dts::test;

TEST(OrderByHand, ZeroBubbleH1AndH2) {
  // arXiv:2401.10241 fig. 2: the last rank delays its weight gradients by one pass per rank above it.
  EXPECT_EQ(text_of(zero_bubble(2, 3, 1)[0]), "F0 F1 B0 W0 F2 B1 W1 B2 W2");
  EXPECT_EQ(text_of(zero_bubble(2, 3, 1)[1]), "F0 B0 F1 B1 W0 F2 B2 W1 W2");
  EXPECT_EQ(text_of(zero_bubble(3, 4, 2)[0]), "F0 F1 F2 F3 B0 W0 B1 W1 B2 W2 B3 W3");
  EXPECT_EQ(text_of(zero_bubble(3, 4, 2)[2]), "F0 B0 F1 B1 F2 B2 F3 B3 W0 W1 W2 W3");
}

TEST(OrderByHand, ZeroBubbleV) {
  const PipelineOrder order = zero_bubble_v(2, 3);
  EXPECT_EQ(text_of(order[0], true),
            "F0.0 F1.0 F2.0 F0.1 B0.1 W0.1 F1.1 B1.1 W1.1 B0.0 W0.0 F2.1 B2.1 W2.1 B1.0 W1.0 B2.0 W2.0");
  EXPECT_EQ(text_of(order[1], true),
            "F0.0 F0.1 F1.0 F1.1 B0.1 W0.1 F2.0 B0.0 W0.0 F2.1 B1.1 W1.1 B1.0 B2.1 B2.0 W1.0 W2.1 W2.0");
}

TEST(ScheduleOrder, ForwardsAheadAreThoseBeforeTheFirstBackward) {
  EXPECT_EQ(forwards_ahead(0, 4), 3);
  EXPECT_EQ(forwards_ahead(3, 4), 0);
  EXPECT_EQ(forwards_ahead(1, 4, 3), 2 * 2 + 2 * 4);
  EXPECT_EQ(forwards_ahead(3, 4, 2, 6), 6);
  for (int group : {0, 6}) {
    const PipelineOrder order = interleaved(4, 2, 24, group);
    for (int rank = 0; rank < 4; ++rank) {
      const std::vector<Pass>& passes = order[static_cast<std::size_t>(rank)];
      const auto back =
          std::find_if(passes.begin(), passes.end(), [](const Pass& p) { return p.kind != PassKind::Forward; });
      EXPECT_EQ(back - passes.begin(), forwards_ahead(rank, 4, 2, group) + 1);  // and the one that it follows
    }
  }
}

TEST(ScheduleOrder, PairsOnlyWherePassesRunAsOne) {
  for (PipelineSchedule schedule : {PipelineSchedule::OneFOneB, PipelineSchedule::ZbV, PipelineSchedule::DualPipe,
                                    PipelineSchedule::DualPipeV, PipelineSchedule::Hanayo}) {
    for (bool overlap : {false, true}) {
      Strategy s;
      s.pp = 2, s.vpp = schedule == PipelineSchedule::OneFOneB || schedule == PipelineSchedule::DualPipe ? 1 : 2;
      s.schedule = schedule, s.overlap_moe_1f1b = overlap && schedule == PipelineSchedule::OneFOneB;
      bool paired = false;
      for (const std::vector<Pass>& passes : pipeline_order(s, 8)) {
        for (const Pass& pass : passes) paired = paired || pass.with_next;
      }
      EXPECT_EQ(pairs_passes(s), paired) << static_cast<int>(schedule) << overlap;
    }
  }
}

TEST(OrderByHand, DualPipe) {
  const PipelineOrder order = dual_pipe(2, 4);  // micro-batches 0, 1 enter at rank 0, and 2, 3 at rank 1
  EXPECT_EQ(text_of(order[0], true), "F0.0 F2.1 F1.0 B2.1 F3.1+B0.0 B3.1 B1.0 W1.0");
  EXPECT_EQ(text_of(order[1], true), "F2.1 F0.0 F3.1 B0.0 F1.0+B2.1 B1.0 B3.1 W3.1");
  EXPECT_EQ(text_of(dual_pipe_v(1, 2)[0], true), "F0.0 F0.1 F1.0 B0.1 F1.1+B0.0 B1.1 B1.0 W1.0");
}

TEST(OrderByHand, LoopedBfsAndGroups) {
  EXPECT_EQ(text_of(looped_bfs(2, 2, 2)[1], true), "F0.0 F1.0 F0.1 F1.1 B1.1 B0.1 B1.0 B0.0");
  // Groups of 3 on 2 ranks: warm-up of 2 (2-1-r) + (2-1) 3.
  EXPECT_EQ(text_of(interleaved(2, 2, 3, 3)[1], true), "F0.0 F1.0 F2.0 F0.1 B0.1 F1.1 B1.1 F2.1 B2.1 B0.0 B1.0 B2.0");
}

TEST(OrderByHand, Hanayo) {
  EXPECT_EQ(text_of(hanayo(2, 2, 2)[1], true), "F0.0 F0.1 F1.0 F1.1 B0.1 B0.0 B1.1 B1.0");
  EXPECT_EQ(text_of(hanayo(2, 2, 2)[0], true), "F0.0 F1.0 F0.1 B0.1 F1.1 B1.1 B0.0 B1.0");
}

TEST(StagePlacement, TurnsOfAWaveShareARank) {
  const StagePlacement wave{StageMap::Wave, 3, 4}, loop{StageMap::Loop, 3, 2}, both{StageMap::Bidirectional, 4, 2};
  const int ranks[] = {0, 1, 2, 2, 1, 0, 0, 1, 2, 2, 1, 0};
  for (int stage = 0; stage < 12; ++stage) EXPECT_EQ(wave.rank_of(stage), ranks[stage]);
  EXPECT_TRUE(wave.ends_meet() && both.ends_meet() && !loop.ends_meet());
  EXPECT_EQ(loop.stage_of(2, 1), 5);
  EXPECT_EQ(both.stage_of(1, 1), 6);  // stage 2 of the second copy
  EXPECT_EQ(both.rank_of(6), 1);
  EXPECT_EQ(both.next(3), -1);  // the first copy ends here
  EXPECT_EQ(both.previous(4), -1);
  EXPECT_TRUE(both.visits(0, 1, 4) && !both.visits(0, 2, 4) && both.visits(5, 2, 4) && !both.visits(5, 4, 4));
  for (const StagePlacement& p : {wave, loop, both}) {
    for (int stage = 0; stage < p.stages(); ++stage) EXPECT_EQ(p.stage_of(p.rank_of(stage), p.chunk_of(stage)), stage);
  }
}

TEST(CustomOrder, IsReadAsWritten) {
  const PipelineOrder order = parse_order({"F0 F1.1+B0 W0 B1.1", " "});
  ASSERT_EQ(order[0].size(), 5u);
  EXPECT_TRUE(order[1].empty());
  EXPECT_EQ(text_of(order[0], true), "F0.0 F1.1+B0.0 W0.0 B1.1");
  EXPECT_EQ(order[0][2].kind, PassKind::BackwardInput);  // its weight gradient is listed
  EXPECT_EQ(order[0][4].kind, PassKind::Backward);
}

TEST(CustomOrder, AnyTextIsReadOrRefused) {
  static const std::string kSigns = "FBW0123456789.+- \t\nx\xff";
  std::mt19937 random(7);
  int read = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::vector<std::string> texts(random() % 3);
    for (std::string& text : texts) {
      for (auto left = random() % 12; left > 0; --left) text += kSigns[random() % kSigns.size()];
    }
    try {
      EXPECT_EQ(parse_order(texts).size(), texts.size());
      ++read;
    } catch (const ConfigError& error) {
      EXPECT_NE(std::string(error.what()).find("strategy.custom_order["), std::string::npos);
    }
  }
  EXPECT_GT(read, 1'000);
}

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(CustomOrder, UnreadableWordsAreAllNamed) {
  const std::string text = message_of([] { parse_order({"F0 G1 B", "F0+F1 B0. F1x 3 F99999999999"}); });
  for (const char* word : {"custom_order[0]: got G1", "got B,", "custom_order[1]: got F0+F1", "got B0.,", "got F1x",
                           "got 3", "got F999"}) {
    EXPECT_NE(text.find(word), std::string::npos) << word << "\n" << text;
  }
}

TEST(CheckOrder, NamesWhatIsWrong) {
  struct Wrong {
    std::vector<std::string> order;
    const char* says;
  };
  for (const Wrong& wrong :
       {Wrong{{"F0 B0"}, "got 1 ranks"}, Wrong{{"F0 B0", "F0"}, "rank 1: got no B0.0"},
        Wrong{{"F0 B0", "B0 F0"}, "rank 1: got B0.0, expected its forward"},
        Wrong{{"F0 B0", "F0 W0 B0"}, "rank 1: got W0.0, expected its input gradient"},
        Wrong{{"F0 B0", "F0 F0 B0"}, "rank 1: got F0.0 twice"}, Wrong{{"F0 B0 B0", "F0 B0"}, "rank 0: got B0.0 twice"},
        Wrong{{"F0 B0 W0 W0", "F0 B0"}, "rank 0: got W0.0 twice"},
        Wrong{{"F0 B0 F1", "F0 B0"}, "rank 0: got F1.0, expected chunks"},
        Wrong{{"F0 B0", "F0.1 B0.1"}, "rank 1: got F0.1, expected chunks"},
        Wrong{{"B0", "B0"}, "rank 0: got no F0.0"}}) {
    const std::string text = message_of([&] { check_order(parse_order(wrong.order), {StageMap::Loop, 2, 1}, 1); });
    EXPECT_NE(text.find(wrong.says), std::string::npos) << wrong.says << "\n" << text;
  }
}

TEST(CheckOrder, NamesEachStuckRankAndWhatItWaitsFor) {
  const PipelineOrder order = parse_order({"F0 B0 F1 B1", "F1 F0 B1 B0"});
  const std::string text = message_of([&] { check_order(order, {StageMap::Loop, 2, 1}, 2); });
  EXPECT_NE(text.find("rank 0: got stuck before B0.0, expected no deadlock; it waits for B0.0 of rank 1"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("rank 1: got stuck before F1.0, expected no deadlock; it waits for F1.0 of rank 0"),
            std::string::npos)
      << text;
  // A pair starts when both inputs are there: rank 1's pair waits for a forward that rank 0 runs after the pair's
  // gradient.
  const PipelineOrder pairs = parse_order({"F0 B0 F1 B1", "F0 F1+B0 B1"});
  EXPECT_NE(message_of([&] { check_order(pairs, {StageMap::Loop, 2, 1}, 2); }).find("stuck before F1.0"),
            std::string::npos);
}

TEST(CheckOrder, EveryMovedPassIsCaught) {
  // Moving a backward before its own forward, anywhere, is refused: the check cannot pass by accident.
  const PipelineOrder good = zero_bubble_v(3, 6);
  for (std::size_t rank = 0; rank < good.size(); ++rank) {
    for (std::size_t i = 1; i < good[rank].size(); ++i) {
      if (good[rank][i].kind == PassKind::Forward) continue;
      PipelineOrder bad = good;
      std::rotate(bad[rank].begin(), bad[rank].begin() + static_cast<long>(i),
                  bad[rank].begin() + static_cast<long>(i) + 1);
      EXPECT_THROW(check_order(bad, {StageMap::Wave, 3, 2}, 6), ConfigError);
    }
  }
}

TEST(Orders, DelayedWeightGradientsFollowTheirInputGradients) {
  EXPECT_EQ(text_of(delay_weight_gradients(one_f_one_b(2, 2))[0]), "F0 F1 B0 W0 B1 W1");
  const PipelineOrder pairs = delay_weight_gradients(interleaved(1, 1, 3, 0, true));
  EXPECT_EQ(text_of(pairs[0]), "F0 F1+B0 W0 F2+B1 W1 B2 W2");
}

TEST(Orders, PairsTakeOneForwardMoreBeforeTheFirstBackward) {
  EXPECT_EQ(text_of(interleaved(1, 1, 3, 0, true)[0]), "F0 F1+B0 F2+B1 B2");
  EXPECT_EQ(text_of(interleaved(2, 1, 3, 0, true)[0]), "F0 F1 F2+B0 B1 B2");
  for (int p = 1; p <= 4; ++p) {
    for (int v : {1, 2, 3}) {
      if (p == 1 && v > 1) continue;
      for (int m = p; m <= 4 * p; m += p)
        EXPECT_NO_THROW(check_order(interleaved(p, v, m, 0, true), {StageMap::Loop, p, v}, m));
    }
  }
}

}  // namespace

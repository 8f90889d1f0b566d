#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>

#include "in_flight.hpp"
#include "schedule/pipeline.hpp"

namespace {

using namespace dts;

// "F0 F1 B0": with several chunks "F0.1" is micro-batch 0 of chunk 1.
std::string text_of(const std::vector<Pass>& passes, bool chunks = false) {
  std::string text;
  for (const Pass& p : passes) {
    text += (text.empty() ? "" : " ") + std::string(p.kind == PassKind::Forward ? "F" : "B") +
            std::to_string(p.micro_batch);
    if (chunks) text += "." + std::to_string(p.chunk);
  }
  return text;
}

TEST(OneFOneB, FourStagesEightMicroBatches) {
  // PipeDream-flush, Narayanan et al. arXiv:2006.09503 fig. 2b.
  const PipelineOrder order = one_f_one_b(4, 8);
  EXPECT_EQ(text_of(order[3]), "F0 B0 F1 B1 F2 B2 F3 B3 F4 B4 F5 B5 F6 B6 F7 B7");
  EXPECT_EQ(text_of(order[2]), "F0 F1 B0 F2 B1 F3 B2 F4 B3 F5 B4 F6 B5 F7 B6 B7");
  EXPECT_EQ(text_of(order[0]), "F0 F1 F2 F3 B0 F4 B1 F5 B2 F6 B3 F7 B4 B5 B6 B7");
}

TEST(OneFOneB, FewerMicroBatchesThanStages) {
  const PipelineOrder order = one_f_one_b(4, 2);
  EXPECT_EQ(text_of(order[0]), "F0 F1 B0 B1");
  EXPECT_EQ(text_of(order[2]), "F0 F1 B0 B1");
  EXPECT_EQ(text_of(order[3]), "F0 B0 F1 B1");
}

TEST(GPipe, AllForwardsThenAllBackwards) {
  for (const auto& passes : gpipe(3, 3)) EXPECT_EQ(text_of(passes), "F0 F1 F2 B0 B1 B2");
}

TEST(Interleaved, TwoStagesTwoChunksFourMicroBatches) {
  // Narayanan et al. arXiv:2104.04473 §2.2 and Megatron-LM's forward_backward_pipelining_with_interleaving: groups of
  // pp micro-batches walk the chunks; warm-up of rank r is 2 (pp - 1 - r) + (vpp - 1) pp passes.
  const PipelineOrder order = interleaved(2, 2, 4);
  EXPECT_EQ(text_of(order[0], true), "F0.0 F1.0 F0.1 F1.1 F2.0 B0.1 F3.0 B1.1 F2.1 B0.0 F3.1 B1.0 B2.1 B3.1 B2.0 B3.0");
  EXPECT_EQ(text_of(order[1], true), "F0.0 F1.0 F0.1 B0.1 F1.1 B1.1 F2.0 B0.0 F3.0 B1.0 F2.1 B2.1 F3.1 B3.1 B2.0 B3.0");
}

TEST(Interleaved, OneChunkIsPlainOneFOneB) {
  for (int pp = 1; pp <= 5; ++pp) {
    for (int m = 1; m <= 9; ++m) {
      const PipelineOrder a = interleaved(pp, 1, m), b = one_f_one_b(pp, m);
      for (std::size_t rank = 0; rank < a.size(); ++rank) EXPECT_EQ(text_of(a[rank]), text_of(b[rank]));
    }
  }
}

template <class Visit>
void for_schedules(Visit visit) {
  for (int pp = 1; pp <= 6; ++pp) {
    for (int m = 1; m <= 13; ++m) {
      visit(PipelineSchedule::GPipe, pp, 1, m, gpipe(pp, m));
      for (int vpp = 1; vpp <= (pp > 1 && m % pp == 0 ? 4 : 1); ++vpp) {
        visit(PipelineSchedule::OneFOneB, pp, vpp, m, interleaved(pp, vpp, m));
      }
    }
  }
}

TEST(Schedules, EveryPassOnceAndForwardFirst) {
  for_schedules([](PipelineSchedule, int pp, int vpp, int m, const PipelineOrder& order) {
    ASSERT_EQ(static_cast<int>(order.size()), pp);
    for (const auto& passes : order) {
      std::set<std::pair<int, int>> forward, backward;
      for (const Pass& p : passes) {
        ASSERT_TRUE(p.chunk >= 0 && p.chunk < vpp && p.micro_batch >= 0 && p.micro_batch < m);
        const std::pair<int, int> key{p.chunk, p.micro_batch};
        if (p.kind == PassKind::Forward) {
          EXPECT_TRUE(forward.insert(key).second) << "twice";
        } else {
          EXPECT_TRUE(forward.count(key)) << "backward before forward, pp " << pp << " vpp " << vpp << " m " << m;
          EXPECT_TRUE(backward.insert(key).second) << "twice";
        }
      }
      EXPECT_EQ(static_cast<int>(forward.size()), vpp * m);
      EXPECT_EQ(static_cast<int>(backward.size()), vpp * m);
    }
  });
}

TEST(Schedules, ChunkPassesInFlightAreWhatMemoryCounts) {
  for_schedules([](PipelineSchedule schedule, int pp, int vpp, int m, const PipelineOrder& order) {
    for (int rank = 0; rank < pp; ++rank) {
      int live = 0, peak = 0;
      for (const Pass& p : order[static_cast<std::size_t>(rank)]) {
        live += p.kind == PassKind::Forward ? 1 : -1;
        peak = std::max(peak, live);
      }
      EXPECT_EQ(peak, chunks_in_flight(schedule, pp, vpp, rank, m))
          << "pp " << pp << " vpp " << vpp << " m " << m << " rank " << rank;
    }
  });
}

// Runs the orders with instant transfers until nothing moves: the straight definition of "no deadlock".
bool finishes(const PipelineOrder& order, int vpp) {
  const int pp = static_cast<int>(order.size()), last = pp * vpp - 1;
  std::set<std::tuple<int, int, int>> done;  // kind, virtual stage, micro-batch
  std::vector<std::size_t> next(order.size(), 0);
  for (bool moved = true; moved;) {
    moved = false;
    for (int rank = 0; rank < pp; ++rank) {
      const auto& passes = order[static_cast<std::size_t>(rank)];
      std::size_t& at = next[static_cast<std::size_t>(rank)];
      if (at == passes.size()) continue;
      const Pass& p = passes[at];
      const int stage = p.chunk * pp + rank;
      const bool forward = p.kind == PassKind::Forward;
      const bool ready = forward ? stage == 0 || done.count({0, stage - 1, p.micro_batch})
                                 : stage == last || done.count({1, stage + 1, p.micro_batch});
      if (!ready) continue;
      done.insert({forward ? 0 : 1, stage, p.micro_batch});
      ++at;
      moved = true;
    }
  }
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    if (next[rank] != order[rank].size()) return false;
  }
  return true;
}

TEST(Schedules, NoneDeadlocks) {
  for_schedules([](PipelineSchedule, int pp, int vpp, int m, const PipelineOrder& order) {
    EXPECT_TRUE(finishes(order, vpp)) << "pp " << pp << " vpp " << vpp << " m " << m;
  });
  PipelineOrder swapped = one_f_one_b(2, 2);
  std::swap(swapped[0][0], swapped[0][2]);  // the test itself can fail: stage 0 waits for a backward first
  EXPECT_FALSE(finishes(swapped, 1));
}

TEST(Schedules, StrategyChoosesTheOrder) {
  Strategy s;
  s.pp = 2;
  EXPECT_EQ(text_of(pipeline_order(s, 2)[0]), "F0 F1 B0 B1");
  EXPECT_EQ(text_of(pipeline_order(s, 2)[1]), "F0 B0 F1 B1");
  s.schedule = PipelineSchedule::GPipe;
  EXPECT_EQ(text_of(pipeline_order(s, 2)[1]), "F0 F1 B0 B1");
  s.schedule = PipelineSchedule::OneFOneB, s.vpp = 2;
  EXPECT_EQ(text_of(pipeline_order(s, 4)[0], true), text_of(interleaved(2, 2, 4)[0], true));
}

}  // namespace

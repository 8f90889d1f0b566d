#include "parallel/rank_grid.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "error.hpp"

namespace {

using namespace dts;
using Groups = std::vector<std::vector<int>>;

Strategy layout(int tp, int cp, int dp, int pp, int ep = 1, int etp = 1) {
  Strategy s;
  s.tp = tp, s.cp = cp, s.dp = dp, s.pp = pp, s.ep = ep, s.etp = etp;
  return s;
}

TEST(RankGrid, MegatronOrderByHand) {
  // Megatron-LM's own example order: tp fastest, pp slowest.
  const RankGrid grid(layout(2, 1, 2, 2));
  EXPECT_EQ(grid.groups(Axis::TP), (Groups{{0, 1}, {2, 3}, {4, 5}, {6, 7}}));
  EXPECT_EQ(grid.groups(Axis::DP), (Groups{{0, 2}, {1, 3}, {4, 6}, {5, 7}}));
  EXPECT_EQ(grid.groups(Axis::PP), (Groups{{0, 4}, {1, 5}, {2, 6}, {3, 7}}));
  EXPECT_EQ(grid.groups(Axis::CP), (Groups{{0}, {1}, {2}, {3}, {4}, {5}, {6}, {7}}));
}

TEST(RankGrid, SixteenRanksOfMegatronsDocstring) {
  // parallel_state.initialize_model_parallel: 16 GPUs, tp 2, pp 4: 8 tensor, 4 pipeline, 8 data-parallel groups.
  const RankGrid grid(layout(2, 1, 2, 4));
  EXPECT_EQ(grid.groups(Axis::DP), (Groups{{0, 2}, {1, 3}, {4, 6}, {5, 7}, {8, 10}, {9, 11}, {12, 14}, {13, 15}}));
  EXPECT_EQ(grid.groups(Axis::PP), (Groups{{0, 4, 8, 12}, {1, 5, 9, 13}, {2, 6, 10, 14}, {3, 7, 11, 15}}));
}

TEST(RankGrid, ContextRanksShareGradients) {
  const RankGrid grid(layout(2, 2, 2, 1));
  EXPECT_EQ(grid.groups(Axis::CP), (Groups{{0, 2}, {1, 3}, {4, 6}, {5, 7}}));
  EXPECT_EQ(grid.groups(Axis::DP), (Groups{{0, 4}, {1, 5}, {2, 6}, {3, 7}}));
  EXPECT_EQ(grid.groups(Axis::DP_CP), (Groups{{0, 2, 4, 6}, {1, 3, 5, 7}}));
}

TEST(RankGrid, ExpertsRefactorTheRanksOfAStage) {
  // tp2 dp4 pp2 with ep4 etp1: experts over neighbouring ranks, each expert twice.
  const RankGrid grid(layout(2, 1, 4, 2, 4));
  EXPECT_EQ(grid.groups(Axis::EP), (Groups{{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9, 10, 11}, {12, 13, 14, 15}}));
  EXPECT_EQ(grid.groups(Axis::EDP), (Groups{{0, 4}, {1, 5}, {2, 6}, {3, 7}, {8, 12}, {9, 13}, {10, 14}, {11, 15}}));
  EXPECT_EQ(grid.groups(Axis::PP).front(), (std::vector<int>{0, 8}));
}

TEST(RankGrid, ExpertTensorParallelIsFastest) {
  const RankGrid grid(layout(4, 1, 2, 1, 2, 2));
  EXPECT_EQ(grid.groups(Axis::ETP), (Groups{{0, 1}, {2, 3}, {4, 5}, {6, 7}}));
  EXPECT_EQ(grid.groups(Axis::EP), (Groups{{0, 2}, {1, 3}, {4, 6}, {5, 7}}));
  EXPECT_EQ(grid.groups(Axis::EDP), (Groups{{0, 4}, {1, 5}, {2, 6}, {3, 7}}));
}

TEST(RankGrid, OtherOrders) {
  Strategy s = layout(2, 1, 2, 2);
  s.rank_order = "dp-tp-cp-ep-pp";
  EXPECT_EQ(RankGrid(s).groups(Axis::DP), (Groups{{0, 1}, {2, 3}, {4, 5}, {6, 7}}));
  EXPECT_EQ(RankGrid(s).groups(Axis::TP), (Groups{{0, 2}, {1, 3}, {4, 6}, {5, 7}}));
  s.rank_order = "tp-cp-ep-pp-dp";
  EXPECT_EQ(RankGrid(s).groups(Axis::PP), (Groups{{0, 2}, {1, 3}, {4, 6}, {5, 7}}));
  EXPECT_EQ(RankGrid(s).groups(Axis::DP), (Groups{{0, 4}, {1, 5}, {2, 6}, {3, 7}}));
}

TEST(RankGrid, ExpertGroupsStayInTheirStageWhenPipelineIsNotLast) {
  Strategy s = layout(1, 2, 1, 2);
  s.rank_order = "tp-cp-ep-pp-dp";
  EXPECT_EQ(RankGrid(s).groups(Axis::PP), (Groups{{0, 2}, {1, 3}}));
  EXPECT_EQ(RankGrid(s).groups(Axis::EDP), (Groups{{0, 1}, {2, 3}}));
}

const std::vector<std::string> kOrders = {"tp-cp-ep-dp-pp", "tp-cp-ep-pp-dp", "dp-tp-cp-ep-pp",
                                          "pp-dp-ep-cp-tp", "ep-tp-pp-cp-dp", "cp-pp-tp-dp-ep"};

template <class Visit>
void for_grids(Visit visit) {
  for (const std::string& order : kOrders) {
    for (int tp : {1, 2, 4}) {
      for (int cp : {1, 2}) {
        for (int dp : {1, 2, 6}) {
          for (int pp : {1, 2, 3}) {
            for (int ep : {1, 2, 3}) {
              for (int etp : {1, 2}) {
                if (tp * cp * dp % (ep * etp) != 0) continue;
                Strategy s = layout(tp, cp, dp, pp, ep, etp);
                s.rank_order = order;
                visit(s, RankGrid(s));
              }
            }
          }
        }
      }
    }
  }
}

TEST(RankGrid, EveryAxisPartitionsTheWorld) {
  for_grids([](const Strategy& s, const RankGrid& grid) {
    EXPECT_EQ(grid.world(), world_size(s));
    EXPECT_EQ(grid.size(Axis::TP) * grid.size(Axis::CP) * grid.size(Axis::DP) * grid.size(Axis::PP), grid.world());
    EXPECT_EQ(grid.size(Axis::EP) * grid.size(Axis::ETP) * grid.size(Axis::EDP) * grid.size(Axis::PP), grid.world());
    for (std::size_t a = 0; a < kAxisCount; ++a) {
      const Axis axis = static_cast<Axis>(a);
      std::set<int> seen;
      int last_first = -1;
      for (const std::vector<int>& group : grid.groups(axis)) {
        ASSERT_EQ(static_cast<int>(group.size()), grid.size(axis)) << name_of(axis);
        EXPECT_GT(group.front(), last_first) << "groups are ordered by first rank";
        last_first = group.front();
        for (int rank : group) EXPECT_TRUE(seen.insert(rank).second) << name_of(axis) << " " << s.rank_order;
        for (int rank : group) EXPECT_EQ(grid.group(rank, axis), group) << "every member knows the same group";
      }
      ASSERT_EQ(static_cast<int>(seen.size()), grid.world());
      EXPECT_EQ(*seen.begin(), 0);
      EXPECT_EQ(*seen.rbegin(), grid.world() - 1);
    }
  });
}

TEST(RankGrid, OnlyThePipelineAxisCrossesStages) {
  for_grids([](const Strategy& s, const RankGrid& grid) {
    for (Axis axis : {Axis::TP, Axis::CP, Axis::DP, Axis::EP, Axis::ETP, Axis::EDP, Axis::DP_CP}) {
      for (const std::vector<int>& group : grid.groups(axis)) {
        for (int rank : group) {
          EXPECT_EQ(grid.coordinate(rank, Axis::PP), grid.coordinate(group.front(), Axis::PP))
              << name_of(axis) << " " << s.rank_order;
        }
      }
    }
  });
}

TEST(RankGrid, AGroupMeetsAnotherAxisInOneRank) {
  for_grids([](const Strategy&, const RankGrid& grid) {
    for (auto [a, b] :
         {std::pair{Axis::TP, Axis::DP}, {Axis::CP, Axis::PP}, {Axis::EP, Axis::EDP}, {Axis::ETP, Axis::EP}}) {
      const std::vector<int> one = grid.group(0, a), other = grid.group(0, b);
      const auto common = std::count_if(
          one.begin(), one.end(), [&](int rank) { return std::find(other.begin(), other.end(), rank) != other.end(); });
      EXPECT_EQ(common, 1) << name_of(a) << " " << name_of(b);
    }
  });
}

TEST(RankOrder, OnlyAPermutationIsKnown) {
  EXPECT_EQ(parse_rank_order("tp-cp-ep-dp-pp").size(), 5u);
  for (const char* bad : {"", "tp", "tp-cp-ep-dp", "tp-cp-ep-dp-dp", "tp-cp-ep-dp-pp-", "-tp-cp-ep-dp-pp",
                          "tp cp ep dp pp", "TP-cp-ep-dp-pp", "tp-cp-etp-dp-pp", "tp-cp-ep-dp-pp-tp"}) {
    EXPECT_TRUE(parse_rank_order(bad).empty()) << bad;
  }
}

TEST(RankGrid, RefusesWhatFormsNoGrid) {
  EXPECT_THROW(RankGrid(layout(1, 1, 2, 1, 4)), ConfigError);  // more experts ranks than ranks
  EXPECT_THROW(RankGrid(layout(1, 1, 4, 1, 3)), ConfigError);  // 3 does not divide 4
  EXPECT_THROW(RankGrid(layout(0, 1, 1, 1)), ConfigError);
  EXPECT_THROW(RankGrid(layout(1 << 16, 1, 1 << 16, 1)), ConfigError);  // beyond kMaxRanks
  Strategy s = layout(2, 1, 3, 1, 4);
  s.rank_order = "x";
  s.pp = -1;
  try {
    RankGrid grid(s);
    FAIL() << grid.world();
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.violations().size(), 2u) << error.what();
  }
}

// Of groups that others repeat, shifted by whole periods, one is left; which members share a period is the same.
TEST(RankGrid, GroupsApartAreAllWaysToLie) {
  const auto ways = [](const Groups& groups, int period) {
    std::set<std::vector<int>> distinct;
    for (std::vector<int> ranks : groups) {
      const int shift = ranks.front() / period * period;
      for (int& rank : ranks) rank -= shift;
      distinct.insert(ranks);
    }
    return distinct;
  };
  for (const char* order : {"tp-cp-ep-dp-pp", "tp-dp-cp-ep-pp", "pp-tp-cp-ep-dp", "tp-pp-cp-ep-dp"}) {
    for (int period : {4, 6, 8}) {
      Strategy s;
      s.tp = 2, s.cp = 2, s.dp = 6, s.pp = 4, s.ep = 4, s.etp = 2, s.zero = 3, s.dp_replicas = 3,
      s.reshard_after_forward = 2;
      s.cp_comm = ContextComm::A2AP2P, s.cp_a2a = 2, s.rank_order = order;
      const RankGrid grid(s);
      for (std::size_t a = 0; a < kAxisCount; ++a) {
        const Axis axis = static_cast<Axis>(a);
        const Groups all = grid.groups(axis), apart = grid.groups_apart(axis, period);
        EXPECT_EQ(ways(apart, period), ways(all, period)) << order << " " << name_of(axis) << " period " << period;
        EXPECT_LE(apart.size(), all.size());
        for (const std::vector<int>& group : apart) EXPECT_NE(std::find(all.begin(), all.end(), group), all.end());
      }
      EXPECT_EQ(grid.groups_apart(Axis::DP, 0), grid.groups(Axis::DP));
    }
  }
}

}  // namespace

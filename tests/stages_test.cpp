#include "parallel/stages.hpp"

#include <gtest/gtest.h>

#include <numeric>

namespace {

using namespace dts;

Strategy pipeline(int pp, int vpp = 1) {
  Strategy s;
  s.pp = pp, s.vpp = vpp;
  return s;
}

TEST(Stages, EvenDivision) {
  EXPECT_EQ(layers_per_virtual_stage(32, pipeline(4)), (std::vector<int>{8, 8, 8, 8}));
  EXPECT_EQ(layers_per_virtual_stage(32, pipeline(2, 2)), (std::vector<int>{8, 8, 8, 8}));
  EXPECT_EQ(layers_per_virtual_stage(5, pipeline(1)), (std::vector<int>{5}));
}

TEST(Stages, Llama405BHasFewerLayersAtBothEnds) {
  // Llama 3 (arXiv:2407.21783 §3.3.2): one layer less on the first and on the last stage.
  std::vector<int> expected(16, 8);
  expected.front() = expected.back() = 7;
  EXPECT_EQ(layers_per_virtual_stage(126, pipeline(16)), expected);
}

TEST(Stages, TheHeadsStageGivesWayFirst) {
  EXPECT_EQ(layers_per_virtual_stage(7, pipeline(4)), (std::vector<int>{2, 2, 2, 1}));
  EXPECT_EQ(layers_per_virtual_stage(6, pipeline(4)), (std::vector<int>{1, 2, 2, 1}));
  EXPECT_EQ(layers_per_virtual_stage(5, pipeline(4)), (std::vector<int>{1, 2, 1, 1}));
}

TEST(Stages, ExplicitCountsStand) {
  Strategy s = pipeline(3);
  s.layers_per_stage = {0, 5, 1};
  EXPECT_EQ(layers_per_virtual_stage(6, s), s.layers_per_stage);
}

TEST(Stages, EveryLayerOnceAndNoTwoStagesFarApart) {
  for (int layers = 1; layers <= 40; ++layers) {
    for (int pp = 1; pp <= layers; ++pp) {
      const std::vector<int> counts = layers_per_virtual_stage(layers, pipeline(pp));
      ASSERT_EQ(static_cast<int>(counts.size()), pp);
      EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), 0), layers);
      const auto [low, high] = std::minmax_element(counts.begin(), counts.end());
      EXPECT_LE(*high - *low, 1);
      EXPECT_GE(*low, 1);
      EXPECT_EQ(counts.back(), *low);  // the head's stage is never the larger
    }
  }
}

TEST(Stages, PartitionIsContiguousWithStemAndHeadAtTheEnds) {
  ModelSpec m;
  m.layers = {{{"a", {}}, 4}, {{"b", {}}, 3}};
  const std::vector<ChunkLayers> chunks = partition(m, pipeline(2, 2));
  ASSERT_EQ(chunks.size(), 4u);
  int next = 0;
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    EXPECT_EQ(chunks[i].first, next);
    next += chunks[i].count;
    EXPECT_EQ(chunks[i].has_stem, i == 0);
    EXPECT_EQ(chunks[i].has_head, i == 3);
  }
  EXPECT_EQ(next, 7);
}

}  // namespace

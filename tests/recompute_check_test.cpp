// What recomputation and stages of unlike size ask of a strategy: each rule refuses, and what keeps them passes.
#include "parallel/recompute_check.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <numeric>

#include "parallel/recompute_layers.hpp"
#include "parallel/stages.hpp"
#include "small_jobs.hpp"

namespace {

using namespace dts;

std::vector<Violation> problems(const Strategy& s) {
  const ModelSpec model = test::small_llama(8);
  Checker check;
  check_recompute(check, model, s);
  return check.violations();
}

Strategy selective(std::vector<RecomputeModule> modules) {
  Strategy s;
  s.recompute = Recompute::Selective;
  s.recompute_modules = std::move(modules);
  return s;
}

Strategy full(RecomputeMethod method, int layers) {
  Strategy s;
  s.recompute = Recompute::Full, s.recompute_method = method, s.recompute_layers = layers;
  return s;
}

TEST(RecomputeCheck, ModulesThatTheModelHasPass) {
  EXPECT_TRUE(
      problems(selective({RecomputeModule::CoreAttention, RecomputeModule::Mlp, RecomputeModule::LayerNorm})).empty());
  const auto moe = problems(selective({RecomputeModule::Moe, RecomputeModule::CoreAttention}));
  ASSERT_EQ(moe.size(), 1u);
  EXPECT_EQ(moe[0].got, "moe");
  EXPECT_NE(moe[0].expected.find("core_attn, mlp"), std::string::npos) << moe[0].expected;
}

TEST(RecomputeCheck, ModulesNeedSelectiveAndNoDelayedScaling) {
  Strategy s = selective({RecomputeModule::LayerNorm});
  s.recompute = Recompute::Full;
  EXPECT_EQ(problems(s).size(), 1u);
  s = selective({RecomputeModule::LayerNorm});
  s.precision = DType::FP8, s.fp8_recipe = Fp8Recipe::Delayed;
  EXPECT_EQ(problems(s).size(), 1u);
  s.fp8_recipe = Fp8Recipe::Tensorwise;
  EXPECT_TRUE(problems(s).empty());
}

TEST(RecomputeCheck, NumbersOfLayers) {
  EXPECT_TRUE(problems(full(RecomputeMethod::Block, 0)).empty());
  EXPECT_TRUE(problems(full(RecomputeMethod::Every, 3)).empty());
  EXPECT_EQ(problems(full(RecomputeMethod::Every, 0)).size(), 1u);
  EXPECT_EQ(problems(full(RecomputeMethod::Block, -2)).size(), 1u);
  Strategy s = full(RecomputeMethod::Block, 2);
  s.recompute = Recompute::None;
  EXPECT_EQ(problems(s).size(), 1u);
  s = full(RecomputeMethod::Uniform, 2);
  EXPECT_TRUE(problems(s).empty());
  s.zero = 3, s.offload_activations = 0.5;
  EXPECT_EQ(problems(s).size(), 2u);
}

TEST(RecomputeCheck, OffloadedModules) {
  Strategy s;
  s.offload_activations = 1;
  s.offload_modules = {OffloadModule::AttnProj};
  EXPECT_EQ(problems(s).size(), 1u);  // reads what core attention keeps
  s.offload_modules = {OffloadModule::AttnProj, OffloadModule::CoreAttention};
  EXPECT_TRUE(problems(s).empty());
  s.offload_modules = {OffloadModule::ExpertFc1};
  EXPECT_EQ(problems(s).size(), 1u);
  s.offload_modules = {OffloadModule::MlpNorm}, s.recompute = Recompute::Full;
  EXPECT_EQ(problems(s).size(), 1u);
}

std::vector<int> again(const Strategy& s) {
  const std::vector<char> layers = recomputed_layers(test::small_llama(8), s);
  return {layers.begin(), layers.end()};
}

TEST(RecomputeLayers, ByBlockOfAStageAndEveryNth) {
  Strategy s = full(RecomputeMethod::Block, 1);
  s.pp = 2, s.vpp = 2;  // stages of two layers
  EXPECT_EQ(again(s), (std::vector<int>{1, 0, 1, 0, 1, 0, 1, 0}));
  EXPECT_FALSE(recomputes_prediction(s));
  s = full(RecomputeMethod::Every, 3);
  s.pp = 2;
  EXPECT_EQ(again(s), (std::vector<int>{0, 0, 1, 0, 0, 0, 1, 0}));  // counted on each rank
  EXPECT_TRUE(recomputes_prediction(s));
  EXPECT_EQ(again(full(RecomputeMethod::Every, -1)), (std::vector<int>{0, 1, 0, 1, 0, 1, 0, 1}));
  EXPECT_EQ(again(full(RecomputeMethod::Uniform, 4)), std::vector<int>(8, 1));
  EXPECT_EQ(recompute_unit(full(RecomputeMethod::Uniform, 4)), 4);
}

// ---- stages
// ----------------------------------------------------------------------------------------------------------

std::vector<Violation> size_problems(const Strategy& s, int layers = 8) {
  Checker check;
  check_stage_sizes(check, layers, s);
  return check.violations();
}

TEST(StageSizes, EndsOfTheirOwnSize) {
  Strategy s;
  s.pp = 4, s.first_rank_layers = 1, s.last_rank_layers = 3;
  EXPECT_TRUE(size_problems(s).empty());
  EXPECT_EQ(layers_per_virtual_stage(8, s), (std::vector<int>{1, 2, 2, 3}));
  s.last_rank_layers = 2;  // five for two ranks
  EXPECT_EQ(size_problems(s).size(), 1u);
  s.pp = 2;  // none left to take the rest
  EXPECT_EQ(size_problems(s).size(), 1u);
  s.first_rank_layers = 6;
  EXPECT_TRUE(size_problems(s).empty());
  EXPECT_EQ(layers_per_virtual_stage(8, s), (std::vector<int>{6, 2}));
}

TEST(StageSizes, EndsCountedAsLayers) {
  Strategy s;
  s.pp = 2, s.vpp = 2, s.embedding_as_layer = true, s.loss_as_layer = true;
  EXPECT_TRUE(size_problems(s, 6).empty());
  EXPECT_EQ(layers_per_virtual_stage(6, s), (std::vector<int>{1, 2, 2, 1}));
  EXPECT_EQ(size_problems(s, 7).size(), 1u);
  EXPECT_FALSE(size_problems(s, 0).empty());
}

TEST(StageSizes, EachRule) {
  const std::vector<std::function<void(Strategy&)>> breaks = {
      [](Strategy& s) { s.first_rank_layers = -1; },
      [](Strategy& s) { s.layers_per_stage = {2, 2, 2, 2}; },
      [](Strategy& s) { s.loss_as_layer = true; },
      [](Strategy& s) { s.pp = 1; },
      [](Strategy& s) { s.schedule = PipelineSchedule::ZbV; },
  };
  for (std::size_t i = 0; i < breaks.size(); ++i) {
    Strategy s;
    s.pp = 4, s.first_rank_layers = 2;
    EXPECT_TRUE(size_problems(s).empty());
    breaks[i](s);
    EXPECT_FALSE(size_problems(s).empty()) << i;
  }
  Strategy s;
  s.pp = 4, s.vpp = 2, s.first_rank_layers = 1;
  EXPECT_FALSE(size_problems(s, 7).empty());  // an odd number for two chunks
}

}  // namespace

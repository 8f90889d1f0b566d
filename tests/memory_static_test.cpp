#include <gtest/gtest.h>

#include "error.hpp"
#include "in_flight.hpp"
#include "memory/static_bytes.hpp"

namespace {

using namespace dts;

TEST(StateRecipe, BytesPerParameterOfKnownRecipes) {
  const auto total = [](const StateRecipe& r) { return r.weight_bytes + r.gradient_bytes + r.optimizer_bytes; };
  StateFacts fp32_gradients, both, shards;
  fp32_gradients.gradients = GradientStorage::Fp32;
  both.gradients = GradientStorage::Both;
  shards.fp32_shards = true;
  EXPECT_EQ(total(state_recipe(DType::BF16, Optimizer::Adam)), 16);                  // 2 + 2 + 12
  EXPECT_EQ(total(state_recipe(DType::BF16, Optimizer::Adam, fp32_gradients)), 18);  // Megatron
  EXPECT_EQ(total(state_recipe(DType::BF16, Optimizer::Adam, both)), 20);            // DeepSpeed's BF16 optimizer
  EXPECT_EQ(total(state_recipe(DType::BF16, Optimizer::Adam, shards)), 16);          // FSDP2: fp32 shards, no master
  EXPECT_EQ(state_recipe(DType::BF16, Optimizer::Adam, shards).weight_bytes, 4);
  EXPECT_EQ(total(state_recipe(DType::FP32, Optimizer::Adam)), 16);  // 4 + 4 + 8
  EXPECT_EQ(total(state_recipe(DType::FP32, Optimizer::Momentum)), 12);
  EXPECT_EQ(total(state_recipe(DType::FP32, Optimizer::SGD)), 8);
  EXPECT_EQ(total(state_recipe(DType::FP64, Optimizer::Adam)), 32);
  EXPECT_EQ(total(state_recipe(DType::FP8, Optimizer::SGD)), 8);           // 2 + 2 + master 4
  EXPECT_EQ(total(state_recipe(DType::FP32, Optimizer::Adam, both)), 16);  // nothing to accumulate beside
}

TEST(StateBytes, ZeroStagesOfThePaper) {
  // Rajbhandari et al., arXiv:1910.02054, figure 1: 7.5 B parameters on 64 ranks: 120, 31.4, 16.6, 1.9 GB.
  const LocalParameters p{7.5e9, 0, 64, 1};
  const StateRecipe recipe = state_recipe(DType::FP16, Optimizer::Adam);
  EXPECT_DOUBLE_EQ(state_bytes(p, recipe, 0).total(), 120e9);
  EXPECT_NEAR(state_bytes(p, recipe, 1).total(), 31.4e9, 0.05e9);
  EXPECT_NEAR(state_bytes(p, recipe, 2).total(), 16.6e9, 0.05e9);
  EXPECT_NEAR(state_bytes(p, recipe, 3).total(), 1.9e9, 0.05e9);
}

TEST(StateBytes, ExpertsDivideByTheirOwnGroup) {
  const StateBytes s = state_bytes({1e9, 4e9, 8, 2}, state_recipe(DType::BF16, Optimizer::Adam), 1);
  EXPECT_DOUBLE_EQ(s.weights, 10e9);
  EXPECT_DOUBLE_EQ(s.optimizer, 12e9 / 8 + 48e9 / 2);
}

TEST(StateBytes, BucketsOnlyWithDataParallelism) {
  StateFacts nanotron;
  nanotron.gradients = GradientStorage::Fp32;
  nanotron.dp_buckets = true;
  const StateRecipe recipe = state_recipe(DType::BF16, Optimizer::Adam, nanotron);
  EXPECT_DOUBLE_EQ(state_bytes({1e9, 0, 1, 1}, recipe, 0).total(), 18e9);
  EXPECT_DOUBLE_EQ(state_bytes({1e9, 0, 4, 1}, recipe, 0).total(), 20e9);
  EXPECT_DOUBLE_EQ(state_bytes({1e9, 0, 4, 1}, recipe, 1).total(), 11e9);  // 2 + 4 + 12/4 + 2
}

TEST(StateBytes, BadInputNamesEachField) {
  try {
    state_bytes({-1, 0, 0, 1}, {}, 4);
    FAIL() << "did not throw";
  } catch (const ConfigError& e) {
    EXPECT_EQ(e.violations().size(), 3u);
  }
}

TEST(InFlight, TextbookSchedules) {
  const auto one = PipelineSchedule::OneFOneB;
  for (int stage = 0; stage < 4; ++stage) {
    EXPECT_EQ(chunks_in_flight(PipelineSchedule::GPipe, 4, 1, stage, 16), 16);
    EXPECT_EQ(chunks_in_flight(one, 4, 1, stage, 16), 4 - stage);
    EXPECT_EQ(chunks_in_flight(one, 4, 1, stage, 2), std::min(4 - stage, 2));
  }
  // Interleaved, p 4, v 2: 2 (3 - r) + 4 + 1 chunks of half a stage: 11 on the first, 5 on the last.
  EXPECT_EQ(chunks_in_flight(one, 4, 2, 0, 16), 11);
  EXPECT_EQ(chunks_in_flight(one, 4, 2, 3, 16), 5);
  EXPECT_EQ(chunks_in_flight(one, 4, 2, 0, 16, 8), 15);
  EXPECT_EQ(chunks_in_flight(one, 4, 2, 0, 4), 8);  // never more than there are
  EXPECT_THROW(chunks_in_flight(one, 4, 1, 4, 16), ConfigError);
  EXPECT_THROW(chunks_in_flight(one, 0, 0, 0, 0), ConfigError);
}

}  // namespace

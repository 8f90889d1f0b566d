#include "pricing/recompute.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "memory_blocks.hpp"

namespace {

using namespace dts;

std::map<std::string, double> shares(const std::vector<Op>& ops, Recompute what, SelectiveRule rule) {
  FrameworkProfile profile;
  profile.selective = rule;
  const Block block{"b", ops};
  const std::vector<double> list = recomputed_shares(block, what, {}, profile);
  std::map<std::string, double> named;
  for (std::size_t i = 0; i < ops.size(); ++i) named[ops[i].name] = list.at(i);
  return named;
}

const std::vector<Op> kLlama = test::llama_layer(4096, 32, 8, 128, 14336);

TEST(Recompute, NoneAndFull) {
  for (SelectiveRule rule :
       {SelectiveRule::CoreAttention, SelectiveRule::AlternateMatmuls, SelectiveRule::AllButAttention}) {
    for (const auto& [name, share] : shares(kLlama, Recompute::None, rule)) EXPECT_EQ(share, 0) << name;
    for (const auto& [name, share] : shares(kLlama, Recompute::Full, rule)) EXPECT_EQ(share, 1) << name;
  }
}

TEST(Recompute, StopsBeforeTheLastMatmul) {
  FrameworkProfile profile;
  profile.recompute_stops_early = true;
  const auto again = [&](const std::vector<Op>& ops) {
    const std::vector<double> list = recomputed_shares({"b", ops}, Recompute::Full, {}, profile);
    std::map<std::string, double> named;
    for (std::size_t i = 0; i < ops.size(); ++i) named[ops[i].name] = list.at(i);
    return named;
  };
  for (const auto& [name, share] : again(kLlama)) EXPECT_EQ(share, name == "fc2" || name == "add2" ? 0 : 1) << name;
  // The weighted sum of experts keeps their outputs, so all of it runs again.
  for (const auto& [name, share] : again(test::moe_feed_forward(64, 128, 8, 2))) EXPECT_EQ(share, 1) << name;
}

TEST(Recompute, MegatronRunsCoreAttentionAgain) {
  for (const auto& [name, share] : shares(kLlama, Recompute::Selective, SelectiveRule::CoreAttention)) {
    EXPECT_EQ(share, name == "attention" ? 1 : 0) << name;
  }
}

TEST(Recompute, TorchtitanRunsEverySecondMatmulAgain) {
  // Its seven matmuls are q, k, v, o, gate, up, down: numbers 1, 3 and 5 (k, o, up) run again, of the fused projections
  // only that part; norms, rope, activation and adds all; attention is kept.
  const auto share = shares(kLlama, Recompute::Selective, SelectiveRule::AlternateMatmuls);
  EXPECT_DOUBLE_EQ(share.at("qkv"), 1024.0 / 6144);
  EXPECT_EQ(share.at("proj"), 1);
  EXPECT_DOUBLE_EQ(share.at("fc1"), 0.5);
  EXPECT_EQ(share.at("fc2"), 0);
  EXPECT_EQ(share.at("attention"), 0);
  for (const char* name : {"norm1", "norm2", "rope", "swiglu", "add1", "add2"}) EXPECT_EQ(share.at(name), 1) << name;
}

TEST(Recompute, MaxTextKeepsAttentionAndWhatItReads) {
  for (const auto& [name, share] : shares(kLlama, Recompute::Selective, SelectiveRule::AllButAttention)) {
    EXPECT_EQ(share, name == "attention" || name == "qkv" ? 0 : 1) << name;
  }
}

TEST(Recompute, CollectivesAndExpertsAreKeptByTheListRule) {
  const auto share =
      shares(test::moe_feed_forward(64, 128, 8, 2), Recompute::Selective, SelectiveRule::AlternateMatmuls);
  for (const char* name : {"dispatch", "combine", "fc1", "fc2"}) EXPECT_EQ(share.at(name), 0) << name;
  EXPECT_EQ(share.at("norm"), 1);
}

TEST(Recompute, AnUngatedMlpCountsItsMatmulsWhole) {
  // qkv fused (three matmuls), proj, fc1, fc2: indices q0 k1 v2 proj3 fc1 4 fc2 5.
  const auto share = shares(test::gpt_layer(256, 8), Recompute::Selective, SelectiveRule::AlternateMatmuls);
  EXPECT_DOUBLE_EQ(share.at("qkv"), 1.0 / 3);
  EXPECT_EQ(share.at("proj"), 1);
  EXPECT_EQ(share.at("fc1"), 0);
  EXPECT_EQ(share.at("fc2"), 1);
}

}  // namespace

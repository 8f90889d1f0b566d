// How a framework lays a model on tensor-parallel ranks.
#include "parallel/placed_model.hpp"

#include <gtest/gtest.h>

namespace dts {
namespace {

Op op(const char* name, OpKind kind, Sharding sharding, double in, double out) {
  Op made;
  made.name = name, made.kind = kind, made.sharding = sharding, made.in_features = in, made.out_features = out;
  return made;
}

ModelSpec grouped(double kv_heads) {
  const double q = 16 * 64, k = kv_heads * 64;
  Op attention = op("attention", OpKind::Attention, Sharding::Heads, q + 2 * k, q);
  attention.heads = 16, attention.kv_heads = kv_heads, attention.qk_head_dim = attention.v_head_dim = 64;
  Op norm = op("k_norm", OpKind::Norm, Sharding::Heads, k, k);
  norm.norm_groups = kv_heads;
  ModelSpec model;
  model.stem.ops = {op("tokens", OpKind::Embedding, Sharding::Vocab, 50257, 1024)};
  model.layers = {{{"layer",
                    {op("qkv", OpKind::Matmul, Sharding::Column, 1024, q + 2 * k), norm,
                     op("rope", OpKind::Elementwise, Sharding::Heads, q + k, q + k), attention}},
                   2}};
  model.head.ops = {op("lm_head", OpKind::Matmul, Sharding::Column, 1024, 50257),
                    op("loss", OpKind::CrossEntropy, Sharding::Heads, 50257, 1)};
  return model;
}

ModelSpec placed(int tp, KvHeads way, double multiple = 1, double kv_heads = 2) {
  Strategy s;
  s.tp = tp;
  FrameworkProfile profile;
  profile.kv_heads_below_tp = way, profile.vocabulary_multiple = multiple;
  return placed_model(grouped(kv_heads), s, profile);
}

TEST(PlacedModel, PadsTableLogitsAndLoss) {
  const ModelSpec m = placed(8, KvHeads::Refuse, 128);
  EXPECT_EQ(m.stem.ops[0].in_features, 51200);
  EXPECT_EQ(m.head.ops[0].out_features, 51200);
  EXPECT_EQ(m.head.ops[1].in_features, 51200);
  EXPECT_EQ(placed(1, KvHeads::Refuse).head.ops[0].out_features, 50257);
}

TEST(PlacedModel, ReplicatedHeadsWidenWhatMakesThem) {
  const std::vector<Op> ops = placed(8, KvHeads::Replicate).layers[0].block.ops;
  EXPECT_EQ(ops[0].out_features, 16 * 64 + 2 * 8 * 64);
  EXPECT_EQ(ops[1].in_features, 8 * 64);
  EXPECT_EQ(parameter_count(ops[1]), 64);  // one gain, shared by the copies
  EXPECT_EQ(ops[2].in_features, 24 * 64);
  EXPECT_EQ(ops[3].kv_heads, 8);
}

TEST(PlacedModel, GatheredHeadsLeaveTheProjectionAlone) {
  const std::vector<Op> ops = placed(8, KvHeads::Gather).layers[0].block.ops;
  EXPECT_EQ(ops[0].out_features, 16 * 64 + 2 * 2 * 64);
  EXPECT_TRUE(ops[0].gathers_output);
  EXPECT_EQ(ops[3].kv_heads, 8);
}

TEST(PlacedModel, EnoughHeadsAreLeftAlone) {
  for (const KvHeads way : {KvHeads::Refuse, KvHeads::Replicate, KvHeads::Gather}) {
    const std::vector<Op> ops = placed(2, way).layers[0].block.ops;
    EXPECT_EQ(ops[3].kv_heads, 2);
    EXPECT_FALSE(ops[0].gathers_output);
  }
  EXPECT_EQ(placed(8, KvHeads::Refuse).layers[0].block.ops[3].kv_heads, 2);
  EXPECT_EQ(placed(8, KvHeads::Replicate, 1, 3).layers[0].block.ops[3].kv_heads, 3);  // 8 is no multiple of 3
}

}  // namespace
}  // namespace dts

#include "parallel/recompute_modules.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "memory/recompute_bytes.hpp"
#include "memory/unit_tapes.hpp"
#include "memory_blocks.hpp"

namespace {

using namespace dts;
using namespace dts::test;
using Module = RecomputeModule;

constexpr double kH = 256, kF = 512, kTokens = 64;
const std::vector<Op> kLlama = llama_layer(kH, 8, 2, 32, kF);
const std::vector<Op> kMoe = moe_feed_forward(kH, 128, 8, 2);

// Latent attention, as models/parts.py writes it.
std::vector<Op> latent() {
  const auto reads = [](Op op, const char* input) { return op.input = input, op; };
  Op attention = make_attention(8, 8, 32);
  attention.qk_head_dim = 48;
  return {make_norm("norm1", kH, false),
          make_op(OpKind::Matmul, "q_down", kH, 64, Sharding::Sequence),
          make_norm("q_norm", 64, false),
          make_op(OpKind::Matmul, "q_up", 64, 8 * 48, Sharding::Column),
          reads(make_op(OpKind::Matmul, "kv_down", kH, 40, Sharding::Sequence), "norm1"),
          make_norm("kv_norm", 32, false),
          make_op(OpKind::Matmul, "kv_up", 32, 8 * 64, Sharding::Column),
          make_op(OpKind::Elementwise, "rope", 2 * 8 * 48, 2 * 8 * 48, Sharding::Heads, false),
          attention,
          make_op(OpKind::Matmul, "proj", kH, kH, Sharding::Row),
          make_op(OpKind::Elementwise, "add1", kH, kH, Sharding::Sequence, false)};
}

std::set<std::string> names(const std::vector<Op>& ops, Module module) {
  std::set<std::string> found;
  for (const RecomputeRegion& region : recompute_regions(ops, {module})) {
    for (std::size_t i = 0; i < ops.size(); ++i) {
      if (region.ops[i]) found.insert(ops[i].name);
    }
  }
  return found;
}

using Names = std::set<std::string>;

TEST(RecomputeModules, AreFoundByWhatOpsDo) {
  EXPECT_EQ(names(kLlama, Module::CoreAttention), Names{"attention"});
  EXPECT_EQ(names(kLlama, Module::LayerNorm), (Names{"norm1", "norm2"}));
  EXPECT_EQ(names(kLlama, Module::Mlp), (Names{"fc1", "swiglu", "fc2"}));
  EXPECT_EQ(names(kLlama, Module::Moe), Names{});
  EXPECT_EQ(names(kLlama, Module::MlaUpProjection), Names{});
  EXPECT_EQ(names(latent(), Module::MlaUpProjection), (Names{"q_up", "kv_up", "rope"}));
  EXPECT_EQ(names(latent(), Module::LayerNorm), Names{"norm1"});  // not those of compressed queries and keys
  EXPECT_EQ(names(kMoe, Module::Mlp), Names{});
}

TEST(RecomputeModules, ExpertsWithAndWithoutSharedOnes) {
  const Names routed = names(kMoe, Module::Moe);
  EXPECT_TRUE(routed.count("router") && routed.count("dispatch") && routed.count("combine"));
  EXPECT_EQ(names(kMoe, Module::MoeActivation).size(), 1u);
  EXPECT_EQ(names(kMoe, Module::SharedExperts), Names{});
  std::vector<Op> shared = kMoe;
  shared.resize(static_cast<std::size_t>(std::find_if(shared.begin(), shared.end(),
                                                      [](const Op& op) { return op.kind == OpKind::Combine; }) -
                                         shared.begin()) +
                1);
  Op up = make_op(OpKind::Matmul, "shared_up", kH, 2 * kF, Sharding::Column);
  up.input = shared.front().name;
  shared.insert(shared.end(), {up, make_op(OpKind::Activation, "shared_act", 2 * kF, kF, Sharding::Heads),
                               make_op(OpKind::Matmul, "shared_down", kF, kH, Sharding::Row),
                               make_op(OpKind::Elementwise, "shared_add", kH, kH, Sharding::Sequence, false),
                               make_op(OpKind::Elementwise, "add", kH, kH, Sharding::Sequence, false)});
  EXPECT_EQ(names(shared, Module::SharedExperts), (Names{"shared_up", "shared_act", "shared_down"}));
  const Names all = names(shared, Module::Moe);
  EXPECT_TRUE(all.count("shared_add") && all.count("router") && !all.count("add"));
}

double kept(const std::vector<Op>& ops, const SavedContext& c, std::vector<Module> modules) {
  return kept_bytes(ops, c, Recompute::Selective, false, modules).kept;
}

// Bytes per token that a module gives up, in bf16: by hand from the table of docs/guide/memory.md.
TEST(RecomputeModules, GiveUpWhatTheyMake) {
  const SavedContext c;
  const double all = saved_bytes_per_token(kLlama, c);
  EXPECT_DOUBLE_EQ(all - kept(kLlama, c, {Module::Mlp}),
                   2 * 2 * kF + 2 * kF);  // fc1's output, the product; its input stays
  EXPECT_DOUBLE_EQ(all - kept(kLlama, c, {Module::LayerNorm}), 2 * (2 * kH + 4));  // both norms' output and 1/sigma
  EXPECT_DOUBLE_EQ(all - kept(kLlama, c, {Module::CoreAttention}), 4 * 8);         // the log-sum-exp alone
  const std::vector<Op> mla = latent();
  const double heads = 8;  // q and k of 48, v of 32; what compression and its norms keep stays
  EXPECT_DOUBLE_EQ(saved_bytes_per_token(mla, c) - kept(mla, c, {Module::MlaUpProjection}), 2 * heads * (48 + 48 + 32));
}

TEST(RecomputeModules, AModuleWhoseInputWasCastKeepsItUncast) {
  SavedContext c;
  c.matmul_input_bytes = 1;
  const double all = saved_bytes_per_token(kLlama, c), rest = kept(kLlama, c, {Module::Mlp});
  EXPECT_DOUBLE_EQ(all - rest,
                   2 * 2 * kF + kF - kH);  // fc1's output in 16 bits, the product in 8; the input grows by 1 byte
}

void run(const std::vector<TapeEvent>& events, std::map<int, int>& live) {
  for (const TapeEvent& e : events) {
    ASSERT_EQ(live[e.tensor], e.frees ? 1 : 0);
    live[e.tensor] += e.frees ? -1 : 1;
  }
}

double held(const BlockTape& tape, const std::map<int, int>& live) {
  double bytes = 0;
  for (const auto& [tensor, count] : live) bytes += count * tape.tensors[static_cast<std::size_t>(tensor)].bytes;
  return bytes;
}

double peak(const BlockTape& tape, const std::vector<TapeEvent>& events) {
  double now = 0, most = 0;
  for (const TapeEvent& e : events) {
    now += (e.frees ? -1 : 1) * tape.tensors[static_cast<std::size_t>(e.tensor)].bytes;
    most = std::max(most, now);
  }
  return most;
}

const std::vector<std::vector<Module>> kChoices = {{Module::CoreAttention},
                                                   {Module::Mlp},
                                                   {Module::LayerNorm},
                                                   {Module::Moe},
                                                   {Module::MoeActivation},
                                                   {Module::MlaUpProjection},
                                                   {Module::LayerNorm, Module::Mlp},
                                                   {Module::Moe, Module::LayerNorm, Module::MoeActivation},
                                                   {Module::CoreAttention, Module::LayerNorm, Module::Mlp}};

TEST(RecomputeModules, EveryAllocationOfATapeIsFreed) {
  SavedContext plain, split, narrow;
  split.tp = 2, split.sequence_parallel = true, split.flash_attention = false;
  narrow.matmul_input_bytes = 1;
  for (const std::vector<Op>& ops : {kLlama, kMoe, latent(), gpt_layer(kH, 8)}) {
    for (const SavedContext& c : {plain, split, narrow}) {
      for (const std::vector<Module>& modules : kChoices) {
        for (double on_host : {0.0, 0.5}) {
          TapeRules rules;
          rules.tokens = kTokens, rules.recompute = Recompute::Selective, rules.modules = modules,
          rules.on_host = on_host;
          const BlockTape tape = block_tape(ops, c, rules);
          std::map<int, int> live;
          run(tape.forward, live);
          EXPECT_NEAR(held(tape, live), (1 - on_host) * kTokens * kept(ops, c, modules), 16);
          run(tape.backward, live);
          EXPECT_EQ(held(tape, live), 0);
          live.clear();
          run(tape.forward, live), run(tape.input_grad, live), run(tape.weight_grad, live);
          EXPECT_EQ(held(tape, live), 0);
        }
      }
    }
  }
}

// Two blocks from one input: the second keeps nothing between the passes, and its backward rebuilds both.
TEST(UnitTapes, KeepOneInputAndRebuildAll) {
  const Block block{"layer", kLlama};
  SavedContext c;
  TapeRules rules;
  rules.tokens = kTokens, rules.recompute = Recompute::Full;
  const std::vector<BlockTape> unit = unit_tapes({&block, &block}, {c, c}, rules);
  const BlockTape single = block_tape(kLlama, c, rules);
  std::map<int, int> first, second;
  run(unit[0].forward, first), run(unit[1].forward, second);
  EXPECT_EQ(held(unit[0], first), 2 * kH * kTokens);
  EXPECT_EQ(held(unit[1], second), 0);
  run(unit[1].backward, second), run(unit[0].backward, first);
  EXPECT_EQ(held(unit[0], first) + held(unit[1], second), 0);
  const double one_layer = saved_bytes_per_token(kLlama, c) * kTokens;
  EXPECT_NEAR(peak(unit[1], unit[1].backward) - peak(single, single.backward), one_layer, 0.02 * one_layer);
  EXPECT_EQ(unit_tapes({&block}, {c}, rules)[0].tensors.size(), single.tensors.size());
}

}  // namespace

#include <gtest/gtest.h>

#include <map>

#include "error.hpp"
#include "memory/activation_layout.hpp"
#include "memory/recompute_bytes.hpp"
#include "memory/saved_bytes.hpp"
#include "memory_blocks.hpp"

namespace {

using namespace dts;
using namespace dts::test;

// GPT-3: s 2048, h 12288, a 96 (Korthikanti et al., arXiv:2205.05198, §4): s*b*h*(34 + 5as/h) = 34 h + 5 a s per token.
constexpr double kSeq = 2048, kHidden = 12288, kHeads = 96;
constexpr double kStatistics = 2 * 8;  // two LayerNorms, fp32 mean and 1/sigma: the paper leaves them out

SavedContext unfused(int tp, bool sequence_parallel) {
  SavedContext c;
  c.seq_len = kSeq;
  c.tp = tp;
  c.sequence_parallel = sequence_parallel;
  c.flash_attention = false;
  c.attention_dropout = true;
  return c;
}

std::map<std::string, double> by_tensor(const std::vector<Op>& ops, const SavedContext& c) {
  std::map<std::string, double> bytes;
  for (const SavedTensor& t : saved_tensors(ops, c)) bytes[t.op + "/" + t.tensor] += t.bytes_per_token;
  return bytes;
}

TEST(SavedBytes, GptLayerIsThe34PlusScoresOfThePaper) {
  const auto layer = gpt_layer(kHidden, kHeads);
  const double scores = 5 * kHeads * kSeq;
  EXPECT_DOUBLE_EQ(saved_bytes_per_token(layer, unfused(1, false)), 34 * kHidden + scores + kStatistics);
  // Tensor parallelism: h (10 + 24/t) + 5as/t; with sequence parallelism everything is divided.
  EXPECT_DOUBLE_EQ(saved_bytes_per_token(layer, unfused(8, false)),
                   (10 + 24.0 / 8) * kHidden + scores / 8 + kStatistics);
  EXPECT_DOUBLE_EQ(saved_bytes_per_token(layer, unfused(8, true)), (34 * kHidden + scores + kStatistics) / 8);
}

TEST(SavedBytes, WidthsOfWhatOpsHandOn) {
  // Per token: scores of 8 experts, one head of 16, 100 logits; a loss is one number for the whole micro-batch.
  Op attention = make_op(OpKind::Attention, "attention", 48, 16, Sharding::Heads);
  attention.heads = attention.kv_heads = 1, attention.qk_head_dim = attention.v_head_dim = 16;
  Op router = make_op(OpKind::Router, "router", 16, 0, Sharding::Sequence);
  router.experts = 8;
  const std::vector<Op> ops{attention, router, make_op(OpKind::Matmul, "logits", 16, 100, Sharding::Column),
                            make_op(OpKind::CrossEntropy, "loss", 100, 0, Sharding::Vocab)};
  const std::vector<OpLayout> layouts = layouts_of(ops, unfused(1, false));
  const double widths[] = {16, 8, 100, 0};
  for (std::size_t i = 0; i < ops.size(); ++i) EXPECT_EQ(layouts[i].output_elements, widths[i]) << ops[i].name;
}

TEST(SavedBytes, GptLayerTensorByTensor) {
  const auto bytes = by_tensor(gpt_layer(kHidden, kHeads), unfused(1, false));
  EXPECT_EQ(bytes.at("norm1/block input"), 2 * kHidden);
  EXPECT_EQ(bytes.at("norm1/statistics"), 8);
  EXPECT_EQ(bytes.at("qkv/norm1 output"), 2 * kHidden);
  for (const char* input : {"attention/q", "attention/k", "attention/v"}) EXPECT_EQ(bytes.at(input), 2 * kHidden);
  EXPECT_EQ(bytes.at("attention/softmax"), 2 * kHeads * kSeq);
  EXPECT_EQ(bytes.at("attention/dropout mask"), kHeads * kSeq);
  EXPECT_EQ(bytes.at("attention/dropped scores"), 2 * kHeads * kSeq);
  EXPECT_EQ(bytes.at("proj/attention output"), 2 * kHidden);
  EXPECT_EQ(bytes.at("dropout1/statistics"), kHidden);
  EXPECT_EQ(bytes.at("gelu/fc1 output"), 8 * kHidden);
  EXPECT_EQ(bytes.at("fc2/gelu output"), 8 * kHidden);
  EXPECT_EQ(bytes.count("add1/dropout1 output"), 0u);
}

TEST(SavedBytes, WithoutDropoutOnlyTheSoftmaxStays) {
  SavedContext c = unfused(1, false);
  c.attention_dropout = c.hidden_dropout = false;
  EXPECT_DOUBLE_EQ(saved_bytes_per_token(gpt_layer(kHidden, kHeads), c),
                   32 * kHidden + 2 * kHeads * kSeq + kStatistics);
}

TEST(SavedBytes, Llama8BLayerByHand) {
  SavedContext c;
  c.seq_len = 8192;
  const auto layer = llama_layer(4096, 32, 8, 128, 14336);
  // norm input 8192 + 4, norm output 8192, q/k/v 2*6144, output 8192, lse 4*32, norm 8192 + 4, its output 8192,
  // fc1 output 2*28672, product 2*14336.
  EXPECT_DOUBLE_EQ(saved_bytes_per_token(layer, c), 5 * 8192 + 8 + 12288 + 128 + 57344 + 28672);
  c.tp = 8;
  c.sequence_parallel = true;
  EXPECT_DOUBLE_EQ(saved_bytes_per_token(layer, c), (5 * 8192 + 8 + 12288 + 128 + 57344 + 28672) / 8.0);
  c.keep_gathered_input = true;  // two norm outputs are kept whole instead of an eighth
  EXPECT_DOUBLE_EQ(saved_bytes_per_token(layer, c), (3 * 8192 + 8 + 12288 + 128 + 57344 + 28672) / 8.0 + 2 * 8192);
}

TEST(SavedBytes, KernelFactsChangeTheTensorsTheyName) {
  const auto layer = llama_layer(4096, 32, 8, 128, 14336);
  SavedContext c;
  const double base = saved_bytes_per_token(layer, c);
  c.eager_norm = true;  // two fp32 copies for the 16-bit input, twice
  EXPECT_DOUBLE_EQ(saved_bytes_per_token(layer, c), base + 2 * (8 - 2) * 4096);
  c.eager_norm = false;
  c.eager_gate = true;
  EXPECT_DOUBLE_EQ(saved_bytes_per_token(layer, c), base + 2 * 14336);
  c.eager_gate = false;
  c.attention_output_copy = true;
  EXPECT_DOUBLE_EQ(saved_bytes_per_token(layer, c), base + 2 * 4096);
  c.attention_output_copy = false;
  c.packed_attention = true;  // grouped heads: q has a copy of its own
  EXPECT_DOUBLE_EQ(saved_bytes_per_token(layer, c), base);
  const auto alike = llama_layer(4096, 32, 32, 128, 14336);
  const double packed = saved_bytes_per_token(alike, c);
  c.packed_attention = false;  // q, k, v beside a copy of k and v
  EXPECT_DOUBLE_EQ(packed, saved_bytes_per_token(alike, c) + 2 * 2 * 4096);
  c.matmul_input_bytes = 1;  // casts of two norm outputs, attention output, product; attention keeps its own output
  EXPECT_DOUBLE_EQ(saved_bytes_per_token(layer, c), base - 2 * 4096 + 4096 - 14336);
}

TEST(SavedBytes, SharedOutputIsCountedOnce) {
  auto ops = llama_layer(4096, 32, 8, 128, 14336);
  const double fused = saved_bytes_per_token(ops, {});
  // q, k and v as three matmuls of one norm output.
  Op q = ops[1], kv = ops[1];
  q.name = "q", q.out_features = 4096;
  kv.name = "kv", kv.out_features = 2048, kv.input = "norm1";
  ops[1] = kv;
  ops.insert(ops.begin() + 1, q);
  EXPECT_DOUBLE_EQ(saved_bytes_per_token(ops, {}), fused);
}

TEST(SavedBytes, FrozenMatmulKeepsNoInputButAttentionKeepsItsOutput) {
  auto ops = llama_layer(4096, 32, 8, 128, 14336);
  const double all = saved_bytes_per_token(ops, {});
  for (Op& op : ops) op.trainable = false;
  // Norm outputs and the product are free; attention still needs its own output.
  EXPECT_DOUBLE_EQ(saved_bytes_per_token(ops, {}), all - 2 * 8192 - 28672);
}

TEST(SavedBytes, ParallelBranchesReadTheBlockInput) {
  auto ops = gpt_layer(1024, 16);
  const double serial = saved_bytes_per_token(ops, {});
  ops[6].input = "block";  // GPT-J: both norms read the block's input, which is kept once
  EXPECT_DOUBLE_EQ(saved_bytes_per_token(ops, {}), serial - 2 * 1024);
  ops[6].input = "nowhere";
  EXPECT_THROW(saved_bytes_per_token(ops, {}), ConfigError);
}

TEST(SavedBytes, ExpertsHoldTopKRowsPerToken) {
  SavedContext c;
  const auto ops = moe_feed_forward(5120, 1536, 160, 6);
  // norm 2h + 4, its output 2h (router), 9 B per expert; per routed row h + 2m + m elements.
  const double dense = 2 * 5120 + 4 + 2 * 5120 + 9 * 160;
  EXPECT_DOUBLE_EQ(saved_bytes_per_token(ops, c), dense + 6 * 2 * (5120 + 3 * 1536));
  c.tp = 4, c.etp = 4, c.sequence_parallel = true;  // rows gathered over etp, expert features split
  EXPECT_DOUBLE_EQ(saved_bytes_per_token(ops, c), dense / 4 + 6 * 2 * (5120 + 3 * 1536 / 4.0));
  c.etp = 1;
  EXPECT_DOUBLE_EQ(saved_bytes_per_token(ops, c), dense / 4 + 6 * 2 * (5120 + 3 * 1536) / 4.0);
  c.routed_load = 1.5;
  EXPECT_DOUBLE_EQ(saved_bytes_per_token(ops, c), dense / 4 + 1.5 * 6 * 2 * (5120 + 3 * 1536) / 4.0);
}

TEST(SavedBytes, RoutingWeightsAppliedAfterReturnKeepTheReturnedRows) {
  SavedContext c;
  c.tp = 4, c.etp = 4, c.sequence_parallel = true;
  auto ops = moe_feed_forward(5120, 1536, 160, 6);
  const double fused = saved_bytes_per_token(ops, c);
  ops.back().saves_input = true;
  EXPECT_DOUBLE_EQ(saved_bytes_per_token(ops, c), fused + 6 * 2 * 5120 / 4.0);
}

TEST(SavedBytes, StatedBytesReplaceImpliedStatistics) {
  auto ops = gpt_layer(1024, 16);
  const double implied = saved_bytes_per_token(ops, {});
  ops[0].saved_bytes_per_row = 8;  // what a LayerNorm keeps anyway
  ops[2].saved_bytes_per_row = 4 * 16;
  ops[4].saved_bytes_per_row = 1024;
  EXPECT_DOUBLE_EQ(saved_bytes_per_token(ops, {}), implied);
  ops[0].saved_bytes_per_row = 108;
  EXPECT_DOUBLE_EQ(saved_bytes_per_token(ops, {}), implied + 100);
}

TEST(SavedBytes, ConvolutionAndCustomOps) {
  Op conv = make_op(OpKind::Conv2d, "conv", 3, 64, Sharding::Replicated);
  conv.rows = Rows::Samples;
  conv.input_positions = 224 * 224, conv.output_positions = 112 * 112, conv.kernel_area = 49;
  Op relu = make_op(OpKind::Activation, "relu", 64 * 112 * 112, 64 * 112 * 112, Sharding::Replicated);
  relu.rows = Rows::Samples;
  Op custom = make_op(OpKind::Custom, "custom", 0, 0, Sharding::Replicated);
  custom.rows = Rows::Samples, custom.saved_bytes_per_row = 77;
  EXPECT_DOUBLE_EQ(saved_bytes_per_token({conv, relu, custom}, {}), 2 * 3 * 224 * 224 + 2 * 64 * 112 * 112 * 2 + 77);
}

TEST(SavedBytes, EmbeddingKeepsIds) {
  SavedContext c;
  c.tp = 8, c.sequence_parallel = true;
  const auto table = make_op(OpKind::Embedding, "embedding", 50304, 1024, Sharding::Vocab, false);
  EXPECT_DOUBLE_EQ(saved_bytes_per_token({table}, c), 8);
}

TEST(SavedBytes, IllegalContextNamesEveryField) {
  SavedContext c;
  c.tp = 0, c.seq_len = 0;
  try {
    saved_bytes_per_token(gpt_layer(64, 4), c);
    FAIL() << "did not throw";
  } catch (const ConfigError& e) {
    EXPECT_EQ(e.violations().size(), 2u);
  }
  EXPECT_EQ(saved_bytes_per_token({}, {}), 0);
  EXPECT_EQ(block_input_bytes_per_token({}, {}), 0);
}

TEST(Recompute, SelectiveDropsTheScoresAndFullKeepsTheInput) {
  const auto layer = gpt_layer(kHidden, kHeads);
  const SavedContext c = unfused(8, true);
  const KeptBytes selective = kept_bytes(layer, c, Recompute::Selective);
  EXPECT_DOUBLE_EQ(selective.kept, (34 * kHidden + kStatistics) / 8);
  EXPECT_DOUBLE_EQ(selective.recomputed, 5 * kHeads * kSeq / 8);
  const KeptBytes full = kept_bytes(layer, c, Recompute::Full);
  EXPECT_DOUBLE_EQ(full.kept, 2 * kHidden / 8);
  EXPECT_DOUBLE_EQ(full.kept + full.recomputed, saved_bytes_per_token(layer, c));
  const KeptBytes none = kept_bytes(layer, c, Recompute::None);
  EXPECT_DOUBLE_EQ(none.kept, saved_bytes_per_token(layer, c));
  EXPECT_EQ(none.recomputed, 0);
}

TEST(Recompute, SelectiveDropsTheLogSumExpOfFlashAttention) {
  const auto layer = gpt_layer(kHidden, kHeads);
  EXPECT_DOUBLE_EQ(kept_bytes(layer, {}, Recompute::Selective).kept, saved_bytes_per_token(layer, {}) - 4 * kHeads);
  EXPECT_EQ(kept_bytes(layer, {}, Recompute::Selective).recomputed, 4 * kHeads);
}

TEST(Recompute, PartitionedBlockInputIsGatheredAgain) {
  const auto layer = gpt_layer(kHidden, kHeads);
  const KeptBytes whole = kept_bytes(layer, unfused(8, false), Recompute::Full);
  const KeptBytes split = kept_bytes(layer, unfused(8, false), Recompute::Full, true);
  EXPECT_DOUBLE_EQ(split.kept, whole.kept / 8);
  EXPECT_DOUBLE_EQ(split.recomputed, whole.recomputed + 2 * kHidden);
}

TEST(Recompute, KeptOutputsOfEverySecondMatmul) {
  // torchtitan's rule on a Llama layer with separate matmuls: 2 (h + h + kv + h + f) + 4 a, and w2's output in eager.
  const double h = 4096, kv = 1024, f = 14336;
  auto layer = llama_layer(h, 32, 8, 128, f);
  std::vector<double> shares(layer.size(), 1);
  shares[1] = kv / (h + 2 * kv);  // wq and wv kept, wk run again
  shares[3] = 0;                  // attention
  shares[7] = 0.5;                // w1 kept, w3 run again
  const KeptBytes compiled = kept_outputs(layer, {}, shares);
  EXPECT_DOUBLE_EQ(compiled.kept, 2 * (h + h + kv + h + f) + 4 * 32);
  shares[9] = 0;
  EXPECT_DOUBLE_EQ(kept_outputs(layer, {}, shares).kept, compiled.kept + 2 * h);
  EXPECT_THROW(kept_outputs(layer, {}, {1, 2}), ConfigError);
}

TEST(BackwardExtra, GatedMlpSetsThePeak) {
  // At swiglu: the product is free, its gradient (f), fc1's gradient (2f) and the residual gradient (h) are live.
  const double h = 8192, f = 28672;
  EXPECT_DOUBLE_EQ(backward_extra_bytes_per_token(llama_layer(h, 64, 8, 128, f), {}), 2 * (f + 2 * f + h) - 2 * f);
}

TEST(BackwardExtra, UnfusedAttentionHoldsTwoMoreScoreTensors) {
  SavedContext c = unfused(1, false);
  const double with = backward_extra_bytes_per_token(gpt_layer(1024, 16), c);
  // Everything after attention is free: 19 h of the MLP with its norm's input (2 h) and statistics, the projection's
  // input (2 h) and mask (h); live are two score tensors, dOut h, d(qkv) 3h and the residual h in 2 bytes.
  EXPECT_DOUBLE_EQ(with, 4 * 16 * kSeq + 2 * 5 * 1024 - (19 + 2 + 2 + 1) * 1024 - 8);
}

}  // namespace

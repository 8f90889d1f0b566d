#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "error.hpp"
#include "memory_blocks.hpp"
#include "workload/flops.hpp"
#include "workload/model.hpp"

namespace {

using namespace dts;
using test::make_attention;
using test::make_norm;
using test::make_op;
using test::make_routed;

// Llama 3.1 8B: 32 layers of 4096 hidden, 32 heads, 8 kv heads, 14336 inner, vocabulary 128,256, untied.
ModelSpec llama_8b() {
  ModelSpec m;
  m.name = "llama-3.1-8b";
  m.hidden = 4096;
  m.stem = {"stem", {make_op(OpKind::Embedding, "tokens", 128256, 4096, Sharding::Vocab, false)}};
  m.layers = {{{"layer", test::llama_layer(4096, 32, 8, 128, 14336)}, 32}};
  m.head = {"head",
            {make_norm("norm", 4096, false), make_op(OpKind::Matmul, "lm_head", 4096, 128256, Sharding::Column),
             make_op(OpKind::CrossEntropy, "loss", 128256, 1, Sharding::Heads)}};
  return m;
}

TEST(ParameterCount, EveryKindByHand) {
  Op matmul = make_op(OpKind::Matmul, "m", 3, 5, Sharding::Column);
  EXPECT_EQ(parameter_count(matmul), 15);
  matmul.bias = true;
  EXPECT_EQ(parameter_count(matmul), 20);
  matmul.extra_parameters = 7;
  EXPECT_EQ(parameter_count(matmul), 27);

  Op grouped = make_routed(OpKind::GroupedMatmul, "g", 3, 5, Sharding::ExpertColumn, 4, 2);
  EXPECT_EQ(parameter_count(grouped), 60);
  grouped.bias = true;
  EXPECT_EQ(parameter_count(grouped), 80);

  EXPECT_EQ(parameter_count(make_norm("n", 12, false)), 12);
  EXPECT_EQ(parameter_count(make_norm("n", 12, true)), 24);
  Op head_norm = make_norm("n", 12, true);
  head_norm.norm_groups = 3;  // three heads share a gain and a bias of 4
  EXPECT_EQ(parameter_count(head_norm), 8);

  EXPECT_EQ(parameter_count(make_op(OpKind::Embedding, "e", 100, 8, Sharding::Vocab)), 800);

  Op router = make_op(OpKind::Router, "r", 6, 4, Sharding::Sequence);
  router.experts = 4, router.top_k = 2;
  EXPECT_EQ(parameter_count(router), 24);
  router.bias = true;  // one per expert
  EXPECT_EQ(parameter_count(router), 28);

  Op conv = make_op(OpKind::Conv2d, "c", 64, 128, Sharding::Replicated);
  conv.kernel_area = 9;
  EXPECT_EQ(parameter_count(conv), 64 * 128 * 9);
  conv.groups = 32;
  EXPECT_EQ(parameter_count(conv), 2 * 128 * 9);
  conv.bias = true;
  EXPECT_EQ(parameter_count(conv), 2 * 128 * 9 + 128);

  for (OpKind kind : {OpKind::Attention, OpKind::Activation, OpKind::Elementwise, OpKind::Dropout, OpKind::CrossEntropy,
                      OpKind::Dispatch, OpKind::Combine, OpKind::Custom}) {
    Op op = make_op(kind, "x", 10, 10, Sharding::Sequence);
    EXPECT_EQ(parameter_count(op), 0);
    op.extra_parameters = 11;
    EXPECT_EQ(parameter_count(op), 11);
  }
}

TEST(ParameterCount, Llama8B) {
  // Published count 8,030,261,248: per layer 218,112,000; two tables of 525,336,576; a final norm.
  const ModelSpec m = llama_8b();
  EXPECT_EQ(parameter_count(m.layers[0].block), 218112000);
  EXPECT_EQ(parameter_count(m), 8030261248);
  EXPECT_EQ(active_parameter_count(m), 8030261248);
}

TEST(ParameterCount, TiedTableIsCountedOnce) {
  ModelSpec m = llama_8b();
  const double untied = parameter_count(m);
  m.tied_embeddings = true;
  EXPECT_EQ(parameter_count(m), untied - 128256.0 * 4096);
}

TEST(ParameterCount, ActiveWeightsCountTopKOfTheExperts) {
  ModelSpec m;
  m.layers = {{{"moe", test::moe_feed_forward(16, 32, 8, 2)}, 3}};
  const double experts = 8 * (16 * 64 + 32 * 16), rest = 16 + 16 * 8;  // gated up, down; norm and router
  EXPECT_EQ(parameter_count(m), 3 * (experts + rest));
  EXPECT_EQ(active_parameter_count(m), 3 * (experts / 4 + rest));
}

TEST(MeanKeys, MatchesCountingEveryQuery) {
  // Query i of a causal window sees min(i + 1, window) keys; the closed form is its continuous limit.
  for (double window : {0.0, 64.0, 500.0, 1000.0, 4000.0}) {
    double seen = 0;
    const int seq = 1000;
    for (int i = 0; i < seq; ++i) seen += window > 0 ? std::min(i + 1.0, window) : i + 1.0;
    EXPECT_NEAR(mean_keys(seq, true, window), seen / seq, 0.51) << window;
  }
  EXPECT_EQ(mean_keys(1000, false, 0), 1000);
  EXPECT_EQ(mean_keys(1000, false, 64), 64);
  EXPECT_EQ(mean_keys(1000, true, 1000), mean_keys(1000, true, 0));  // a window of the whole sequence is no window
}

TEST(ForwardFlops, EveryKindByHand) {
  EXPECT_EQ(forward_flops(make_op(OpKind::Matmul, "m", 3, 5, Sharding::Column), 10).causal, 2 * 10 * 3 * 5);
  // 10 tokens, each copied to 2 experts.
  EXPECT_EQ(forward_flops(make_routed(OpKind::GroupedMatmul, "g", 3, 5, Sharding::ExpertRow, 4, 2), 10).full,
            2 * 10 * 2 * 3 * 5);
  Op router = make_op(OpKind::Router, "r", 6, 4, Sharding::Sequence);
  router.experts = 4;
  EXPECT_EQ(forward_flops(router, 10).causal, 2 * 10 * 6 * 4);
  Op conv = make_op(OpKind::Conv2d, "c", 64, 128, Sharding::Replicated);
  conv.rows = Rows::Samples, conv.kernel_area = 9, conv.output_positions = 49, conv.groups = 2;
  EXPECT_EQ(forward_flops(conv, 1).causal, 2.0 * 49 * 9 * 32 * 128);
  Op custom = make_op(OpKind::Custom, "x", 1, 1, Sharding::Replicated);
  custom.flops_per_row = 17;
  EXPECT_EQ(forward_flops(custom, 10).causal, 170);
  custom.rows = Rows::Samples;
  EXPECT_EQ(forward_flops(custom, 10).causal, 17);
  for (OpKind kind : {OpKind::Norm, OpKind::Activation, OpKind::Elementwise, OpKind::Dropout, OpKind::Embedding,
                      OpKind::CrossEntropy, OpKind::Dispatch, OpKind::Combine}) {
    EXPECT_EQ(forward_flops(make_op(kind, "x", 10, 10, Sharding::Sequence), 10).full, 0);
  }
}

TEST(ForwardFlops, AttentionHalfAndWhole) {
  // QK' and PV: 2 x 2 s^2 h d; the causal half is half of it.
  const Flops f = forward_flops(make_attention(4, 2, 8), 100);
  EXPECT_EQ(f.full, 2 * 2 * 100.0 * 100 * 4 * 8);
  EXPECT_EQ(f.causal, f.full / 2);
  Op both = make_attention(4, 2, 8);
  both.causal = false;
  EXPECT_EQ(forward_flops(both, 100).causal, f.full);
  Op window = make_attention(4, 2, 8);
  window.window = 10;
  EXPECT_EQ(forward_flops(window, 100).full, f.full / 10);
  Op latent = make_attention(4, 4, 8);
  latent.v_head_dim = 4;  // QK' over 8, PV over 4
  EXPECT_EQ(forward_flops(latent, 100).full, 2.0 * 100 * 100 * 4 * (8 + 4));
}

TEST(TrainingFlops, Llama8BByFormula) {
  // 6 P per token over weights in matmuls, plus 6 L s h d (causal half: 12 L s^2 h d / 2 per sample).
  const double seq = 8192, matmul_weights = 32 * (218112000.0 - 2 * 4096) + 128256.0 * 4096;
  const Flops f = training_flops(llama_8b(), seq);
  EXPECT_DOUBLE_EQ(f.causal, seq * (6 * matmul_weights + 6 * 32 * seq * 4096));
  EXPECT_DOUBLE_EQ(f.full, seq * (6 * matmul_weights + 12 * 32 * seq * 4096));
}

TEST(TrainingFlops, WithoutAWeightGradientTwoPasses) {
  Op op = make_op(OpKind::Matmul, "m", 3, 5, Sharding::Column);
  EXPECT_EQ(training_passes(op), 3);
  op.trainable = false;  // frozen: the data gradient remains
  EXPECT_EQ(training_passes(op), 2);
  Op custom = make_op(OpKind::Custom, "c", 1, 1, Sharding::Replicated);
  EXPECT_EQ(training_passes(custom), 2);
  custom.extra_parameters = 1;
  EXPECT_EQ(training_passes(custom), 3);
  Op attention = make_attention(4, 2, 8);
  attention.trainable = false;  // two gradients, neither of weights
  EXPECT_EQ(training_passes(attention), 3);
}

TEST(TrainingFlops, FixedTokensReplaceTheSequence) {
  ModelSpec m = llama_8b();
  const double at_1024 = training_flops(m, 1024).causal;
  m.tokens_per_sample = 1024;
  EXPECT_EQ(training_flops(m, 7).causal, at_1024);
}

TEST(CheckModel, NamesEveryProblem) {
  ModelSpec m = llama_8b();
  check_model(m);
  m.hidden = -1;
  m.layers[0].repeat = 0;
  m.layers[0].block.ops[2].input = "later";
  m.layers[0].block.ops[3].kv_heads = 0;
  m.head.ops[1].name = "norm";
  m.head.ops[1].out_features = NAN;
  try {
    check_model(m);
    FAIL() << "an illegal model passed";
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.violations().size(), 7u) << error.what();  // 0 layers in all is the seventh
    for (const char* part :
         {"model.hidden", "repeat", "op rope.input", "op attention", "a second op", "op norm: got nan"}) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << part << "\n" << error.what();
    }
  }
}

TEST(CheckModel, RoutingNeedsExperts) {
  for (OpKind kind : {OpKind::GroupedMatmul, OpKind::Router, OpKind::Dispatch, OpKind::Combine}) {
    ModelSpec m;
    Op op = make_routed(kind, "x", 4, 4, Sharding::Sequence, 2, 3);  // top_k beyond the experts
    m.layers = {{{"b", {op}}, 1}};
    EXPECT_THROW(check_model(m), ConfigError) << static_cast<int>(kind);
    m.layers[0].block.ops[0].top_k = 2;
    EXPECT_NO_THROW(check_model(m));
  }
}

}  // namespace

// Tapes of small blocks event by event: 10 tokens of 2-byte elements, so that a feature of a token is 20 bytes.
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "memory/block_tape.hpp"
#include "memory_blocks.hpp"

namespace {

using namespace dts;
using test::make_op;

// "+up/gathered input:80*" is taken, "-" given back; "*": shared with a communication stream.
std::string text(const BlockTape& tape, const std::vector<TapeEvent>& events) {
  std::ostringstream out;
  for (const TapeEvent& e : events) {
    const TapeTensor& t = tape.tensors[static_cast<std::size_t>(e.tensor)];
    out << (e.frees ? " -" : " +") << t.op << "/" << t.what << ":" << t.bytes << (t.shared ? "*" : "");
  }
  return out.str();
}

TapeRules ten_tokens(Recompute recompute = Recompute::None) {
  TapeRules rules;
  rules.tokens = 10, rules.recompute = recompute;
  return rules;
}

SavedContext ranks(int tp, bool sequence_parallel) {
  SavedContext c;
  c.seq_len = 10, c.tp = c.etp = tp, c.sequence_parallel = sequence_parallel, c.hidden_dropout = false;
  return c;
}

const std::vector<Op> kFeedForward{make_op(OpKind::Matmul, "up", 4, 8, Sharding::Column),
                                   make_op(OpKind::Matmul, "down", 8, 4, Sharding::Row)};

// Two ranks hold two of four features between the products' halves: gathered twice as wide, summed before the scatter.
TEST(TapeEvents, GatheredAndScatteredProducts) {
  const BlockTape tape = block_tape(kFeedForward, ranks(2, true), ten_tokens());
  EXPECT_EQ(text(tape, tape.forward),
            " +up/gathered input:80 +down/up output:80 +up/block input:40 -up/gathered input:80"
            " +down/partial sums:80* -down/partial sums:80*");
  EXPECT_EQ(text(tape, tape.backward),
            " +block/residual gradient:40 +down/weight gradient:32 +down/input gradient:80 -down/weight gradient:32"
            " -down/up output:80"
            " +up/gathered input gradient:80* +up/gathered input:80 +up/weight gradient:32 +up/input gradient:40*"
            " -up/gathered input gradient:80* -up/gathered input:80 -up/weight gradient:32 -up/input gradient:40*"
            " -down/input gradient:80 -up/block input:40 -block/residual gradient:40");
  EXPECT_EQ(text(tape, tape.input_grad),
            " +block/residual gradient:40 +down/input gradient:80 -down/up output:80"
            " +down/input and output gradient:120"
            " +up/gathered input gradient:80* +up/input gradient:40* -up/gathered input gradient:80*"
            " -up/input gradient:40* -down/input gradient:80 -up/block input:40 +up/input and output gradient:120"
            " -block/residual gradient:40");
  EXPECT_EQ(text(tape, tape.weight_grad),
            " +up/weight gradient:32 -up/weight gradient:32 -up/input and output gradient:120"
            " +down/weight gradient:32 -down/weight gradient:32 -down/input and output gradient:120");
  EXPECT_EQ(tape.weights, (std::vector<double>{16, 16}));
  EXPECT_EQ(tape.forward_sum.highest, 200);
  EXPECT_EQ(tape.forward_sum.event, 3U);
}

// Only what ranks sum up and scatter passes through partial sums: products split along rows, tables along vocabulary.
TEST(TapeEvents, PartialSumsOfWhatIsScattered) {
  struct Case {
    OpKind kind;
    Sharding sharding;
    int tp;
    bool sequence_parallel, scatters;
  };
  for (const Case& c :
       {Case{OpKind::Embedding, Sharding::Vocab, 2, true, true},
        Case{OpKind::Embedding, Sharding::Vocab, 2, false, false},
        Case{OpKind::Embedding, Sharding::Vocab, 1, true, false},
        Case{OpKind::Embedding, Sharding::Replicated, 2, true, false},
        Case{OpKind::Matmul, Sharding::Row, 2, true, true}, Case{OpKind::Matmul, Sharding::Row, 2, false, false},
        Case{OpKind::Matmul, Sharding::Vocab, 2, true, false},
        Case{OpKind::Matmul, Sharding::Replicated, 2, true, false}}) {
    const BlockTape tape =
        block_tape({make_op(c.kind, "op", 100, 4, c.sharding)}, ranks(c.tp, c.sequence_parallel), ten_tokens());
    EXPECT_EQ(text(tape, tape.forward).find("partial sums:80*") != std::string::npos, c.scatters)
        << static_cast<int>(c.kind) << static_cast<int>(c.sharding) << c.tp << c.sequence_parallel;
  }
  TapeRules rules = ten_tokens();
  rules.casts_gradients = true;
  const BlockTape table =
      block_tape({make_op(OpKind::Embedding, "table", 1000, 4, Sharding::Vocab)}, ranks(2, true), rules);
  EXPECT_EQ(text(table, table.forward), " +table/partial sums:80* +table/statistics:80 -table/partial sums:80*");
  EXPECT_EQ(text(table, table.backward),
            " +block/residual gradient:40 +table/weight gradient:4000 -table/weight gradient:4000 -table/statistics:80"
            " -block/residual gradient:40 +gradients/fp32 copy:8000 -gradients/fp32 copy:8000");
}

std::vector<Op> attention_block() {  // two heads of four
  return {make_op(OpKind::Matmul, "qkv", 8, 24, Sharding::Column), test::make_attention(2, 2, 4),
          make_op(OpKind::Matmul, "proj", 8, 8, Sharding::Row)};
}

// Scores: two heads of ten keys each, 400 bytes.
TEST(TapeEvents, UnfusedAttention) {
  SavedContext unfused = ranks(1, false);
  unfused.flash_attention = false;
  const BlockTape tape = block_tape(attention_block(), unfused, ten_tokens());
  const std::string head =
      " +qkv/output:480 +qkv/block input:160 +attention/scores:400 +proj/attention output:160"
      " +attention/q:160 +attention/k:160 +attention/v:160 +attention/softmax:400";
  const std::string after_proj =
      " +block/residual gradient:160 +proj/weight gradient:128 +proj/input gradient:160"
      " -proj/weight gradient:128 -proj/attention output:160";
  const std::string rest =
      " +attention/softmax gradient:400 +attention/score gradient:400"
      " +attention/input gradient:480 -attention/softmax gradient:400"
      " -attention/score gradient:400 -proj/input gradient:160 -attention/q:160 -attention/k:160"
      " -attention/v:160 -attention/softmax:400"
      " +qkv/weight gradient:384 +qkv/input gradient:160 -qkv/weight gradient:384"
      " -qkv/input gradient:160 -attention/input gradient:480 -qkv/block input:160"
      " -block/residual gradient:160";
  EXPECT_EQ(text(tape, tape.forward), head + " -attention/scores:400 -qkv/output:480");
  EXPECT_EQ(text(tape, tape.backward), after_proj + rest);
  // Selective recomputation drops the softmax with its forward, and makes it from its scores before its backward.
  const BlockTape again = block_tape(attention_block(), unfused, ten_tokens(Recompute::Selective));
  EXPECT_EQ(text(again, again.forward), head + " -attention/scores:400 -qkv/output:480 -attention/softmax:400");
  EXPECT_EQ(text(again, again.backward),
            after_proj + " +attention/scores:400 +attention/softmax:400 -attention/scores:400" + rest);
}

TEST(TapeEvents, FlashAttentionKeepsItsOutputAndRebuildsTheLogSumExp) {
  const BlockTape tape = block_tape(attention_block(), ranks(1, false), ten_tokens(Recompute::Selective));
  EXPECT_EQ(text(tape, tape.forward),
            " +qkv/output:480 +qkv/block input:160 +attention/attention output:160 +attention/q:160 +attention/k:160"
            " +attention/v:160 +attention/log-sum-exp:80 -qkv/output:480 -attention/log-sum-exp:80");
  EXPECT_EQ(text(tape, tape.backward),
            " +block/residual gradient:160 +proj/weight gradient:128 +proj/input gradient:160 -proj/weight gradient:128"
            " +attention/log-sum-exp:80 +attention/input gradient:480 -proj/input gradient:160 -attention/q:160"
            " -attention/k:160 -attention/v:160 -attention/attention output:160 -attention/log-sum-exp:80"
            " +qkv/weight gradient:384 +qkv/input gradient:160 -qkv/weight gradient:384 -qkv/input gradient:160"
            " -attention/input gradient:480 -qkv/block input:160 -block/residual gradient:160");
}

// Two experts get every token: two routed rows a token.
TEST(TapeEvents, RoutedRows) {
  const BlockTape tape = block_tape(test::moe_feed_forward(4, 8, 2, 2), ranks(1, false), ten_tokens());
  EXPECT_EQ(text(tape, tape.forward),
            " +router/norm output:80 +norm/block input:80 +norm/statistics:40 +router/statistics:180"
            " +dispatch/permuted rows:160 +fc1/dispatch output:160 -dispatch/permuted rows:160"
            " +swiglu/fc1 output:640 +fc2/swiglu output:320 +fc2/output:160"
            " +combine/permuted rows:160 -combine/permuted rows:160 -fc2/output:160");
  EXPECT_EQ(text(tape, tape.backward),
            " +block/residual gradient:80 +combine/input gradient:160"
            " +fc2/weight gradient:128 +fc2/input gradient:320 -fc2/weight gradient:128 -combine/input gradient:160"
            " -fc2/swiglu output:320 +swiglu/input gradient:640 -fc2/input gradient:320 -swiglu/fc1 output:640"
            " +fc1/weight gradient:256 +fc1/input gradient:160 -fc1/weight gradient:256 -swiglu/input gradient:640"
            " -fc1/dispatch output:160"
            " +dispatch/permuted gradients:160 +dispatch/input gradient:80 -dispatch/permuted gradients:160"
            " -fc1/input gradient:160 +router/input gradient:80 -router/input gradient:80 -router/norm output:80"
            " -router/statistics:180 +norm/input gradient:80 -norm/input gradient:80 -dispatch/input gradient:80"
            " -norm/block input:80 -norm/statistics:40 -block/residual gradient:80");
  TapeRules shared = ten_tokens();
  shared.ep = 2;  // an expert each
  const BlockTape half = block_tape(test::moe_feed_forward(4, 8, 2, 2), ranks(1, false), shared);
  EXPECT_EQ(half.weights, (std::vector<double>{4 * 16, 8 * 4}));
}

TEST(TapeEvents, FullRecomputationRunsTheForwardAgain) {
  const std::string backward =
      " +block/residual gradient:80 +down/weight gradient:64 +down/input gradient:160"
      " -down/weight gradient:64 -down/up output:160 +up/weight gradient:64"
      " +up/input gradient:80 -up/weight gradient:64 -up/input gradient:80"
      " -down/input gradient:160 -up/block input:80 -block/residual gradient:80";
  const BlockTape tape = block_tape(kFeedForward, ranks(1, false), ten_tokens(Recompute::Full));
  EXPECT_EQ(text(tape, tape.forward), " +down/up output:160 +up/block input:80 -down/up output:160");
  EXPECT_EQ(text(tape, tape.backward), " +down/up output:160" + backward);
  // Of an input that two ranks share each keeps half and gathers the rest.
  TapeRules rules = ten_tokens(Recompute::Full);
  rules.partition_block_input = true;
  const BlockTape split = block_tape(kFeedForward, ranks(2, false), rules);
  EXPECT_EQ(text(split, split.forward),
            " +down/up output:80 +up/block input:40 +up/block input:40 -up/block input:40 -down/up output:80");
  // With outputs kept by share: a quarter of the first product's runs again.
  TapeRules shares = ten_tokens(Recompute::Selective);
  shares.dropped_outputs = {0.25, 1};
  const BlockTape part = block_tape(kFeedForward, ranks(1, false), shares);
  EXPECT_EQ(text(part, part.forward), " +down/up output:40 +up/block input:80 +up/output:120 -down/up output:40");
}

// The loss in two halves of the tokens: logits of one of them; what waits is gradients of the head's input and weights.
TEST(TapeEvents, ALossInChunks) {
  TapeRules rules = ten_tokens();
  rules.loss_chunks = 2, rules.loss_kernel = LossKernel::InPlace;
  const BlockTape tape =
      block_tape({test::make_norm("norm", 4, false), make_op(OpKind::Matmul, "lm_head", 4, 6, Sharding::Column),
                  make_op(OpKind::CrossEntropy, "loss", 6, 1, Sharding::Heads)},
                 ranks(1, false), rules);
  EXPECT_EQ(text(tape, tape.forward),
            " +lm_head/norm output:80 +norm/block input:80 +norm/statistics:40 +lm_head/output:60"
            " +lm_head/input gradient:80 +lm_head/weight gradient:48 -lm_head/output:60");
  EXPECT_EQ(text(tape, tape.backward),
            " -lm_head/weight gradient:48 -lm_head/norm output:80 +norm/input gradient:80 -norm/input gradient:80"
            " -lm_head/input gradient:80 -norm/block input:80 -norm/statistics:40");
}

TEST(TapeEvents, ALossOfItsOwnBlock) {
  TapeRules rules = ten_tokens();
  rules.loss_kernel = LossKernel::TorchCompiled;
  const BlockTape tape =
      block_tape({make_op(OpKind::CrossEntropy, "loss", 6, 1, Sharding::Heads)}, ranks(2, false), rules);
  EXPECT_EQ(text(tape, tape.backward), " +loss/logits gradient:60 -loss/logits gradient:60");
}

// A sum hands its gradient on in place; one that reads a kept tensor makes its own.
TEST(TapeEvents, SumsPassGradientsOn) {
  const auto block = [](bool saves_input) {
    return std::vector<Op>{make_op(OpKind::Matmul, "a", 4, 4, Sharding::Column),
                           make_op(OpKind::Elementwise, "add", 4, 4, Sharding::Sequence, saves_input),
                           make_op(OpKind::Matmul, "b", 4, 4, Sharding::Column)};
  };
  const BlockTape tape = block_tape(block(false), ranks(1, false), ten_tokens());
  EXPECT_EQ(text(tape, tape.forward), " +a/output:80 +a/block input:80 +b/add output:80 -a/output:80");
  const std::string b = " +block/residual gradient:80 +b/weight gradient:32 +b/input gradient:80 -b/weight gradient:32"
                        " -b/add output:80",
                    a = " +a/weight gradient:32 +a/input gradient:80 -a/weight gradient:32 -a/input gradient:80";
  EXPECT_EQ(text(tape, tape.backward), b + a + " -b/input gradient:80 -a/block input:80 -block/residual gradient:80");
  std::vector<Op> ends = block(false);
  ends.pop_back();  // the gradient comes to the last sum with the block's
  const BlockTape last = block_tape(ends, ranks(1, false), ten_tokens());
  EXPECT_EQ(text(last, last.backward),
            " +block/residual gradient:80" + a + " -a/block input:80 -block/residual gradient:80");
  const BlockTape keeps = block_tape(block(true), ranks(1, false), ten_tokens());
  EXPECT_EQ(text(keeps, keeps.backward), b + " +add/input gradient:80 -b/input gradient:80 -add/a output:80" + a +
                                             " -add/input gradient:80 -a/block input:80 -block/residual gradient:80");
}

}  // namespace

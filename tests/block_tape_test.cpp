#include "memory/block_tape.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "memory/loss_tensors.hpp"
#include "memory_blocks.hpp"
#include "schedule/pipeline.hpp"
#include "schedule/rank_tape.hpp"

namespace {

using namespace dts;
using namespace dts::test;

constexpr double kTokens = 128;

std::vector<std::vector<Op>> blocks() {
  return {llama_layer(256, 8, 2, 32, 512), gpt_layer(256, 8), moe_feed_forward(256, 128, 8, 2)};
}

std::vector<TapeRules> all_rules(std::size_t ops) {
  std::vector<TapeRules> rules;
  for (Recompute recompute : {Recompute::None, Recompute::Selective, Recompute::Full}) {
    for (double on_host : {0.0, 0.5, 1.0}) {
      rules.push_back({});
      rules.back().tokens = kTokens, rules.back().recompute = recompute, rules.back().on_host = on_host;
    }
  }
  rules.push_back({});
  rules.back().tokens = kTokens, rules.back().recompute = Recompute::Selective;
  rules.back().dropped_outputs.assign(ops, 0.5);
  return rules;
}

std::vector<SavedContext> contexts() {
  SavedContext plain, split, unfused;
  plain.seq_len = split.seq_len = unfused.seq_len = kTokens;
  split.tp = 2, split.sequence_parallel = true;
  unfused.flash_attention = false, unfused.attention_dropout = true;
  return {plain, split, unfused};
}

// Live tensors after some passes; an event that frees what is not there, or allocates twice, fails the test.
void run(const std::vector<TapeEvent>& events, std::map<int, int>& live) {
  for (const TapeEvent& e : events) {
    ASSERT_EQ(live[e.tensor], e.frees ? 1 : 0);
    live[e.tensor] += e.frees ? -1 : 1;
  }
}

double bytes_of(const BlockTape& tape, const std::map<int, int>& live) {
  double sum = 0;
  for (const auto& [tensor, count] : live) sum += count * tape.tensors[static_cast<std::size_t>(tensor)].bytes;
  return sum;
}

TEST(BlockTape, EveryAllocationIsFreed) {
  for (const std::vector<Op>& ops : blocks()) {
    for (const SavedContext& context : contexts()) {
      for (const TapeRules& rules : all_rules(ops.size())) {
        const BlockTape tape = block_tape(ops, context, rules);
        std::map<int, int> live;
        run(tape.forward, live);
        run(tape.backward, live);
        EXPECT_EQ(bytes_of(tape, live), 0);
        live.clear();
        run(tape.forward, live);
        run(tape.input_grad, live);
        run(tape.weight_grad, live);
        EXPECT_EQ(bytes_of(tape, live), 0);
      }
    }
  }
}

TEST(BlockTape, KeepsTheSavedTensorsBetweenThePasses) {
  for (const std::vector<Op>& ops : blocks()) {
    for (const SavedContext& context : contexts()) {
      for (Recompute recompute : {Recompute::None, Recompute::Selective, Recompute::Full}) {
        TapeRules rules;
        rules.tokens = kTokens, rules.recompute = recompute;
        const BlockTape tape = block_tape(ops, context, rules);
        std::map<int, int> live;
        run(tape.forward, live);
        EXPECT_NEAR(bytes_of(tape, live), kTokens * kept_bytes(ops, context, recompute).kept, 8);  // whole bytes each
        run(tape.input_grad, live);
        EXPECT_NEAR(bytes_of(tape, live), kTokens * weight_grad_bytes_per_token(ops, context), 8);
      }
    }
  }
}

// Delayed weight gradients of two products that read one tensor: it waits once, beside the gradients of both outputs.
TEST(BlockTape, AnInputOfTwoProductsWaitsOnce) {
  Op second = make_op(OpKind::Matmul, "b", 64, 16, Sharding::Column);
  second.input = "norm";
  const std::vector<Op> ops{make_norm("norm", 64, false), make_op(OpKind::Matmul, "a", 64, 32, Sharding::Column),
                            second};
  TapeRules rules;
  rules.tokens = kTokens;
  const BlockTape tape = block_tape(ops, {}, rules);
  std::map<int, int> live;
  run(tape.forward, live);
  run(tape.input_grad, live);
  EXPECT_EQ(bytes_of(tape, live), 2 * kTokens * (64 + 32 + 16));
  run(tape.weight_grad, live);
  EXPECT_EQ(bytes_of(tape, live), 0);
}

// What is kept follows kept_outputs whichever norms a block has, and an output is kept or made again, never both at
// once.
// Sequence parallelism gathers a column matmul's input anew for the weight gradient, where neither a buffer nor forward
// keeps it and there is a weight to train.
TEST(BlockTape, InputsAreGatheredAnewForTheWeightGradient) {
  const auto gathered = [](const std::vector<Op>& ops, const SavedContext& context, const TapeRules& rules) {
    int passes = 0;
    const BlockTape tape = block_tape(ops, context, rules);
    for (const auto* pass : {&tape.backward, &tape.input_grad}) {
      passes = 10 * passes + static_cast<int>(std::count_if(pass->begin(), pass->end(), [&](const TapeEvent& e) {
                 return !e.frees && tape.tensors[static_cast<std::size_t>(e.tensor)].what == "gathered input";
               }));
    }
    return passes;
  };
  std::vector<Op> ops = gpt_layer(256, 8);
  SavedContext split;
  split.seq_len = kTokens, split.tp = 2, split.sequence_parallel = true;
  TapeRules rules;
  rules.tokens = kTokens;
  EXPECT_EQ(gathered(ops, split, rules), 20);  // qkv and up, not where the input gradient runs alone
  rules.gather_buffers = true;
  EXPECT_EQ(gathered(ops, split, rules), 0);
  rules.gather_buffers = false;
  split.keep_gathered_input = true;
  EXPECT_EQ(gathered(ops, split, rules), 0);
  split.keep_gathered_input = false;
  for (Op& op : ops) op.trainable = false;
  EXPECT_EQ(gathered(ops, split, rules), 0);
}

TEST(BlockTape, KeptOutputsStandOnce) {
  SavedContext eager;
  eager.seq_len = kTokens, eager.eager_norm = eager.eager_gate = true;
  const std::vector<Op> ops = llama_layer(256, 8, 2, 32, 512);
  for (const SavedContext& context : {SavedContext{}, eager}) {
    for (double share : {0.0, 0.5, 1.0}) {
      TapeRules rules;
      rules.tokens = kTokens, rules.recompute = Recompute::Selective;
      rules.dropped_outputs.assign(ops.size(), share);
      const BlockTape tape = block_tape(ops, context, rules);
      const double kept = kept_outputs(ops, context, rules.dropped_outputs).kept * kTokens;
      EXPECT_NEAR(total(tape.forward_sum.after), kept, 16);
      double live = 0, most = 0;
      for (const std::vector<TapeEvent>* events : {&tape.forward, &tape.backward}) {
        for (const TapeEvent& e : *events) {
          const TapeTensor& t = tape.tensors[static_cast<std::size_t>(e.tensor)];
          if (t.what != "fc1 output" && (t.op != "fc1" || t.what != "output")) continue;
          most = std::max(most, live += e.frees ? -t.bytes : t.bytes);
        }
      }
      EXPECT_EQ(live, 0);
      EXPECT_EQ(most, 2.0 * 2 * 512 * kTokens);
    }
  }
}

TEST(BlockTape, FullRecomputationKeepsTheInputThatNoNormSaves) {
  SavedContext eager;
  eager.seq_len = kTokens, eager.eager_norm = true;
  const std::vector<Op> ops = llama_layer(256, 8, 2, 32, 512);
  TapeRules rules;
  rules.tokens = kTokens, rules.recompute = Recompute::Full;
  EXPECT_EQ(total(block_tape(ops, eager, rules).forward_sum.after), 2.0 * 256 * kTokens);
  rules.keeps_input = false;
  EXPECT_EQ(total(block_tape(ops, eager, rules).forward_sum.after), 0);
}

TEST(BlockTape, OffloadKeepsNothingOnTheDevice) {
  TapeRules rules;
  rules.tokens = kTokens, rules.on_host = 1;
  const BlockTape tape = block_tape(llama_layer(256, 8, 2, 32, 512), {}, rules);
  std::map<int, int> live;
  run(tape.forward, live);
  EXPECT_EQ(bytes_of(tape, live), 0);
}

struct LossCase {
  LossKernel kernel;
  double peak, kept;  // bytes per logit: at most, and from forward to backward
};

// By hand from the losses' sources (memory/loss_tensors.cpp).
TEST(BlockTape, LogitsByLossKernel) {
  const std::vector<Op> head = {make_op(OpKind::Matmul, "lm_head", 64, 1000, Sharding::Column),
                                make_op(OpKind::CrossEntropy, "loss", 1000, 1, Sharding::Heads)};
  for (const LossCase& loss : {LossCase{LossKernel::InPlace, 2, 2}, LossCase{LossKernel::Megatron, 6, 4},
                               LossCase{LossKernel::MegatronJit, 10, 4}, LossCase{LossKernel::MegatronJitAmpere, 15, 4},
                               LossCase{LossKernel::TorchEager, 12, 4}, LossCase{LossKernel::TorchCompiled, 4, 2},
                               LossCase{LossKernel::Nanotron, 8, 4}}) {
    EXPECT_EQ(loss_peak_bytes(loss_tensors(loss.kernel, 2)), loss.peak);
    TapeRules rules;
    rules.tokens = kTokens, rules.loss_kernel = loss.kernel, rules.weight_gradients = false;
    const BlockTape tape = block_tape(head, {}, rules);
    std::map<int, int> live;
    run(tape.forward, live);
    const double input = 2 * 64 * kTokens;
    EXPECT_DOUBLE_EQ(bytes_of(tape, live) - input, 1000 * kTokens * loss.kept);
    run(tape.backward, live);
    EXPECT_EQ(bytes_of(tape, live), 0);
    RankTape rank;
    rank.chunks = {{&tape}};
    rank.passes = one_f_one_b(1, 2)[0];
    const double matmul = input + 1000 * kTokens * 2 + input;  // gradients of logits and input, and the input
    EXPECT_DOUBLE_EQ(peak_of(rank).total(), std::max(1000 * kTokens * loss.peak + input, matmul));
  }
}

// A linear loss in chunks: logits of one chunk at a time; gradients of the head's input and weights wait for backward.
TEST(BlockTape, ChunkedLossNeverHoldsAllLogits) {
  const std::vector<Op> head = {make_op(OpKind::Matmul, "lm_head", 64, 1000, Sharding::Column),
                                make_op(OpKind::CrossEntropy, "loss", 1000, 1, Sharding::Heads)};
  TapeRules rules;
  rules.tokens = kTokens, rules.loss_chunks = 4;
  const BlockTape tape = block_tape(head, {}, rules);
  std::map<int, int> live;
  run(tape.forward, live);
  const double input = 2 * 64 * kTokens, weights = 2 * 64 * 1000;
  EXPECT_DOUBLE_EQ(bytes_of(tape, live), input + input + weights);  // the input, its gradient, that of the weights
  run(tape.backward, live);
  EXPECT_EQ(bytes_of(tape, live), 0);
  RankTape rank;
  rank.chunks = {{&tape}};
  rank.passes = one_f_one_b(1, 2)[0];
  EXPECT_DOUBLE_EQ(peak_of(rank).total(), 2 * input + weights + 1000 * kTokens / 4 * 6);
}

// 16-bit gradients that are accumulated after the whole backward stand together at its end.
TEST(BlockTape, GradientsUntilTheEndOfTheBackward) {
  TapeRules rules = all_rules(11)[0];
  rules.gradients_until_end = true;
  const BlockTape tape = block_tape(llama_layer(256, 8, 2, 32, 512), {}, rules);
  double gradients = 0;
  for (int tensor : tape.after_backward) gradients += tape.tensors[static_cast<std::size_t>(tensor)].bytes;
  EXPECT_EQ(gradients, 2.0 * (256 * (8 + 4) * 32 + 8 * 32 * 256 + 3 * 256 * 512));
  for (const std::vector<Pass>& passes : {one_f_one_b(4, 3)[1], zero_bubble(4, 8, 1)[2]}) {
    RankTape rank;
    rank.chunks = {{&tape, &tape, &tape}};
    rank.passes = passes;
    CategoryBytes last{};
    for_each_moment(rank, [&](const TapeMoment&, const CategoryBytes& bytes) { last = bytes; });
    EXPECT_EQ(total(last), 0);
    std::map<std::int64_t, double> live;
    for_each_allocation(rank, [&](const TapeAllocation& a) {
      if (a.frees) {
        EXPECT_EQ(live.erase(a.id), 1U);
      } else {
        live[a.id] = a.bytes;
      }
    });
    EXPECT_TRUE(live.empty());
    const TapePeak peak = peak_of(rank);
    double sum = 0;
    for (const LiveTensor& t : live_tensors(rank, peak.moment)) sum += t.bytes();
    EXPECT_EQ(sum, peak.total());
  }
}

// The embedding's backward is the last of a pass: then its gradient, the largest, is cast to be added.
TEST(BlockTape, GradientsAreCastAtTheEndOfAPass) {
  TapeRules rules = all_rules(11)[0];
  rules.casts_gradients = true, rules.weight_gradients = false;
  SavedContext context;
  context.tp = 2;
  const BlockTape tape = block_tape({make_op(OpKind::Embedding, "table", 1000, 64, Sharding::Vocab)}, context, rules);
  ASSERT_GE(tape.backward.size(), 2U);
  EXPECT_EQ(tape.tensors[static_cast<std::size_t>(tape.backward.back().tensor)].bytes, 4 * 1000 * 64 / 2);
  EXPECT_TRUE(tape.backward.back().frees);
  const BlockTape layer = block_tape(gpt_layer(256, 8), context, rules);
  for (const TapeTensor& t : layer.tensors) EXPECT_NE(t.what, "fp32 copy");
}

RankTape rank_of(const BlockTape& tape, const std::vector<Pass>& passes) {
  RankTape rank;
  rank.resident = {{"", "weights", 1000, MemoryCategory::Weights}};
  rank.in_passes = {{"", "transfers", 10, MemoryCategory::CommunicationBuffers}};
  rank.update = {{"", "gathered weights", 500, MemoryCategory::GatheredParameters}};
  rank.accumulated = {{"chunk 0", "unsharded gradients", 600, MemoryCategory::Gradients, false, 3}};
  rank.chunks = {{&tape, &tape, &tape}};
  rank.passes = passes;
  return rank;
}

TEST(RankTape, PeakIsTheFullestMomentAndItsTensorsSumToIt) {
  const BlockTape tape = block_tape(llama_layer(256, 8, 2, 32, 512), {}, all_rules(11)[0]);
  for (int micro_batches : {1, 3, 8}) {
    for (const std::vector<Pass>& passes : {one_f_one_b(4, micro_batches)[1], zero_bubble(4, 8, 1)[2]}) {
      const RankTape rank = rank_of(tape, passes);
      const TapePeak peak = peak_of(rank);
      double most = 0, last = 0;
      for_each_moment(rank, [&](const TapeMoment&, const CategoryBytes& bytes) {
        last = total(bytes);
        most = std::max(most, last);
      });
      EXPECT_EQ(peak.total(), most);
      EXPECT_EQ(last, 1000);  // all but the residents is freed
      EXPECT_GE(peak.total(), total(resident_bytes(rank)));
      double sum = 0;
      for (const LiveTensor& t : live_tensors(rank, peak.moment)) sum += t.bytes();
      EXPECT_EQ(sum, peak.total());
    }
  }
}

TEST(RankTape, AllocationsBalanceAndReachThePeak) {
  const BlockTape tape = block_tape(gpt_layer(256, 8), {}, all_rules(12)[0]);
  const RankTape rank = rank_of(tape, one_f_one_b(2, 5)[0]);
  std::map<std::int64_t, double> live;
  double held = total(resident_bytes(rank)), most = held;
  for_each_allocation(rank, [&](const TapeAllocation& a) {
    ASSERT_EQ(live.count(a.id), a.frees ? 1u : 0u);
    if (a.frees) {
      held -= a.bytes;
      live.erase(a.id);
    } else {
      held += a.bytes;
      live[a.id] = a.bytes;
    }
    most = std::max(most, held);
  });
  EXPECT_TRUE(live.empty());
  EXPECT_EQ(held, 1000);
  EXPECT_EQ(most, peak_of(rank).total());
}

// By hand: four tapes and the gradients of the chunk that is first in backward; its gradients go before the other's
// come.
TEST(RankTape, ChunksAccumulateGradientsFromTheirFirstBackwardToTheirLast) {
  BlockTape tape;
  tape.tensors = {{"op", "saved", 1000, MemoryCategory::Activations}};
  tape.forward = {{0, false}}, tape.backward = {{0, true}};
  sum_events(tape);
  RankTape rank;
  rank.chunks = {{&tape}, {&tape}};
  const auto pass = [](PassKind kind, int chunk, int micro_batch) { return Pass{kind, chunk, micro_batch}; };
  std::vector<Pass> passes;
  for (PassKind kind : {PassKind::Forward, PassKind::Backward}) {
    for (int c : {0, 1}) {
      const int chunk = kind == PassKind::Forward ? c : 1 - c;
      for (int m : {0, 1}) passes.push_back(pass(kind, chunk, m));
    }
  }
  rank.passes = std::move(passes);
  rank.accumulated = {{"chunk 0", "gradients", 200, MemoryCategory::Gradients},
                      {"chunk 1", "gradients", 100, MemoryCategory::Gradients}};
  EXPECT_EQ(peak_of(rank).total(), 4100);  // when the first backward begins
  std::vector<double> gradients;
  for_each_moment(rank, [&](const TapeMoment& moment, const CategoryBytes& bytes) {
    if (moment.event == kAfterBlock) gradients.push_back(bytes[static_cast<std::size_t>(MemoryCategory::Gradients)]);
  });
  EXPECT_EQ(gradients, (std::vector<double>{0, 0, 0, 0, 100, 0, 200, 0, 0}));
}

// A forward that runs as one with the backward before the next: one tape and one layer more, not two tapes.
TEST(RankTape, PairedPassesAlternate) {
  const BlockTape tape = block_tape(llama_layer(256, 8, 2, 32, 512), {}, all_rules(11)[0]);
  std::vector<Pass> apart = {
      {PassKind::Forward, 0, 0}, {PassKind::Forward, 0, 1}, {PassKind::Backward, 0, 0}, {PassKind::Backward, 0, 1}};
  std::vector<Pass> paired = apart;
  paired[1].with_next = true;
  EXPECT_LT(peak_of(rank_of(tape, paired)).total(), peak_of(rank_of(tape, apart)).total());
}

}  // namespace

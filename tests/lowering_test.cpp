#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "compute/attention.hpp"
#include "memory_blocks.hpp"
#include "parallel/local_op.hpp"
#include "pricing/op_cost.hpp"
#include "test_device.hpp"

namespace {

using namespace dts;
using Kind = CollectiveKind;
using Calls = std::vector<CollectiveCall>;
using Tally = std::map<std::tuple<Kind, Axis, double>, int>;  // how often each distinct call is made

constexpr double kHidden = 256, kHeads = 8, kKv = 4, kHead = 32, kInner = 512, kTokens = 1024;

LocalSizes sizes(int tp, bool sequence_parallel, int cp = 1, int ep = 1, int etp = 1) {
  LocalSizes s;
  s.tokens = kTokens / cp, s.samples = 2, s.seq_len = 512;
  s.tp = tp, s.cp = cp, s.ep = ep, s.etp = etp, s.sequence_parallel = sequence_parallel;
  return s;
}

void count(Tally& tally, const Calls& calls) {
  for (const CollectiveCall& call : calls) ++tally[{call.kind, call.axis, call.bytes}];
}

std::pair<Tally, Tally> passes(const Block& block, const LocalSizes& s) {
  Tally forward, backward;
  for (const LocalOp& op : lower_block(block, s)) {
    for (const Calls& c : {op.forward_before, op.forward_beside, op.forward_after}) count(forward, c);
    for (const Calls& c : {op.backward_before, op.beside_data_grad, op.beside_weight_grad, op.backward_after}) {
      count(backward, c);
    }
  }
  return {forward, backward};
}

const Block kLlama{"layer", test::llama_layer(kHidden, kHeads, kKv, kHead, kInner)};
constexpr double kActivation = kTokens * kHidden * 2;  // one bf16 residual stream

TEST(Lowering, LlamaLayerWithSequenceParallelism) {
  // Korthikanti et al. arXiv:2205.05198 §4.2: forward 2 all-gathers and 2 reduce-scatters; backward as many, and the
  // inputs of both column matmuls are gathered once more because only the shard was kept.
  const auto [forward, backward] = passes(kLlama, sizes(4, true));
  EXPECT_EQ(forward,
            (Tally{{{Kind::AllGather, Axis::TP, kActivation}, 2}, {{Kind::ReduceScatter, Axis::TP, kActivation}, 2}}));
  EXPECT_EQ(backward,
            (Tally{{{Kind::AllGather, Axis::TP, kActivation}, 4}, {{Kind::ReduceScatter, Axis::TP, kActivation}, 2}}));
}

TEST(Lowering, LlamaLayerWithoutSequenceParallelism) {
  // Shoeybi et al. arXiv:1909.08053 §3: f and g, one all-reduce each way for attention and for the MLP.
  const auto [forward, backward] = passes(kLlama, sizes(4, false));
  EXPECT_EQ(forward, (Tally{{{Kind::AllReduce, Axis::TP, kActivation}, 2}}));
  EXPECT_EQ(backward, (Tally{{{Kind::AllReduce, Axis::TP, kActivation}, 2}}));
}

TEST(Lowering, NoParallelismNoCollectives) {
  const auto [forward, backward] = passes(kLlama, sizes(1, false));
  EXPECT_TRUE(forward.empty() && backward.empty());
  const auto moe = passes({"moe", test::moe_feed_forward(kHidden, kInner, 8, 2)}, sizes(1, false));
  EXPECT_TRUE(moe.first.empty() && moe.second.empty());
}

TEST(Lowering, GptLayerMovesTheSameAsLlama) {
  // Dropout and adds stay in the token region: nothing more is sent.
  const Block gpt{"layer", test::gpt_layer(kHidden, kHeads)};
  EXPECT_EQ(passes(gpt, sizes(4, true)), passes(kLlama, sizes(4, true)));
  EXPECT_EQ(passes(gpt, sizes(4, false)), passes(kLlama, sizes(4, false)));
}

TEST(Lowering, EmbeddingLmHeadAndLoss) {
  const double vocabulary = 4096;
  const Block stem{"stem", {test::make_op(OpKind::Embedding, "tokens", vocabulary, kHidden, Sharding::Vocab, false)}};
  const Block head{"head",
                   {test::make_norm("norm", kHidden, false),
                    test::make_op(OpKind::Matmul, "lm_head", kHidden, vocabulary, Sharding::Column),
                    test::make_op(OpKind::CrossEntropy, "loss", vocabulary, 1, Sharding::Heads)}};
  const Tally::key_type gather{Kind::AllGather, Axis::TP, kActivation},
      scatter{Kind::ReduceScatter, Axis::TP, kActivation};
  const Tally::key_type reduce{Kind::AllReduce, Axis::TP, kActivation};
  const Tally::key_type scalars{Kind::AllReduce, Axis::TP, 4 * kTokens};  // maximum, logit, sum of exponentials in fp32
  EXPECT_EQ(passes(stem, sizes(4, true)), std::pair(Tally{{scatter, 1}}, Tally{{gather, 1}}));
  EXPECT_EQ(passes(stem, sizes(4, false)), std::pair(Tally{{reduce, 1}}, Tally{}));
  EXPECT_EQ(passes(head, sizes(4, true)),
            std::pair(Tally{{gather, 1}, {scalars, 3}}, Tally{{gather, 1}, {scatter, 1}}));
  EXPECT_EQ(passes(head, sizes(4, false)), std::pair(Tally{{scalars, 3}}, Tally{{reduce, 1}}));
}

TEST(Lowering, WhereCallsStand) {
  // A column matmul gathers before its forward; in backward the input is gathered beside the data gradient and the
  // result reduced beside the weight gradient. A row matmul reduces after its forward.
  const std::vector<LocalOp> ops = lower_block(kLlama, sizes(4, true));
  const LocalOp& qkv = ops[1];
  const LocalOp& proj = ops[4];
  ASSERT_EQ(qkv.op->name + proj.op->name, "qkvproj");
  EXPECT_EQ(qkv.forward_before.size(), 1u);
  EXPECT_EQ(qkv.beside_data_grad.size(), 1u);
  EXPECT_EQ(qkv.beside_weight_grad.size(), 1u);
  EXPECT_EQ(proj.forward_after.size(), 1u);
  EXPECT_EQ(proj.backward_before.size(), 1u);
  EXPECT_TRUE(proj.forward_before.empty() && proj.beside_data_grad.empty() && proj.beside_weight_grad.empty());
}

// ---- context parallelism: cp 4, tp 2, 512 tokens a rank ------------------------------------------------------------

constexpr double kLocalKeys = kTokens / 4 * (kKv / 2) * kHead * 2;  // one rank's keys, bf16; as many bytes of values

LocalSizes context_sizes(int head_split, bool gather_keys) {
  LocalSizes s = sizes(2, true, 4);
  s.head_split = head_split, s.gather_keys = gather_keys;
  return s;
}

LocalOp attention_of(const std::vector<LocalOp>& ops) {
  return *std::find_if(ops.begin(), ops.end(), [](const LocalOp& op) { return op.op->kind == OpKind::Attention; });
}

TEST(Lowering, RingMovesKeysForwardAndTheirGradientsBackward) {
  const double u = 2 * kLocalKeys;  // keys and values
  const LocalOp op = attention_of(lower_block(kLlama, context_sizes(1, false)));
  EXPECT_EQ(op.sequence_split, 4);
  ASSERT_EQ(op.forward_beside.size(), 3u);
  for (const CollectiveCall& call : op.forward_beside) {
    EXPECT_EQ(call.kind, Kind::SendRecv);
    EXPECT_EQ(call.axis, Axis::CP_SEQUENCE);
    EXPECT_EQ(call.bytes, u);
  }
  const std::vector<double> expected{u, 2 * u, 2 * u, u};  // 2 (c - 1) U in all
  ASSERT_EQ(op.beside_data_grad.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(op.beside_data_grad[i].bytes, expected[i]);
  // Tensor-parallel messages shrink with the tokens of a rank.
  const auto [forward, backward] = passes(kLlama, context_sizes(1, false));
  EXPECT_EQ(forward.at({Kind::AllGather, Axis::TP, kActivation / 4}), 2);
}

TEST(Lowering, GatheredKeysComeBeforeAttentionAndTheirGradientsLeaveAfter) {
  const double keys = 4 * kLocalKeys;  // of the whole sequence
  const LocalOp op = attention_of(lower_block(kLlama, context_sizes(1, true)));
  EXPECT_TRUE(op.gathered_keys && op.forward_beside.empty() && op.beside_data_grad.empty());
  Tally before, after;
  count(before, op.forward_before), count(after, op.backward_after);
  EXPECT_EQ(before, (Tally{{{Kind::AllGather, Axis::CP_SEQUENCE, keys}, 2}}));
  EXPECT_EQ(after, (Tally{{{Kind::ReduceScatter, Axis::CP_SEQUENCE, keys}, 2}}));
  EXPECT_EQ(op.backward_before.size(), 2u);
}

TEST(Lowering, UlyssesExchangesHeadsForSequence) {
  // 4 heads and 2 kv heads on a tensor-parallel rank, 4 ranks: 1 head each, and each kv head goes to 2 of them.
  const double queries = kTokens / 4 * (kHeads / 2) * kHead * 2;
  const LocalOp op = attention_of(lower_block(kLlama, context_sizes(4, false)));
  EXPECT_EQ(op.sequence_split, 1);
  EXPECT_EQ(op.heads, 1);
  EXPECT_EQ(op.kv_heads, 1);
  Tally in, out, back_in, back_out;
  count(in, op.forward_before), count(out, op.forward_after);
  count(back_in, op.backward_before), count(back_out, op.backward_after);
  EXPECT_EQ(in, (Tally{{{Kind::AllToAll, Axis::CP_HEADS, queries}, 3}}));  // keys and values are as many after copying
  EXPECT_EQ(out, (Tally{{{Kind::AllToAll, Axis::CP_HEADS, queries}, 1}}));
  EXPECT_EQ(back_in, out);
  EXPECT_EQ(back_out, in);
  const LocalOp two = attention_of(lower_block(kLlama, context_sizes(2, false)));
  EXPECT_EQ(two.forward_before[1].bytes, kLocalKeys);  // enough kv heads: none is copied
}

TEST(Lowering, HybridExchangesHeadsInsideAndRingsAcross) {
  const LocalOp op = attention_of(lower_block(kLlama, context_sizes(2, false)));
  EXPECT_EQ(op.sequence_split, 2);
  EXPECT_EQ(op.heads, 2);
  ASSERT_EQ(op.forward_beside.size(), 1u);
  EXPECT_EQ(op.forward_beside[0].bytes, 2 * kLocalKeys);  // twice the tokens, half the heads
  EXPECT_EQ(op.forward_before.size(), 3u);
}

TEST(Lowering, NarrowActivationsAreGatheredNarrow) {
  LocalSizes s = sizes(4, true);
  s.cast_bytes = 1;
  const auto [forward, backward] = passes(kLlama, s);
  EXPECT_EQ(forward, (Tally{{{Kind::AllGather, Axis::TP, kActivation / 2}, 2},
                            {{Kind::ReduceScatter, Axis::TP, kActivation}, 2}}));
  EXPECT_EQ(backward, (Tally{{{Kind::AllGather, Axis::TP, kActivation / 2}, 4},
                             {{Kind::ReduceScatter, Axis::TP, kActivation}, 2}}));
  EXPECT_EQ(lower_block(kLlama, s)[1].cast_share, 0.25);  // each rank casts its own tokens
  EXPECT_EQ(lower_block(kLlama, s)[4].grad_cast_share, 0.25);
}

TEST(Lowering, FrozenWeightsDoNotGatherTheirInputAgain) {
  Block frozen = kLlama;
  for (Op& op : frozen.ops) op.trainable = false;
  const auto [forward, backward] = passes(frozen, sizes(4, true));
  EXPECT_EQ(backward,
            (Tally{{{Kind::AllGather, Axis::TP, kActivation}, 2}, {{Kind::ReduceScatter, Axis::TP, kActivation}, 2}}));
}

const Block kMoe{"moe", test::moe_feed_forward(kHidden, kInner, 8, 2)};

TEST(Lowering, ExpertParallelismExchangesRoutedTokens) {
  // Each rank sends top_k copies of its tokens: once to the experts, once back, the same for the gradients.
  const double sent = kTokens * 2 * kHidden * 2;
  const auto [forward, backward] = passes(kMoe, sizes(1, false, 1, 4));
  EXPECT_EQ(forward, (Tally{{{Kind::AllToAll, Axis::EP, sent}, 2}}));
  EXPECT_EQ(backward, forward);
}

TEST(Lowering, SequenceParallelismSplitsTheRoutedTokens) {
  const double sent = kTokens / 4 * 2 * kHidden * 2;
  const auto [forward, backward] = passes(kMoe, sizes(4, true, 1, 4));
  EXPECT_EQ(forward, (Tally{{{Kind::AllToAll, Axis::EP, sent}, 2}}));
  EXPECT_EQ(backward, forward);
}

TEST(Lowering, ExpertTensorParallelismGathersAndScatters) {
  // Tokens of the etp members differ, so they are gathered before the split experts and reduce-scattered after.
  for (const auto& [tp, own] : {std::pair{2, kTokens / 2}, std::pair{1, kTokens}}) {
    const double sent = own * 2 * kHidden * 2;
    const auto [forward, backward] = passes(kMoe, sizes(tp, tp > 1, 1, 2, 2));
    const Tally expected{{{Kind::AllToAll, Axis::EP, sent}, 2},
                         {{Kind::AllGather, Axis::ETP, 2 * sent}, 1},
                         {{Kind::ReduceScatter, Axis::ETP, 2 * sent}, 1}};
    EXPECT_EQ(forward, expected) << "tp " << tp;
    EXPECT_EQ(backward, expected) << "tp " << tp;
  }
}

TEST(Lowering, AllGatherDispatcherSendsEveryToken) {
  // 4 x 2 ranks: every token once to each, with a byte map and fp32 weights of all 8 experts; only sums come back.
  LocalSizes s = sizes(1, false, 1, 4, 2);
  s.routing.dispatcher = Dispatcher::AllGather;
  const double row = kHidden * 2, all = kTokens * 4;
  const auto [forward, backward] = passes(kMoe, s);
  EXPECT_EQ(forward, (Tally{{{Kind::AllGather, Axis::EP, all * (row + 5 * 8)}, 1},
                            {{Kind::AllGather, Axis::ETP, 2 * all * (row + 5 * 8)}, 1},
                            {{Kind::ReduceScatter, Axis::ETP, 2 * all * row}, 1},
                            {{Kind::ReduceScatter, Axis::EP, all * row}, 1}}));
  EXPECT_EQ(backward, (Tally{{{Kind::AllGather, Axis::EP, all * row}, 1},
                             {{Kind::AllGather, Axis::ETP, 2 * all * row}, 1},
                             {{Kind::ReduceScatter, Axis::ETP, 2 * all * (row + 4 * 8)}, 1},
                             {{Kind::ReduceScatter, Axis::EP, all * (row + 4 * 8)}, 1}}));
}

TEST(Lowering, DeepEpExchangesWithDeduplicatedRows) {
  LocalSizes s = sizes(1, false, 1, 4);
  s.routing.dispatcher = Dispatcher::DeepEP, s.routing.max_nodes = 2;
  int exchanges = 0;
  for (const LocalOp& op : lower_block(kMoe, s)) {
    for (const Calls& calls : {op.forward_before, op.forward_after, op.backward_before, op.backward_after}) {
      for (const CollectiveCall& call : calls) {
        ++exchanges;
        EXPECT_EQ(call.bytes, kTokens * 2 * kHidden * 2);
        EXPECT_TRUE(call.copies.top_k == 2 && call.copies.experts == 8 && call.copies.max_domains == 2);
      }
    }
  }
  EXPECT_EQ(exchanges, 4);
}

TEST(Lowering, FullestRankBoundsExpertsAndExchange) {
  LocalSizes s = sizes(1, false, 1, 4);
  s.routing.load.kind = LoadKind::Histogram;
  s.routing.load.histogram = {3, 1, 1, 0, 1, 1, 1, 0};
  for (const LocalOp& op : lower_block(kMoe, s)) {
    if (op.op->kind == OpKind::Dispatch) {
      EXPECT_EQ(op.forward_after.at(0).load, 2);
    }
    if (op.op->kind != OpKind::GroupedMatmul) continue;
    EXPECT_EQ(op.rows, kTokens * 2);  // the mean; all ranks together compute every routed row
    EXPECT_EQ(op.busy_rows(), 2 * kTokens * 2);
    EXPECT_EQ(op.expert_rows, (std::vector<double>{3 * kTokens, kTokens}));
  }
}

TEST(Lowering, PaddingToCapacityFillsRows) {
  LocalSizes s = sizes(1, false, 1, 4);
  s.routing.capacity_factor = 1.25, s.routing.pad_to_capacity = true;
  for (const LocalOp& op : lower_block(kMoe, s)) {
    if (op.op->kind == OpKind::Combine) {
      EXPECT_EQ(op.forward_before.at(0).bytes, 1.25 * kTokens * 2 * kHidden * 2);
    }
    if (op.op->kind == OpKind::GroupedMatmul) {
      EXPECT_EQ(op.busy_rows(), 1.25 * kTokens * 2);
    }
  }
}

TEST(Lowering, ExpertsSplitLikeAPlainMlpWithoutSequenceParallelism) {
  // Every tp rank holds the same tokens: partial sums are all-reduced, forward after the experts, backward before them.
  const double routed = kTokens * 2 * kHidden * 2;
  const auto [forward, backward] = passes(kMoe, sizes(2, false, 1, 1, 2));
  EXPECT_EQ(forward, (Tally{{{Kind::AllReduce, Axis::ETP, routed}, 1}}));
  EXPECT_EQ(backward, forward);
}

TEST(Lowering, AReplicatedOpBetweenShardedOnes) {
  // column -> replicated gathers the features; replicated -> column keeps the full input, whose gradient is
  // all-reduced.
  const Block block{"b",
                    {test::make_op(OpKind::Matmul, "split", kHidden, kInner, Sharding::Column),
                     test::make_op(OpKind::Norm, "whole", kInner, kInner, Sharding::Replicated),
                     test::make_op(OpKind::Matmul, "again", kInner, kHidden, Sharding::Column)}};
  const std::vector<LocalOp> ops = lower_block(block, sizes(4, false));
  const double inner = kTokens * kInner * 2;
  ASSERT_EQ(ops[1].forward_before.size(), 1u);
  EXPECT_EQ(ops[1].forward_before[0].kind, Kind::AllGather);
  EXPECT_EQ(ops[1].forward_before[0].bytes, inner);
  ASSERT_EQ(ops[2].beside_weight_grad.size(), 1u);
  EXPECT_EQ(ops[2].beside_weight_grad[0].kind, Kind::AllReduce);
  EXPECT_EQ(ops[2].beside_weight_grad[0].bytes, inner);
}

TEST(Lowering, AnOpReadsTheInputItNames) {
  // In a parallel block the MLP's column matmul reads the norm, not the row matmul before it.
  std::vector<Op> ops = test::llama_layer(kHidden, kHeads, kKv, kHead, kInner);
  ops[7].input = "norm1";
  const std::vector<LocalOp> local = lower_block({"parallel", ops}, sizes(4, true));
  ASSERT_EQ(local[7].forward_before.size(), 1u);
  EXPECT_EQ(local[7].forward_before[0].bytes, kActivation);
  ops[7].input = "qkv";  // split features: they must be gathered first
  EXPECT_EQ(lower_block({"odd", ops}, sizes(4, true))[7].forward_before[0].kind, Kind::AllGather);
}

TEST(Lowering, RowsAndFeaturesOfARank) {
  const std::vector<LocalOp> ops = lower_block(kLlama, sizes(4, true, 2));
  const auto of = [&](const std::string& name) {
    return *std::find_if(ops.begin(), ops.end(), [&](const LocalOp& op) { return op.op->name == name; });
  };
  EXPECT_EQ(of("norm1").rows, kTokens / 2 / 4);
  EXPECT_EQ(of("qkv").rows, kTokens / 2);
  EXPECT_EQ(of("qkv").out, (kHeads + 2 * kKv) * kHead / 4);
  EXPECT_EQ(of("attention").heads, kHeads / 4);
  EXPECT_EQ(of("attention").kv_heads, kKv / 4);
  EXPECT_EQ(of("proj").in, kHeads * kHead / 4);
  EXPECT_EQ(of("fc2").parameters, kInner * kHidden / 4);
  EXPECT_EQ(of("norm2").parameters, kHidden);
  EXPECT_FALSE(of("fc2").expert_weights);
}

TEST(Lowering, WorkAndWeightsOfAllRanksAreThoseOfTheModel) {
  // Whatever the layout, matmul rows x features and weights summed over ranks are the unsharded op's.
  for (int tp : {1, 2, 4}) {
    for (int ep : {1, 2, 4}) {
      for (int etp : {1, 2, 4}) {
        const LocalSizes s = sizes(tp, tp > 1, 1, ep, etp);
        const double tokens_of_all = kTokens * 8 / tp;  // 8 ranks: 8 / tp replicas of one micro-batch each
        for (const LocalOp& op : lower_block(kMoe, s)) {
          if (op.op->kind != OpKind::GroupedMatmul) continue;
          EXPECT_DOUBLE_EQ(8 * op.rows * op.in * op.out, tokens_of_all * 2 * op.op->in_features * op.op->out_features)
              << "tp " << tp << " ep " << ep << " etp " << etp;
          EXPECT_DOUBLE_EQ(op.parameters * ep * etp, parameter_count(*op.op));
          EXPECT_EQ(op.local_experts, 8 / ep);
          EXPECT_TRUE(op.expert_weights);
        }
      }
    }
  }
}

TEST(LocalSizes, FromStrategyAndModel) {
  ModelSpec m;
  Strategy s;
  s.micro_batch = 3, s.cp = 2, s.tp = 1, s.sequence_parallel = true;
  LocalSizes sizes = local_sizes(m, s, {}, 100);
  EXPECT_EQ(sizes.tokens, 150);
  EXPECT_EQ(sizes.samples, 3);
  EXPECT_EQ(sizes.activation_bytes, 2);
  EXPECT_FALSE(sizes.sequence_parallel);  // nothing to split over one rank
  m.tokens_per_sample = 10;
  s.precision = DType::FP32, s.tp = 2;
  sizes = local_sizes(m, s, {}, 100);
  EXPECT_EQ(sizes.tokens, 15);
  EXPECT_EQ(sizes.seq_len, 10);
  EXPECT_EQ(sizes.activation_bytes, 4);
  EXPECT_TRUE(sizes.sequence_parallel);
  s.precision = DType::FP8;
  EXPECT_EQ(local_sizes(m, s, {}, 1).activation_bytes, 2);
}

TEST(Lowering, EveryStepOfARingReadsItsPartOfTheSequence) {
  const DeviceSpec device = dts_test::round_device();
  const FrameworkProfile profile;
  const LocalSizes s = context_sizes(1, false);
  const LocalOp op = attention_of(lower_block(kLlama, s));
  const double part = s.seq_len / 4;
  const AttentionShape shape{s.samples, op.heads, op.kv_heads, part, part, kHead, kHead, true, 0};
  const double bytes = flash_attention_bytes(device, DType::BF16, shape, false);
  EXPECT_DOUBLE_EQ((OpTimer{device, profile, s, DType::BF16}.bytes(op, GemmPass::Forward)), 4 * bytes);
}

}  // namespace

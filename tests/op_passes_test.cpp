#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "compute/attention.hpp"
#include "compute/gemm.hpp"
#include "memory_blocks.hpp"
#include "pricing/block_cost.hpp"
#include "pricing/group_pricer.hpp"
#include "test_device.hpp"

namespace {

using namespace dts;

// Every collective takes 1 us and 1 ns per kilobyte on 13 multiprocessors; a domain holds `domain` neighbouring ranks.
class FlatNetwork final : public Interconnect {
 public:
  explicit FlatNetwork(int domain) : domain_(domain) {}
  int device_count() const override { return 64; }
  bool uniform() const override { return true; }
  RankGroup group(std::vector<int> ranks) const override {
    const auto [low, high] = std::minmax_element(ranks.begin(), ranks.end());
    const int n = static_cast<int>(ranks.size()), domains = *high / domain_ - *low / domain_ + 1;
    return {std::move(ranks), {n, 1, domains, 1}};
  }
  CollectiveCost cost(CollectiveKind, double bytes, const RankGroup&) const override {
    CollectiveCost c;
    c.time_s = 1e-6 + bytes * 1e-12, c.sms = 13;
    return c;
  }
  CollectiveCost exchange(double bytes, const TokenCopies&, const RankGroup& group) const override {
    return cost(CollectiveKind::AllToAll, bytes, group);
  }
  void add_traffic(CollectiveKind, double, double, const RankGroup&, std::vector<double>&) const override {}
  void add_exchange_traffic(double, const TokenCopies&, double, const RankGroup&, std::vector<double>&) const override {
  }

 private:
  int domain_;
};

struct Case {
  Strategy s;
  FrameworkProfile p;
  int domain = 8;
  Fp8Recipe recipe = Fp8Recipe::Tensorwise;
  double micro_batches = 1;
  Block block{"layer", test::llama_layer(4096, 32, 8, 128, 14336)};

  Case() {
    s.tp = 4, s.sequence_parallel = true;
    p.host_forward_s_per_op = p.host_backward_s_per_op = 0;
  }

  BlockCost price() const {
    const FlatNetwork network(domain);
    const RankGrid grid(s);
    const GroupPricer groups(network, grid);
    DeviceSpec device = dts_test::round_device();
    device.rates[index_of(DType::FP8)] = {200e12, 1, 0.5};
    device.gemm_fp8 = device.gemm;
    const BlockContext context{device, p,      groups,       local_sizes({}, s, p, 8192), s.recompute, s.precision,
                               recipe, s.zero, micro_batches};
    return price_block(block, context, BlockRole::Layer);
  }
};

double sum(const std::array<double, kAxisCount>& by_axis) {
  return std::accumulate(by_axis.begin(), by_axis.end(), 0.0);
}

void expect_conserved(const BlockCost& cost) {
  for (const PassCost* pass : {&cost.forward, &cost.recompute, &cost.backward}) {
    EXPECT_NEAR(pass->total_s, pass->compute_s + sum(pass->exposed_s), 1e-12);
    for (std::size_t axis = 0; axis < kAxisCount; ++axis) {
      EXPECT_LE(pass->exposed_s[axis], pass->comm_s[axis] + 1e-15);  // the rest is hidden
      EXPECT_GE(pass->exposed_s[axis], 0);
    }
  }
}

constexpr auto kTp = static_cast<std::size_t>(Axis::TP), kCp = static_cast<std::size_t>(Axis::CP);

TEST(OpPasses, ExposedAndHiddenAreAllCommunication) {
  for (TpOverlap mode : {TpOverlap::None, TpOverlap::Bulk, TpOverlap::Userbuffers, TpOverlap::AsyncTp}) {
    for (ContextComm comm : {ContextComm::P2P, ContextComm::AllGather, ContextComm::A2A, ContextComm::A2AP2P}) {
      for (Recompute recompute : {Recompute::None, Recompute::Full}) {
        Case c;
        c.p.tp_overlap = mode;
        c.s.cp = 4, c.s.cp_comm = comm, c.s.cp_a2a = comm == ContextComm::A2AP2P ? 2 : 1, c.s.recompute = recompute;
        const BlockCost cost = c.price();
        expect_conserved(cost);
        // Whatever the ranks of a context exchange is of one axis.
        EXPECT_GT(cost.forward.comm_s[kCp], 0);
        EXPECT_DOUBLE_EQ(sum(cost.forward.comm_s), cost.forward.comm_s[kTp] + cost.forward.comm_s[kCp]);
      }
    }
  }
}

TEST(OpPasses, BlockingExposesEverything) {
  Case c;
  c.p.tp_overlap = TpOverlap::None;
  const BlockCost cost = c.price();
  EXPECT_DOUBLE_EQ(cost.forward.exposed_s[kTp], cost.forward.comm_s[kTp]);
  EXPECT_DOUBLE_EQ(cost.backward.exposed_s[kTp], cost.backward.comm_s[kTp]);
  // Forward: two gathers and two scatters of 8192 x 4096 bf16.
  EXPECT_DOUBLE_EQ(cost.forward.comm_s[kTp], 4 * (1e-6 + 8192 * 4096 * 2 * 1e-12));
}

TEST(OpPasses, BulkHidesBehindGradientMatmulsButTakesMultiprocessors) {
  Case c;
  const BlockCost cost = c.price();
  const double call_s = 1e-6 + 8192 * 4096 * 2 * 1e-12;
  // Of six calls the two gathers of output gradients block; four run beside longer matmuls, on 13 of 100
  // multiprocessors.
  EXPECT_NEAR(cost.backward.exposed_s[kTp], (2 + 4 * 0.13) * call_s, 1e-12);
  EXPECT_DOUBLE_EQ(cost.forward.exposed_s[kTp], cost.forward.comm_s[kTp]);
}

TEST(OpPasses, SplitMatmulsHideForwardToo) {
  Case bulk, ub, async;
  ub.p.tp_overlap = TpOverlap::Userbuffers;
  async.p.tp_overlap = TpOverlap::AsyncTp;
  const BlockCost b = bulk.price(), u = ub.price(), a = async.price();
  EXPECT_LT(u.forward.exposed_s[kTp], 0.5 * b.forward.exposed_s[kTp]);
  EXPECT_LT(u.backward.exposed_s[kTp], b.backward.exposed_s[kTp]);
  EXPECT_EQ(a.forward.exposed_s[kTp], 0);               // hops of copy engines, shorter than any chunk
  EXPECT_GT(a.backward.exposed_s[kTp], 0);              // the gathers of the weight gradients still block
  EXPECT_GT(u.forward.compute_s, b.forward.compute_s);  // chunks fill the device less well
  // What travels is the same, whatever runs beside it.
  EXPECT_EQ(u.forward_calls.size(), b.forward_calls.size());
}

// A column and a row product alone, 8192 tokens and four ranks; a collective of all of it, a hop of a quarter.
constexpr double kCall_s = 1e-6 + 8192 * 4096 * 2 * 1e-12, kHop_s = 1e-6 + 8192 * 1024 * 2 * 1e-12;

double product_s(const GemmShape& shape, GemmPass pass) {
  return gemm_time_s(dts_test::round_device(), DType::BF16, shape, pass, pass == GemmPass::WeightGrad ? 8 : 2);
}

TEST(OpPasses, AColumnProductInChunksByHand) {
  Case c;
  c.block = {"up", {test::make_op(OpKind::Matmul, "up", 4096, 8192, Sharding::Column)}};
  const double chunk_s = product_s({2048, 2048, 4096}, GemmPass::Forward);
  const double back_s = product_s({2048, 4096, 2048}, GemmPass::DataGrad);
  const double weight_s = product_s({4096, 2048, 8192}, GemmPass::WeightGrad);
  ASSERT_GT(chunk_s, kHop_s);
  c.p.tp_overlap = TpOverlap::AsyncTp;
  const BlockCost async = c.price();
  EXPECT_NEAR(async.forward.total_s, 4 * chunk_s, 1e-12);
  EXPECT_NEAR(async.forward.comm_s[kTp], 3 * kHop_s, 1e-12);
  EXPECT_EQ(async.forward.exposed_s[kTp], 0);
  EXPECT_NEAR(async.forward.slack_s[kTp], 4 * chunk_s - 3 * kHop_s, 1e-12);
  EXPECT_NEAR(async.backward.total_s, kCall_s + 4 * back_s + weight_s, 1e-12);
  EXPECT_NEAR(async.backward.comm_s[kTp], kCall_s + 3 * kHop_s, 1e-12);
  c.p.tp_overlap = TpOverlap::Userbuffers;  // a hop takes one of 100 multiprocessors
  EXPECT_NEAR(c.price().forward.total_s, 4 * chunk_s + 3 * 0.01 * kHop_s, 1e-12);
  EXPECT_NEAR(c.price().forward.exposed_s[kTp], 3 * 0.01 * kHop_s, 1e-12);
}

TEST(OpPasses, ARowProductInPiecesByHand) {
  Case c;
  c.block = {"both",
             {test::make_op(OpKind::Matmul, "up", 4096, 8192, Sharding::Column),
              test::make_op(OpKind::Matmul, "down", 8192, 4096, Sharding::Row)}};
  const double up_s = product_s({2048, 2048, 4096}, GemmPass::Forward);
  const double down_s = product_s({2048, 4096, 2048}, GemmPass::Forward);
  const double down_back_s = product_s({2048, 2048, 4096}, GemmPass::DataGrad);
  const double up_back_s = product_s({8192, 4096, 2048}, GemmPass::DataGrad);
  const double weights_s =
      product_s({4096, 2048, 8192}, GemmPass::WeightGrad) + product_s({2048, 4096, 8192}, GemmPass::WeightGrad);
  c.p.tp_overlap = TpOverlap::Userbuffers;
  // Forward: four chunks of the column product; four pieces of the row product, of which the last scatter has nothing
  // beside it. Backward: chunks of the row product; the column product's transfers run beside whole matmuls.
  const BlockCost cost = c.price();
  EXPECT_NEAR(cost.forward.total_s, 4 * (up_s + down_s) + 3 * (0.01 + 0.16) * kHop_s + kHop_s, 1e-12);
  EXPECT_NEAR(cost.forward.comm_s[kTp], 3 * kHop_s + 4 * kHop_s, 1e-12);
  EXPECT_NEAR(cost.backward.total_s, 4 * down_back_s + 3 * 0.01 * kHop_s + weights_s + up_back_s + 2 * 0.16 * kCall_s,
              1e-12);
  EXPECT_NEAR(cost.backward.comm_s[kTp], 3 * kHop_s + 2 * kCall_s, 1e-12);
  c.p.tp_overlap = TpOverlap::AsyncTp;  // copy engines
  EXPECT_NEAR(c.price().forward.total_s, 4 * (up_s + down_s), 1e-12);
}

// Keys and values of 2048 tokens and four heads go around: three times forward; backward also their gradients.
TEST(OpPasses, ARingOfFourByHand) {
  Case c;
  c.s.tp = 1, c.s.sequence_parallel = false, c.s.cp = 4;
  c.block = {"attention", {test::make_attention(8, 4, 64)}};
  c.block.ops[0].causal = false;
  const auto kernel_s = [](bool backward) {
    return flash_attention_time_s(dts_test::round_device(), DType::BF16, {1, 8, 4, 2048, 2048, 64, 64, false, 0},
                                  backward, true);
  };
  const double bytes = 2048.0 * 4 * (64 + 64) * 2;
  const double corrected_s = 1e-6 + 3 * 2.0 * 2048 * 8 * 64 / 1e12;
  const auto send_s = [&](double times) { return 1e-6 + times * bytes * 1e-12; };
  const double own_s = kernel_s(false), later_s = own_s + corrected_s;
  const BlockCost cost = c.price();
  EXPECT_NEAR(cost.forward.compute_s, own_s + 3 * later_s, 1e-12);
  EXPECT_NEAR(cost.forward.comm_s[kCp], 3 * send_s(1), 1e-12);
  EXPECT_NEAR(cost.forward.total_s, own_s + 3 * later_s + 3 * 0.13 * send_s(1), 1e-12);  // 13 multiprocessors of 100
  const double back_s = kernel_s(true) + corrected_s;
  EXPECT_NEAR(cost.backward.comm_s[kCp], 2 * send_s(1) + 2 * send_s(2), 1e-12);
  EXPECT_NEAR(cost.backward.total_s, kernel_s(true) + 3 * back_s + 0.13 * (2 * send_s(1) + 2 * send_s(2)), 1e-12);
}

TEST(OpPasses, NothingIsSplitAcrossDomainsOrWithoutSequenceParallelism) {
  Case across, whole, plain, plain_ub;
  across.domain = 2, across.p.tp_overlap = TpOverlap::Userbuffers;
  whole.domain = 2;
  EXPECT_EQ(across.price().forward.total_s, whole.price().forward.total_s);
  EXPECT_EQ(across.price().backward.total_s, whole.price().backward.total_s);
  plain.s.sequence_parallel = plain_ub.s.sequence_parallel = false;
  plain_ub.p.tp_overlap = TpOverlap::Userbuffers;
  EXPECT_EQ(plain_ub.price().forward.total_s, plain.price().forward.total_s);
}

TEST(OpPasses, EveryChunkIsAKernelOfTheHost) {
  Case c;
  c.p.host_forward_s_per_op = 1;  // the floor is all there is: one second per kernel
  const double plain = c.price().forward.total_s;
  c.p.tp_overlap = TpOverlap::Userbuffers;
  EXPECT_NEAR(c.price().forward.total_s - plain, 2 * 3 + 2 * 3, 1e-9);  // 4 hops each twice, 4 pieces each twice
}

TEST(OpPasses, EightBitResultsAreScatteredHopByHop) {
  for (const auto& [precision, more] : {std::pair(DType::BF16, 2 * 1 + 2 * 3), std::pair(DType::FP8, 4 * 1)}) {
    Case c;
    c.s.tp = 2, c.s.precision = precision;
    c.p.host_forward_s_per_op = 1;
    const double plain = c.price().forward.total_s;
    c.p.tp_overlap = TpOverlap::Userbuffers;
    EXPECT_NEAR(c.price().forward.total_s - plain, more, 1e-9);  // two hops each twice; four pieces, or two hops
  }
}

TEST(OpPasses, KernelsOfAttentionThatIsSplitOverRanks) {
  for (const bool flash : {true, false}) {
    Case c;
    c.p.host_forward_s_per_op = 1;  // one second per kernel
    c.p.flash_attention = flash;
    const double whole = c.price().forward.total_s;
    const int kernel = flash ? 1 : 4;
    c.s.cp = 4;
    const auto more = [&](ContextComm comm) {
      c.s.cp_comm = comm;
      return c.price().forward.total_s - whole;
    };
    EXPECT_NEAR(more(ContextComm::P2P), 3 * kernel + 3, 1e-3) << flash;  // four blocks, three corrections
    EXPECT_NEAR(more(ContextComm::AllGather), kernel + 2, 1e-3) << flash;
    EXPECT_NEAR(more(ContextComm::A2A), 8, 1e-3) << flash;  // copies before and after
  }
}

TEST(OpPasses, HybridIsTheRingOrUlyssesAtItsEnds) {
  Case ring, hybrid, ulysses;
  ring.s.cp = hybrid.s.cp = ulysses.s.cp = 4;
  ring.s.tp = hybrid.s.tp = ulysses.s.tp = 2;
  hybrid.s.cp_comm = ContextComm::A2AP2P, ulysses.s.cp_comm = ContextComm::A2A;
  hybrid.s.cp_a2a = 1;
  EXPECT_EQ(hybrid.price().forward.total_s, ring.price().forward.total_s);
  EXPECT_EQ(hybrid.price().backward.total_s, ring.price().backward.total_s);
  hybrid.s.cp_a2a = 4;
  EXPECT_EQ(hybrid.price().forward.total_s, ulysses.price().forward.total_s);
  EXPECT_EQ(hybrid.price().backward.comm_s[kCp], ulysses.price().backward.comm_s[kCp]);
}

TEST(OpPasses, RanksShareTheFlopsOfAttentionHoweverTheyTalk) {
  Case c;
  const double whole = c.price().forward_flops;
  c.s.cp = 4;
  for (ContextComm comm : {ContextComm::P2P, ContextComm::AllGather, ContextComm::A2A}) {
    c.s.cp_comm = comm;
    EXPECT_DOUBLE_EQ(4 * c.price().forward_flops, whole);
  }
}

TEST(OpPasses, RecipesDifferInTheirCasts) {
  Case c;
  c.s.precision = DType::FP8;
  std::vector<double> seen;
  for (Fp8Recipe recipe : {Fp8Recipe::Tensorwise, Fp8Recipe::Delayed, Fp8Recipe::Blockwise, Fp8Recipe::MXFP8}) {
    c.recipe = recipe;
    seen.push_back(c.price().forward.compute_s + c.price().backward.compute_s);
  }
  for (std::size_t i = 0; i < seen.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) EXPECT_NE(seen[i], seen[j]) << i << " " << j;
  }
  EXPECT_LT(seen[1], seen[0]);  // past maxima spare a reading pass
}

TEST(OpPasses, WeightsAreCastOnceAStepOrAtEachUse) {
  Case c;
  c.s.precision = DType::FP8;
  const double one = c.price().forward.compute_s;
  c.micro_batches = 1e9;
  const double spread = c.price().forward.compute_s;
  EXPECT_LT(spread, one);
  c.p.cached_casts = false;
  const BlockCost each = c.price();
  EXPECT_DOUBLE_EQ(each.forward.compute_s, one);  // per-tensor casts serve both directions
  EXPECT_EQ(each.cast_bytes, 0);
  c.p.cached_casts = true;
  EXPECT_GT(each.backward.compute_s, c.price().backward.compute_s);  // inputs and weights again
  const BlockCost kept = c.price();
  EXPECT_EQ(kept.cast_bytes, kept.dense_parameters - 2 * 4096);  // one byte per weight, norms apart
  c.s.zero = 3;
  EXPECT_EQ(c.price().cast_bytes, 0);
}

TEST(OpPasses, ZeroGathersNarrowWeights) {
  Case c;
  c.s.precision = DType::FP8, c.s.zero = 1, c.s.dp = 4;
  const BlockCost wide = c.price();
  EXPECT_EQ(wide.dense_gathered_bytes, 2 * wide.dense_parameters);
  c.p.cast_parameters = true;
  const BlockCost narrow = c.price();
  EXPECT_EQ(narrow.dense_gathered_bytes, narrow.dense_parameters + 2 * 4096);  // norms stay wide
  EXPECT_LT(narrow.forward.compute_s, wide.forward.compute_s);                 // each owner casts its quarter
}

TEST(OpPasses, FrozenWeightsHaveNoWeightGradient) {
  Case c, frozen;
  for (Op& op : frozen.block.ops) op.trainable = false;
  const BlockCost all = c.price(), none = frozen.price();
  EXPECT_EQ(none.dense_trainable, 0);
  EXPECT_EQ(none.dense_parameters, all.dense_parameters);
  EXPECT_LT(none.backward_flops, all.backward_flops);
  EXPECT_LT(none.backward.comm_s[kTp], all.backward.comm_s[kTp]);
  expect_conserved(none);
}

}  // namespace

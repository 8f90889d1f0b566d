#include "pricing/block_cost.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "compute/attention.hpp"
#include "compute/gemm.hpp"
#include "compute/grouped.hpp"
#include "pricing/group_pricer.hpp"
#include "pricing/op_cost.hpp"
#include "small_jobs.hpp"

namespace {

using namespace dts;
using test::bare_profile;
using test::make_op;
using test::WireNetwork;

const DeviceSpec kDevice = test::paper_device();

Strategy layout(int tp, bool sequence_parallel = true) {
  Strategy s;
  s.tp = tp, s.etp = tp, s.sequence_parallel = sequence_parallel && tp > 1;
  return s;
}

struct Setting {
  Strategy strategy = layout(1);
  FrameworkProfile profile = bare_profile();
  double bytes_per_s = 1e9;
  double seq_len = 64;
  Recompute recompute = Recompute::None;
  DType precision = DType::BF16;
  UnitCopies unit_copies = UnitCopies::None;
  bool split_backward = false;
};

BlockCost price(const Block& block, const Setting& g, BlockRole role = BlockRole::Layer,
                const DeviceSpec& device = kDevice) {
  const WireNetwork network(static_cast<int>(world_size(g.strategy)), 0, g.bytes_per_s);
  const RankGrid grid(g.strategy);
  const GroupPricer groups(network, grid);
  Strategy s = g.strategy;
  s.precision = g.precision;
  BlockContext context{device, g.profile, groups, local_sizes({}, s, g.profile, g.seq_len), g.recompute, g.precision};
  context.unit_copies = g.unit_copies, context.split_backward = g.split_backward;
  return price_block(block, context, role);
}

double exposed(const PassCost& pass) { return std::accumulate(pass.exposed_s.begin(), pass.exposed_s.end(), 0.0); }
double at(const std::array<double, kAxisCount>& list, Axis axis) { return list[static_cast<std::size_t>(axis)]; }

const Block kLlama{"layer", test::llama_layer(256, 8, 4, 32, 512)};
const Block kColumn{"column", {make_op(OpKind::Matmul, "up", 4096, 8192, Sharding::Column)}};

TEST(BlockCost, AMatmulIsItsThreeProducts) {
  Setting g;
  g.seq_len = 1024;
  const BlockCost cost = price(kColumn, g);
  const GemmShape forward{1024, 8192, 4096};
  const auto s = [&](GemmPass pass) { return gemm_time_s(kDevice, DType::BF16, pass_shape(forward, pass), pass, 2); };
  EXPECT_EQ(cost.forward.total_s, s(GemmPass::Forward));
  EXPECT_EQ(cost.backward.total_s, s(GemmPass::DataGrad) + s(GemmPass::WeightGrad));
  EXPECT_EQ(cost.forward_flops, 2.0 * 1024 * 8192 * 4096);
  EXPECT_EQ(cost.dense_parameters, 4096 * 8192);
  EXPECT_EQ(cost.dense_trainable, 4096 * 8192);
  EXPECT_EQ(cost.expert_parameters, 0);
}

TEST(BlockCost, AdaptersStayInSixteenBits) {
  DeviceSpec device = kDevice;
  device.rates[index_of(DType::FP8)] = {200e12, 1, 0.5};
  Setting wide, narrow;
  wide.seq_len = narrow.seq_len = 1024;
  narrow.precision = DType::FP8;
  for (const auto& [in, out] : {std::pair{4096.0, 16.0}, std::pair{16.0, 4096.0}}) {
    const Block adapter{"adapter", {make_op(OpKind::Matmul, "a", in, out, Sharding::Column)}};
    EXPECT_EQ(price(adapter, narrow, BlockRole::Layer, device).forward.total_s,
              price(adapter, wide, BlockRole::Layer, device).forward.total_s);
    EXPECT_EQ(price(adapter, narrow, BlockRole::Layer, device).backward.total_s,
              price(adapter, wide, BlockRole::Layer, device).backward.total_s);
  }
  EXPECT_NE(price(kColumn, narrow, BlockRole::Layer, device).forward.total_s,
            price(kColumn, wide, BlockRole::Layer, device).forward.total_s);
}

TEST(BlockCost, FrozenWeightsHaveNoWeightGradient) {
  Block frozen = kColumn;
  frozen.ops[0].trainable = false;
  const BlockCost cost = price(frozen, {});
  EXPECT_EQ(cost.ops[0].weight_grad_s, 0);
  EXPECT_EQ(cost.backward.total_s, cost.ops[0].data_grad_s);
  EXPECT_EQ(cost.dense_trainable, 0);
  EXPECT_EQ(cost.dense_parameters, 4096 * 8192);
}

TEST(BlockCost, BandwidthBoundOpsMoveTheirStatedBytes) {
  Op norm = test::make_norm("norm", 1000, false);
  norm.forward_bytes_per_element = 4, norm.backward_bytes_per_element = 8;
  Op add = make_op(OpKind::Elementwise, "add", 1000, 1000, Sharding::Sequence, false);
  add.forward_bytes_per_element = 6;
  Setting g;
  const BlockCost cost = price({"b", {norm, add}}, g);
  // Norms reach half of 1 TB/s, streams all of it; the gain's gradient moves 2 bytes a weight.
  EXPECT_DOUBLE_EQ(cost.ops[0].forward_s, 64 * 1000 * 4 / 0.5e12);
  EXPECT_DOUBLE_EQ(cost.ops[0].data_grad_s, 64 * 1000 * 8 / 0.5e12);
  EXPECT_DOUBLE_EQ(cost.ops[0].weight_grad_s, 1000 * 2 / 1e12);
  EXPECT_DOUBLE_EQ(cost.ops[1].forward_s, 64 * 1000 * 6 / 1e12);
  EXPECT_EQ(cost.ops[1].data_grad_s, 0);
  g.profile.memory_pass_factor = 2;
  EXPECT_DOUBLE_EQ(price({"b", {norm, add}}, g).ops[1].forward_s, 2 * cost.ops[1].forward_s);
  g.precision = DType::FP32;  // 4-byte activations
  EXPECT_DOUBLE_EQ(price({"b", {norm, add}}, g).ops[1].forward_s, 4 * cost.ops[1].forward_s);
}

TEST(BlockCost, AttentionIsSharedByContextRanks) {
  const Block block{"b", {test::make_attention(8, 4, 64)}};
  Setting g;
  g.seq_len = 1024;
  const AttentionShape shape{1, 8, 4, 1024, 1024, 64, 64, true, 0};
  const double whole = flash_attention_time_s(kDevice, DType::BF16, shape, false, true);
  EXPECT_EQ(price(block, g).ops[0].forward_s, whole);
  g.strategy.cp = 4;
  g.seq_len = 131072;  // long enough that the row blocks of a chunk fill the device
  const double long_s =
      flash_attention_time_s(kDevice, DType::BF16, {1, 8, 4, 131072, 131072, 64, 64, true, 0}, false, true);
  for (ContextComm comm : {ContextComm::P2P, ContextComm::AllGather}) {
    g.strategy.cp_comm = comm;
    EXPECT_NEAR(price(block, g).ops[0].forward_s, long_s / 4, 0.05 * long_s / 4);
  }
  g.seq_len = 1024;
  g.strategy = layout(2);
  EXPECT_EQ(price(block, g).ops[0].forward_s,
            flash_attention_time_s(kDevice, DType::BF16, {1, 4, 2, 1024, 1024, 64, 64, true, 0}, false, true));
}

TEST(BlockCost, KernelsOfContextRanksByHand) {
  // A quarter of 4096 tokens each; keys and values are 2 x 2 bytes x 4 heads x 128, what a step corrects 3 x 2 x 8
  // x 64.
  Setting g;
  g.seq_len = 4096;
  g.strategy.cp = 4;
  DeviceSpec device = kDevice;
  double window = 0;
  const auto kernel_s = [&](double queries, double keys, bool causal) {
    return flash_attention_time_s(device, DType::BF16, {1, 8, 4, queries, keys, 64, 64, causal, window}, false, true);
  };
  const auto forward_s = [&](ContextComm comm, bool causal) {
    Op attention = test::make_attention(8, 4, 64);
    attention.causal = causal, attention.window = window;
    g.strategy.cp_comm = comm;
    return price({"b", {attention}}, g, BlockRole::Layer, device).ops[0].forward_s;
  };
  for (double bandwidth_Bps : {1e12, 1e10}) {  // kernels bound by their products, and by their tensors
    device.hbm_Bps = bandwidth_Bps;
    const double copies_s = 2 * 2.0 * 4096 * 4 * (64 + 64) / bandwidth_Bps;
    const double corrected_s = 3 * 2.0 * 1024 * 8 * 64 / bandwidth_Bps;
    EXPECT_NEAR(forward_s(ContextComm::AllGather, false), copies_s + kernel_s(1024, 4096, false), 1e-12);
    EXPECT_NEAR(forward_s(ContextComm::P2P, false), 4 * kernel_s(1024, 1024, false) + 3 * corrected_s, 1e-12);
    // Causal: rank 0 has the first and the last of eight chunks, rank 3 the two in the middle.
    const double outer_s = kernel_s(512, 512, true) + kernel_s(512, 4096, true);
    const double inner_s = kernel_s(512, 2048, true) + kernel_s(512, 2560, true);
    EXPECT_NEAR(forward_s(ContextComm::AllGather, true), copies_s + std::max(outer_s, inner_s), 1e-12);
    const double later_s = std::max(kernel_s(1024, 512, false), kernel_s(512, 1024, false));
    EXPECT_NEAR(forward_s(ContextComm::P2P, true), kernel_s(1024, 1024, true) + 3 * (later_s + corrected_s), 1e-12);
  }
  // Of a window the first rank sees least: the two chunks in the middle take longest.
  device.hbm_Bps = 1e12, window = 1024;
  const double inner_s = kernel_s(512, 2048, true) + kernel_s(512, 2560, true);
  ASSERT_GT(inner_s, kernel_s(512, 512, true) + kernel_s(512, 4096, true));
  EXPECT_NEAR(forward_s(ContextComm::AllGather, true), 2 * 2.0 * 4096 * 4 * (64 + 64) / 1e12 + inner_s, 1e-12);
}

TEST(BlockCost, HeadsAreExchangedInFourPasses) {
  const Block block{"b", {test::make_attention(8, 4, 64)}};
  Setting g;
  g.seq_len = 1024;
  g.strategy.cp = 4;
  g.strategy.cp_comm = ContextComm::A2A;
  // Two of eight heads and one of four for all keys; four passes over a quarter of the tokens of all heads, 2 bytes
  // each.
  const double kernel_s =
      flash_attention_time_s(kDevice, DType::BF16, {1, 2, 1, 1024, 1024, 64, 64, true, 0}, false, true);
  const double copies_s = 4.0 * 2 * 256 * (8 + 4) * (64 + 64) / 1e12;
  EXPECT_NEAR(price(block, g).ops[0].forward_s, kernel_s + copies_s, 1e-12);
}

TEST(BlockCost, TheHeadKeepsSixteenBits) {
  DeviceSpec device = kDevice;
  device.rates[index_of(DType::FP8)] = {200e12, 1, 0.5};
  device.gemm_fp8 = device.gemm;
  Setting g;
  g.precision = DType::FP8;
  g.seq_len = 1024;
  const double wide =
      price(kColumn, Setting{layout(1), bare_profile(), 1e9, 1024}, BlockRole::Layer, device).forward.total_s;
  EXPECT_EQ(price(kColumn, g, BlockRole::Head, device).forward.total_s, wide);
  EXPECT_LT(price(kColumn, g, BlockRole::Layer, device).forward.total_s, wide);
}

TEST(BlockCost, ForwardCollectivesAreExposed) {
  // All-gather of 64 tokens x 4096 features x 2 bytes at 1 GB/s before the matmul can start.
  Setting g;
  g.strategy = layout(4);
  const BlockCost cost = price(kColumn, g);
  const double gather_s = 64 * 4096 * 2 / 1e9;
  EXPECT_DOUBLE_EQ(at(cost.forward.exposed_s, Axis::TP), gather_s);
  EXPECT_DOUBLE_EQ(cost.forward.total_s, gather_s + cost.forward.compute_s);
}

TEST(BlockCost, BackwardCollectivesHideUnderTheGradients) {
  Setting g;
  g.strategy = layout(4);
  g.bytes_per_s = 1e18;
  const BlockCost fast = price(kColumn, g);
  EXPECT_EQ(exposed(fast.backward), 0);
  g.bytes_per_s = 1e9;  // slower than compute: what sticks out of each gradient
  const BlockCost slow = price(kColumn, g);
  const double one_s = 64 * 4096 * 2 / 1e9, data_s = slow.ops[0].data_grad_s, weight_s = slow.ops[0].weight_grad_s;
  EXPECT_NEAR(exposed(slow.backward), (one_s - data_s) + (one_s - weight_s), 1e-15);
  EXPECT_DOUBLE_EQ(at(slow.backward.comm_s, Axis::TP), 2 * one_s);
  g.profile.tp_overlap = TpOverlap::None;
  EXPECT_DOUBLE_EQ(exposed(price(kColumn, g).backward), 2 * one_s);
}

TEST(BlockCost, TimeIsKernelsWaitsAndHost) {
  for (double rate : {1e7, 1e9, 1e10, 1e12}) {
    for (Recompute recompute : {Recompute::None, Recompute::Selective, Recompute::Full}) {
      for (SelectiveRule rule : {SelectiveRule::CoreAttention, SelectiveRule::AlternateMatmuls}) {
        Setting g;
        g.strategy = layout(2);
        g.strategy.cp = 2;
        g.bytes_per_s = rate, g.recompute = recompute;
        g.profile.selective = rule;
        g.profile.host_forward_s_per_op = 3e-6, g.profile.host_backward_s_per_op = 1e-6;
        const BlockCost cost = price(kLlama, g);
        for (const PassCost* pass : {&cost.forward, &cost.recompute, &cost.backward}) {
          EXPECT_NEAR(pass->total_s, pass->compute_s + pass->host_s + exposed(*pass), 1e-9 * pass->total_s);
          for (std::size_t a = 0; a < kAxisCount; ++a) EXPECT_LE(pass->exposed_s[a], pass->comm_s[a] * (1 + 1e-12));
        }
      }
    }
  }
}

TEST(BlockCost, FullRecomputationIsTheForwardAgain) {
  Setting g;
  g.strategy = layout(2);
  g.recompute = Recompute::Full;
  const BlockCost cost = price(kLlama, g);
  EXPECT_DOUBLE_EQ(cost.recompute.total_s, cost.forward.total_s);
  EXPECT_EQ(cost.recompute_flops, cost.forward_flops);
  EXPECT_EQ(cost.recompute_calls.size(), cost.forward_calls.size());
  EXPECT_EQ(price(kLlama, g, BlockRole::Head).recompute.total_s, 0);  // the head keeps its tape
}

TEST(BlockCost, APartlyRecomputedMatmulPaysItsShare) {
  Setting g;
  g.recompute = Recompute::Selective;
  g.profile.selective = SelectiveRule::AlternateMatmuls;
  const BlockCost cost = price(kLlama, g);
  double expected = 0, flops = 0;
  const double tokens = 64;
  for (const OpCost& op : cost.ops) {
    const double share = op.name == "attention" || op.name == "fc2" ? 0
                         : op.name == "qkv"                         ? 0.25
                         : op.name == "fc1"                         ? 0.5
                                                                    : 1;
    expected += share * op.forward_s;
  }
  flops = 2 * tokens * (256 * 512 * 0.25 + 256 * 256 + 256 * 1024 * 0.5);
  EXPECT_NEAR(cost.recompute.compute_s, expected, 1e-15);
  EXPECT_DOUBLE_EQ(cost.recompute_flops, flops);
}

TEST(BlockCost, TheHostIssuesEveryKernel) {
  // Eleven kernels in a Llama layer with flash attention; unfused attention takes four instead of one.
  Setting g;
  g.profile.host_forward_s_per_op = 1, g.profile.host_backward_s_per_op = 2;
  EXPECT_DOUBLE_EQ(price(kLlama, g).forward.total_s, 11);
  EXPECT_DOUBLE_EQ(price(kLlama, g).backward.total_s, 22);
  g.recompute = Recompute::Full, g.split_backward = true;
  const BlockCost cost = price(kLlama, g);
  EXPECT_DOUBLE_EQ(cost.recompute.total_s, 11);
  // Four matmuls and two norms have weight gradients, half of their launches.
  EXPECT_DOUBLE_EQ(cost.weight_grad.total_s, 3 * 2);
  EXPECT_DOUBLE_EQ(cost.data_grad.total_s, (11 - 3) * 2);
  g.profile.flash_attention = false;
  EXPECT_DOUBLE_EQ(price(kLlama, g).forward.total_s, 14);
}

TEST(BlockCost, AHostThatWaitsForEveryKernelHidesNothing) {
  Setting g;
  g.recompute = Recompute::Full;
  g.profile.host_forward_s_per_op = g.profile.host_backward_s_per_op = 0;
  const BlockCost device = price(kLlama, g);
  g.profile.host_forward_s_per_op = 1e-6, g.profile.host_backward_s_per_op = 2e-6;
  g.profile.launch_blocking = true;
  const BlockCost cost = price(kLlama, g);
  // Eleven kernels each way.
  EXPECT_NEAR(cost.forward.total_s, device.forward.total_s + 11e-6, 1e-12);
  EXPECT_NEAR(cost.recompute.total_s, device.recompute.total_s + 11e-6, 1e-12);
  EXPECT_NEAR(cost.backward.total_s, device.backward.total_s + 22e-6, 1e-12);
  EXPECT_NEAR(cost.forward.host_s, 11e-6, 1e-12);
}

TEST(BlockCost, GatheredUnitsAreCopied) {
  Setting g;
  const BlockCost none = price(kColumn, g);
  g.profile.fsdp_gather_copy_bytes = 4, g.profile.fsdp_reduce_copy_bytes = 6;
  EXPECT_EQ(price(kColumn, g).forward.total_s, none.forward.total_s);  // nothing is sharded
  const double weights = 4096.0 * 8192, rate_Bps = 1e12;
  g.unit_copies = UnitCopies::BothWays;
  const BlockCost both = price(kColumn, g);
  EXPECT_NEAR(both.forward.compute_s - none.forward.compute_s, 4 * weights / rate_Bps, 1e-12);
  EXPECT_NEAR(both.backward.compute_s - none.backward.compute_s, (4 + 6) * weights / rate_Bps, 1e-12);
  g.unit_copies = UnitCopies::Forward;
  EXPECT_NEAR(price(kColumn, g).backward.total_s - none.backward.total_s, 6 * weights / rate_Bps, 1e-12);
  g.split_backward = true, g.unit_copies = UnitCopies::None;
  const BlockCost apart = price(kColumn, g);
  g.unit_copies = UnitCopies::BothWays;
  EXPECT_NEAR(price(kColumn, g).data_grad.total_s - apart.data_grad.total_s, 4 * weights / rate_Bps, 1e-12);
  EXPECT_NEAR(price(kColumn, g).weight_grad.total_s - apart.weight_grad.total_s, 6 * weights / rate_Bps, 1e-12);
}

TEST(BlockCost, NothingToCopyLaunchesNoKernel) {
  DeviceSpec device = kDevice;
  device.memory.kernel_floor_s = 1e-6;
  Setting whole, split, gathers_only;
  split.unit_copies = gathers_only.unit_copies = UnitCopies::BothWays;
  split.profile.fsdp_gather_copy_bytes = gathers_only.profile.fsdp_gather_copy_bytes = 4;
  split.profile.fsdp_reduce_copy_bytes = 6;
  const Block weightless{"weightless", {make_op(OpKind::Activation, "act", 4096, 4096, Sharding::Sequence)}};
  EXPECT_EQ(price(weightless, split, BlockRole::Layer, device).forward.total_s,
            price(weightless, whole, BlockRole::Layer, device).forward.total_s);
  // A profile whose gradients are reduced where they lie copies what it gathers, twice.
  const double copy_s = 4 * 4096.0 * 8192 / 1e12 + 1e-6;
  EXPECT_NEAR(price(kColumn, gathers_only, BlockRole::Layer, device).backward.total_s -
                  price(kColumn, whole, BlockRole::Layer, device).backward.total_s,
              copy_s, 1e-12);
}

TEST(BlockCost, BiasesOfExpertsArePassesOverTheirResults) {
  // Forward 18 bytes, backward 10 of each of 64 x 2 routed rows x (1024 + 256) results, at 1 TB/s.
  std::vector<Op> ops = test::moe_feed_forward(256, 512, 8, 2);
  const Block plain{"moe", ops};
  for (Op& op : ops) op.bias = op.kind == OpKind::GroupedMatmul;
  const Block biased{"moe", ops};
  Setting g;
  g.profile.expert_bias_forward_bytes = 18, g.profile.expert_bias_backward_bytes = 10;
  const double results = 64 * 2 * (1024 + 256);
  EXPECT_NEAR(price(biased, g).forward.total_s - price(plain, g).forward.total_s, 18 * results / 1e12, 1e-15);
  EXPECT_NEAR(price(biased, g).backward.total_s - price(plain, g).backward.total_s, 10 * results / 1e12, 1e-15);
  // The bias of an ordinary product is added inside it.
  Block column = kColumn;
  column.ops[0].bias = true;
  EXPECT_EQ(price(column, g).forward.total_s, price(kColumn, g).forward.total_s);
}

TEST(BlockCost, ExpertsShareTheRoutedRows) {
  // 8 experts over ep 4: two local experts, top-2 of 64 tokens each way: 128 rows, 64 per expert.
  const Block moe{"moe", test::moe_feed_forward(256, 512, 8, 2)};
  Setting g;
  g.strategy.ep = 4, g.strategy.dp = 4;
  const BlockCost cost = price(moe, g);
  EXPECT_EQ(cost.ops[3].forward_s, grouped_gemm_time_s(kDevice, DType::BF16, 2, {64, 1024, 256}, GemmPass::Forward, 2));
  EXPECT_EQ(cost.expert_parameters, 2 * (256 * 1024 + 512 * 256));
  EXPECT_EQ(cost.dense_parameters, 256 + 256 * 8);
  EXPECT_EQ(cost.expert_trainable, cost.expert_parameters);
  // Two all-to-alls of 128 rows x 256 features x 2 bytes each way.
  EXPECT_DOUBLE_EQ(at(cost.forward.exposed_s, Axis::EP), 2 * 128 * 256 * 2 / 1e9);
}

TEST(BlockCost, TheHostWaitsForTheRowsOfExperts) {
  // Long products first: the host is far ahead, but cannot launch the experts before it knows how many rows they have.
  std::vector<Op> before{make_op(OpKind::Matmul, "up", 256, 65536, Sharding::Column),
                         make_op(OpKind::Matmul, "down", 65536, 256, Sharding::Row)};
  const std::vector<Op> experts = test::moe_feed_forward(256, 512, 8, 2);
  before.insert(before.end(), experts.begin(), experts.begin() + 2);  // norm and router
  std::vector<Op> whole = before;
  whole.insert(whole.end(), experts.begin() + 2, experts.end());
  Setting g;
  g.seq_len = 1024;
  const auto forward_s = [&](const std::vector<Op>& ops, double launch_s) {
    g.profile.host_forward_s_per_op = launch_s;
    return price({"b", ops}, g).forward.total_s;
  };
  const double kernels_after = forward_s(whole, 1) - forward_s(before, 1);  // at a second each they are all that counts
  EXPECT_NEAR(kernels_after, 4 + 2 + 1 + 2 + 4, 1e-3);                      // dispatch, experts, gate, experts, combine
  const double before_s = forward_s(before, 0), after_s = forward_s(whole, 0) - before_s;
  const double launch_s = 2 * after_s / kernels_after;
  EXPECT_NEAR(forward_s(whole, launch_s), before_s + kernels_after * launch_s, 1e-12);
  EXPECT_NEAR(forward_s(whole, launch_s / 4), before_s + after_s, 1e-12);
  g.strategy.capacity_factor = 1, g.strategy.pad_to_capacity = true;  // known beforehand: the host stays ahead
  const double padded_s = forward_s(whole, 0);
  EXPECT_NEAR(forward_s(whole, launch_s), padded_s, 1e-12);
}

TEST(BlockCost, FusedExpertsMakeTheirGate) {
  Setting apart, fused;
  fused.profile.fused_experts = true;
  const auto gates_s = [](const Block& block, const Setting& g) {
    const BlockCost cost = price(block, g);
    double sum = 0;
    for (std::size_t i = 0; i < block.ops.size(); ++i) {
      if (block.ops[i].kind == OpKind::Activation) sum += cost.ops[i].forward_s;
    }
    return sum;
  };
  Block moe{"moe", test::moe_feed_forward(256, 512, 8, 2)}, dense = kLlama;
  for (Block* block : {&moe, &dense}) {
    for (Op& op : block->ops) op.forward_bytes_per_element = op.kind == OpKind::Activation ? 3 : 0;
  }
  EXPECT_NEAR(gates_s(moe, apart), 3 * 2 * 64.0 * 1024 / 1e12, 1e-15);  // 64 tokens, each to two experts
  EXPECT_EQ(gates_s(moe, fused), 0);                                    // inside the experts' kernel
  EXPECT_EQ(gates_s(dense, fused), gates_s(dense, apart));
  // Nothing else of the block changes in 16 bits.
  EXPECT_NEAR(price(moe, apart).forward.total_s - price(moe, fused).forward.total_s, gates_s(moe, apart), 1e-15);
}

// Muon sums over the side that tensor parallelism splits: columns of the first matrix, rows of the second.
TEST(BlockCost, MatricesAreSplitAlongTheSideThatRanksShare) {
  Setting g;
  g.strategy = layout(2);
  const Block block{"b",
                    {make_op(OpKind::Matmul, "up", 256, 1024, Sharding::Column),
                     make_op(OpKind::Matmul, "down", 1024, 256, Sharding::Row),
                     make_op(OpKind::Matmul, "gate", 256, 64, Sharding::Sequence)}};
  const std::vector<WeightMatrix> found = price(block, g).matrices;
  const std::vector<WeightMatrix> expected = {{256, 512, 2}, {256, 512, 2}, {256, 64, 1}};
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].gram, expected[i].gram) << i;
    EXPECT_EQ(found[i].summed, expected[i].summed) << i;
    EXPECT_EQ(found[i].split, expected[i].split) << i;
    EXPECT_EQ(found[i].count, 1) << i;
  }
}

TEST(GroupPricer, TheSlowestGroupOfAnAxisDecides) {
  // Two nodes of four: tensor pairs lie inside a node, data-parallel groups {0, 2, 4, 6} and {1, 3, 5, 7} across both.
  ClusterSpec cluster;
  cluster.node.devices = 4, cluster.nodes = 2;
  const auto network = make_interconnect(cluster);
  Strategy s;
  s.tp = 2, s.dp = 4;
  const RankGrid grid(s);
  const GroupPricer groups(*network, grid);
  const double inside = groups.seconds({CollectiveKind::AllReduce, Axis::TP, 1e8});
  EXPECT_EQ(inside, network->cost(CollectiveKind::AllReduce, 1e8, network->group({0, 1})).time_s);
  EXPECT_EQ(groups.seconds({CollectiveKind::AllReduce, Axis::DP, 1e8}),
            network->cost(CollectiveKind::AllReduce, 1e8, network->group({0, 2, 4, 6})).time_s);
  EXPECT_EQ(groups.seconds({CollectiveKind::AllReduce, Axis::TP, 0}), 0);
  EXPECT_EQ(groups.among_s(CollectiveKind::AllReduce, 1e8, {0, 1}), inside);
  EXPECT_EQ(groups.among_s(CollectiveKind::AllReduce, 1e8, {0}), 0);
  EXPECT_GT(groups.among_s(CollectiveKind::AllReduce, 1, {0, 1}), 0);
  EXPECT_GT(groups.seconds({CollectiveKind::AllReduce, Axis::TP, 1}), 0);
  EXPECT_GT(groups.between_stages_s(CollectiveKind::SendRecv, 1, 0, 1), 0);
  EXPECT_EQ(groups.between_stages_s(CollectiveKind::SendRecv, 0, 0, 1), 0);
  EXPECT_EQ(groups.among_s(CollectiveKind::AllReduce, 0, {0, 1}), 0);
  EXPECT_EQ(groups.seconds({CollectiveKind::AllReduce, Axis::CP, 1e8}), 0);  // one rank has nobody to talk to
  s.tp = 3, s.dp = 1, s.pp = 2;  // {0, 1, 2} inside node 0, {3, 4, 5} across; on nodes of three both inside
  cluster.node.devices = 3;
  const auto odd = make_interconnect(cluster);
  cluster.node.devices = 4;
  const RankGrid uneven(s);
  const double even_s = GroupPricer(*odd, uneven).seconds({CollectiveKind::AllReduce, Axis::TP, 1e8});
  const double across_s = GroupPricer(*network, uneven).seconds({CollectiveKind::AllReduce, Axis::TP, 1e8});
  EXPECT_EQ(across_s, network->cost(CollectiveKind::AllReduce, 1e8, network->group({3, 4, 5})).time_s);
  EXPECT_GT(across_s, even_s);
}

}  // namespace

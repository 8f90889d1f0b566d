#include <gtest/gtest.h>

#include "error.hpp"
#include "memory/plan.hpp"
#include "memory/plan_variants.hpp"
#include "memory/saved_bytes.hpp"
#include "memory/transformer_layer.hpp"
#include "memory_blocks.hpp"

namespace {

using namespace dts;

// 1e9 parameters on 4 devices; 1e6 activation elements per sample, 8 samples in 2 micro-batches; 10 blocks.
MemoryPlan plan() {
  MemoryPlan p;
  p.parameters = 1e9;
  p.activations_per_sample = 1e6;
  p.samples_per_device = 8;
  p.accumulation_steps = 2;
  p.devices = 4;
  p.blocks = {10, 0.1, 0.4, 0.06};
  return p;
}

Tiers tiers() {  // no latency; HBM far faster than CPU 10 GB/s, DISK 1 GB/s, REMOTE 0.5 GB/s
  return {{{80e9, 1e12, 0}, {1e12, 10e9, 0}, {1e13, 1e9, 0}, {1e14, 0.5e9, 0}}};
}

TEST(MemoryPlan, CommunicationByStage) {
  MemoryPlan p = plan();
  const double volume = 0.75 * 2e9;                                            // f P in 16 bits
  const double expected[] = {2 * volume, 2 * volume, 3 * volume, 6 * volume};  // two micro-batches from stage 2 on
  for (int stage = 0; stage <= 3; ++stage) {
    p.zero = stage;
    EXPECT_DOUBLE_EQ(estimate(p, tiers()).communication_bytes, expected[stage]);
  }
  p.gradients = GradientStorage::Fp32;
  EXPECT_DOUBLE_EQ(estimate(p, tiers()).communication_bytes, 2 * (2 * volume + 2 * volume));
  p.devices = 1;
  EXPECT_EQ(estimate(p, tiers()).communication_bytes, 0);
}

TEST(MemoryPlan, RecomputationKeepsSharesAndOneBlock) {
  MemoryPlan p = plan();
  EXPECT_DOUBLE_EQ(estimate(p, tiers()).activations, 8e6);  // 4 samples in 2 bytes
  p.recompute = Recompute::Selective;
  EXPECT_DOUBLE_EQ(estimate(p, tiers()).activations, 0.6 * 8e6 + 0.4 * 8e5);
  EXPECT_DOUBLE_EQ(estimate(p, tiers()).extra_flops_fraction, 0.02);
  p.recompute = Recompute::Full;
  EXPECT_DOUBLE_EQ(estimate(p, tiers()).activations, 0.1 * 8e6 + 0.9 * 8e5);
  EXPECT_DOUBLE_EQ(estimate(p, tiers()).extra_flops_fraction, 1.0 / 3);
}

TEST(MemoryPlan, OptimizerOffload) {
  MemoryPlan p = plan();
  p.zero = 1;
  p.optimizer_tier = MemoryTier::CPU;
  MemoryEstimate e = estimate(p, tiers());
  // A quarter is owned: 3 GB of state and 0.5 GB of gradients on the host; 0.5 GB down, 0.5 GB up at 10 GB/s.
  EXPECT_DOUBLE_EQ(e.hbm_bytes(), 4e9 + 8e6);
  EXPECT_DOUBLE_EQ(e.tier_bytes[index_of(MemoryTier::CPU)], 3.5e9);
  EXPECT_DOUBLE_EQ(e.transfer_s, 0.1);
  p.optimizer_tier = MemoryTier::DISK;  // and the 3 GB are read and written at 1 GB/s
  e = estimate(p, tiers());
  EXPECT_DOUBLE_EQ(e.tier_bytes[index_of(MemoryTier::CPU)], 0.5e9);
  EXPECT_DOUBLE_EQ(e.tier_bytes[index_of(MemoryTier::DISK)], 3e9);
  EXPECT_DOUBLE_EQ(e.transfer_s, 6.1);
  EXPECT_DOUBLE_EQ(e.transfer_bytes, 7e9);
}

TEST(MemoryPlan, ParameterOffload) {
  MemoryPlan p = plan();
  p.zero = 3;
  MemoryEstimate e = estimate(p, tiers());
  EXPECT_DOUBLE_EQ(e.weights, 0.5e9);
  EXPECT_DOUBLE_EQ(e.gathered_parameters, 0.4e9);  // two of ten blocks
  EXPECT_DOUBLE_EQ(e.hbm_bytes(), 0.5e9 + 0.5e9 + 3e9 + 8e6 + 0.4e9);
  p.devices = 2;
  EXPECT_DOUBLE_EQ(estimate(p, tiers()).gathered_parameters, 0.4e9);
  p.devices = 1;
  EXPECT_EQ(estimate(p, tiers()).gathered_parameters, 0);
  p.devices = 4;
  p.parameter_tier = MemoryTier::CPU;
  e = estimate(p, tiers());
  EXPECT_EQ(e.weights, 0);
  EXPECT_DOUBLE_EQ(e.gathered_parameters, 0.4e9);
  EXPECT_DOUBLE_EQ(e.transfer_bytes, 0.5e9 * (2 * 2 + 1));  // forward and backward of two micro-batches, write-back
  p.optimizer_tier = MemoryTier::CPU;                       // the host updates: gradients down, weights stay there
  EXPECT_DOUBLE_EQ(estimate(p, tiers()).transfer_bytes, 0.5e9 * 4 + 0.5e9);
  p.parameter_tier = MemoryTier::HBM, p.optimizer_tier = MemoryTier::HBM, p.blocks = {};
  EXPECT_EQ(estimate(p, tiers()).gathered_parameters, 0);  // block size not known
}

TEST(MemoryPlan, ActivationOffload) {
  MemoryPlan p = plan();
  p.activation_tier = MemoryTier::DISK;
  const MemoryEstimate e = estimate(p, tiers());
  EXPECT_DOUBLE_EQ(e.activations, 0.2 * 8e6);
  EXPECT_DOUBLE_EQ(e.tier_bytes[index_of(MemoryTier::DISK)], 8e6);
  EXPECT_DOUBLE_EQ(e.transfer_bytes, 4 * 8e6);
  EXPECT_DOUBLE_EQ(e.transfer_s, 4 * 8e6 / 1e9);
}

TEST(MemoryPlan, LatencyCountsPerBlock) {
  MemoryPlan p = plan();
  p.activation_tier = MemoryTier::CPU;
  Tiers slow = tiers();
  const double base = estimate(p, slow).transfer_s;
  slow[index_of(MemoryTier::CPU)].latency_s = 0.001;
  EXPECT_NEAR(estimate(p, slow).transfer_s - base, 4 * 10 * 0.001, 1e-12);
  p = plan(), p.blocks = {}, p.optimizer_tier = MemoryTier::CPU;  // no blocks are known: one piece each way
  const double whole = estimate(p, tiers()).transfer_s;
  EXPECT_NEAR(estimate(p, slow).transfer_s - whole, 2 * 0.001, 1e-12);
}

TEST(MemoryPlan, MissingBytesCountDevicesThatShareATier) {
  MemoryPlan p = plan();
  p.optimizer_tier = MemoryTier::CPU;
  Tiers small = tiers();
  small[index_of(MemoryTier::CPU)].capacity_bytes = 30e9;
  small[index_of(MemoryTier::HBM)].capacity_bytes = 1e9;
  const MemoryEstimate e = estimate(p, small);  // 14 GB on the host each, 4.008 GB in HBM
  EXPECT_DOUBLE_EQ(missing_bytes(e, small, 4, 2)[index_of(MemoryTier::CPU)], 0);
  EXPECT_DOUBLE_EQ(missing_bytes(e, small, 4, 8)[index_of(MemoryTier::CPU)], 26e9);
  EXPECT_DOUBLE_EQ(missing_bytes(e, small, 4, 8)[index_of(MemoryTier::HBM)], 3.008e9);
}

TEST(MemoryPlan, RefusesWhatItCannotEstimate) {
  MemoryPlan p = plan();
  p.blocks = {};
  p.recompute = Recompute::Full;
  EXPECT_THROW(estimate(p, tiers()), ConfigError);
  p = plan();
  p.parameters = 0, p.zero = 4, p.devices = 0, p.accumulation_steps = 9, p.blocks.input_share = 2;
  try {
    estimate(p, tiers());
    FAIL() << "did not throw";
  } catch (const ConfigError& e) {
    EXPECT_EQ(e.violations().size(), 5u);
  }
  p = plan();
  p.parameters = 1e300;
  EXPECT_THROW(estimate(p, tiers()), ConfigError);
}

TEST(StrategyTable, RowsAreDifferencesOfEstimates) {
  const auto rows = strategy_table(plan(), tiers());
  EXPECT_EQ(rows.size(), 14u);  // base, fp32, zero 1-3, two recomputes, three offloads to two tiers, accumulation
  for (const StrategyRow& row : rows) {
    const MemoryEstimate again = estimate(row.plan, tiers());
    EXPECT_EQ(row.saved_bytes, rows.front().estimate.hbm_bytes() - again.hbm_bytes()) << row.name;
    EXPECT_EQ(row.extra_transfer_s, again.transfer_s) << row.name;
    EXPECT_FALSE(row.source.empty());
  }
  EXPECT_EQ(rows.back().name, "gradient accumulation");
  EXPECT_DOUBLE_EQ(rows.back().saved_bytes, 8e6 - 2e6);
}

TEST(StrategyTable, LeavesOutWhatDoesNotApply) {
  MemoryPlan p = plan();
  p.devices = 1, p.blocks = {}, p.samples_per_device = 2;
  const auto rows = strategy_table(p, tiers());
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(rows[1].name, "fp32");
  EXPECT_EQ(rows[2].name, "offload optimizer to CPU");
}

TEST(TransformerLayer, AgreesWithTheLedgerOfOps) {
  SavedContext c;
  c.seq_len = 2048;
  c.flash_attention = false;
  c.attention_dropout = true;
  for (int tp : {1, 2, 8}) {
    for (bool sequence_parallel : {false, true}) {
      c.tp = tp;
      c.sequence_parallel = sequence_parallel;
      const double ledger = 2048 * saved_bytes_per_token(test::gpt_layer(12288, 96), c);
      const double statistics = 2048 * 16.0 / (sequence_parallel ? tp : 1);
      const TransformerShape shape{2048, 1, 12288, 96, tp, sequence_parallel};
      EXPECT_NEAR(transformer_layer_bytes(shape, Recompute::None), ledger - statistics, 1e-3);
    }
  }
}

TEST(TransformerLayer, BlockShares) {
  const BlockShares scores = transformer_block_shares(96, 2048, 12288, 96, false);
  EXPECT_DOUBLE_EQ(scores.score_share, 80.0 / 114);
  EXPECT_DOUBLE_EQ(scores.input_share, 2.0 / 114);
  EXPECT_DOUBLE_EQ(scores.score_flops_share, (1.0 / 36) / (1 + 1.0 / 36));
  const BlockShares flash = transformer_block_shares(96, 2048, 12288, 96, true);
  EXPECT_DOUBLE_EQ(flash.input_share, 2.0 / 34);
  EXPECT_EQ(flash.score_share, 0);
  EXPECT_EQ(flash.score_flops_share, 0);
  EXPECT_THROW(transformer_block_shares(0, 2048, 12288, 96, true), ConfigError);
  EXPECT_THROW(transformer_layer_bytes({1e300, 1, 1, 1, 1, false}, Recompute::None), ConfigError);
}

}  // namespace

// The pieces put together: temporaries, the report, and two published peaks.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <ostream>
#include <string>

#include "in_flight.hpp"
#include "memory/loss_tensors.hpp"
#include "memory/memory_report.hpp"
#include "memory/recompute_bytes.hpp"
#include "memory/static_bytes.hpp"
#include "memory/temporaries.hpp"
#include "memory_blocks.hpp"
#include "units.hpp"

namespace {

using namespace dts;
using namespace dts::test;

TEST(Temporaries, ByHand) {
  EXPECT_DOUBLE_EQ(head_backward_bytes(100, 8, 1000, 2, false), 2.0 * 500 * 8 + 2.0 * 800);
  EXPECT_DOUBLE_EQ(head_backward_bytes(100, 8, 1000, 2, true), 2.0 * 500 * 8 + 2.0 * 800 * 2.5);
  EXPECT_DOUBLE_EQ(gather_buffer_bytes(100, 8, 2), 3200);
  EXPECT_EQ(p2p_buffer_bytes(10, 1, 1), 0);
  EXPECT_EQ(p2p_buffer_bytes(10, 4, 1), 30);
  EXPECT_EQ(p2p_buffer_bytes(10, 4, 2), 100);
  EXPECT_DOUBLE_EQ(local_attention_buffer_bytes(2 * 2048, 2048, 16, 4), 2.0 * 2 * (16 / 4) * 2048 * 2048);
  EXPECT_DOUBLE_EQ(fsdp_live_bytes(1e6, 0), 12e6);
  EXPECT_DOUBLE_EQ(fsdp_live_bytes(0, 1e6), 2e6);
}

TEST(Temporaries, WorkspacesByArchitecture) {
  EXPECT_DOUBLE_EQ(torch_workspace_bytes(true) + engine_workspace_bytes(true) * engine_workspaces(false, false),
                   96 * kMiB);
  EXPECT_DOUBLE_EQ(torch_workspace_bytes(true) + engine_workspace_bytes(true) * engine_workspaces(true, false),
                   (96 + 128) * kMiB);
  EXPECT_DOUBLE_EQ(torch_workspace_bytes(false) + engine_workspace_bytes(false), 20.25 * kMiB);
  EXPECT_DOUBLE_EQ(torch_workspace_bytes(false), 16.25 * kMiB);
}

TEST(Temporaries, DummyGradientsCountEachShapeOnce) {
  SavedContext c;
  auto two = llama_layer(4096, 32, 8, 128, 14336);
  const auto again = two;
  two.insert(two.end(), again.begin(), again.end());
  const double layer = 4096.0 * 6144 + 4096.0 * 4096 + 3 * 4096.0 * 14336;
  EXPECT_DOUBLE_EQ(dummy_gradient_bytes(two, c), 2 * layer);
  c.tp = 4;
  EXPECT_DOUBLE_EQ(dummy_gradient_bytes(two, c), 2 * layer / 4);
  // The experts have one shape each, split over etp 2: fc1 h x 2m and fc2 m x h.
  c.etp = 2;
  EXPECT_DOUBLE_EQ(dummy_gradient_bytes(moe_feed_forward(5120, 1536, 160, 6), c), 2 * 3 * 5120.0 * 1536 / 2);
}

TEST(MemoryReport, TotalsAndReserve) {
  MemoryReport r;
  double value = 1;
  for (double* field : {&r.weights, &r.gradients, &r.optimizer, &r.activations, &r.temporaries, &r.gathered_parameters,
                        &r.communication_buffers, &r.workspace, &r.context}) {
    *field = value;
    value *= 2;
  }
  EXPECT_EQ(r.allocated(), 255);
  EXPECT_EQ(r.device(), 511);
  double sum = 0;
  for (const auto& [name, bytes] : categories(r)) sum += bytes;
  EXPECT_EQ(sum, r.device());
  EXPECT_DOUBLE_EQ(reserved_bytes(r, kReservedFsdp).central, 255 * 1.045);
  for (int tp : {1, 2, 4, 8, 16}) {
    const ReservedFactor f = measured_reserved_factor(tp);
    EXPECT_LT(1, f.low);
    EXPECT_LT(f.low, f.central);
    EXPECT_LT(f.central, f.high);
  }
  EXPECT_EQ(measured_reserved_factor(2).central, 1.14);
  EXPECT_EQ(measured_reserved_factor(7).central, 1.14);
  EXPECT_EQ(measured_reserved_factor(8).central, 1.15);
}

TEST(MemoryReport, FitFollowsTheMeasuredShares) {
  EXPECT_DOUBLE_EQ(out_of_memory_probability(60, 60), 0.5);
  EXPECT_NEAR(out_of_memory_probability(60 * std::exp(0.086), 60), 1 / (1 + std::exp(-1)), 1e-12);
  double before = 0;
  for (double needed = 0; needed < 120; needed += 1) {
    const double chance = out_of_memory_probability(needed, 60);
    EXPECT_GE(chance, before);
    before = chance;
  }
  EXPECT_EQ(out_of_memory_probability(0, 60), 0);
  EXPECT_EQ(out_of_memory_probability(60, 0), 1);
  EXPECT_EQ(fit_verdict(0.2), FitVerdict::Fits);
  for (double chance : {0.25, 0.26, 0.49}) EXPECT_EQ(fit_verdict(chance), FitVerdict::AtRisk);
  for (double chance : {0.5, 0.56, 0.8}) EXPECT_EQ(fit_verdict(chance), FitVerdict::DoesNotFit);
}

// Llama-3 70B cut to 12 layers and 405B cut to 4 on B200 with Megatron-Core: seq 4096, micro-batch 1, ZeRO-1, fp32
// gradients, TE fused loss, no recompute (SimuMax's published measurements: max_memory_allocated, max over ranks).
struct Published {
  double hidden, heads, kv_heads, ffn, layers, tp, pp, dp, bytes;
};

std::string name_of(const Published& r) {
  const auto part = [](const char* name, double value) { return name + std::to_string(static_cast<int>(value)); };
  return part("hidden", r.hidden) + part("_layers", r.layers) + part("_tp", r.tp) + part("_pp", r.pp);
}

void PrintTo(const Published& r, std::ostream* out) { *out << name_of(r); }

constexpr double kTokens = 4096, kVocab = 128256;

class PublishedPeak : public testing::TestWithParam<Published> {};

TEST_P(PublishedPeak, WithinHalfAPercent) {
  const Published& r = GetParam();
  const auto layer = llama_layer(r.hidden, r.heads, r.kv_heads, 128, r.ffn);
  SavedContext c;
  c.seq_len = kTokens;
  c.tp = static_cast<int>(r.tp);
  c.sequence_parallel = c.tp > 1;
  const int pp = static_cast<int>(r.pp);
  StateFacts facts;
  facts.gradients = GradientStorage::Fp32;
  const StateRecipe recipe = state_recipe(DType::BF16, Optimizer::Adam, facts);
  const double layer_parameters =
      r.hidden * (r.heads + 2 * r.kv_heads) * 128 + r.heads * 128 * r.hidden + 3 * r.hidden * r.ffn + 2 * r.hidden;
  const double layers = r.layers / r.pp, table = kVocab * r.hidden;
  const double tables = pp == 1 ? 2 * table : table;  // with two stages each end holds one
  const double shared = state_bytes({(layers * layer_parameters + tables) / r.tp, 0, r.dp, 1}, recipe, 1).total() +
                        dummy_gradient_bytes(layer, c) + torch_workspace_bytes(true) +
                        engine_workspace_bytes(true) * engine_workspaces(false, false) +
                        p2p_buffer_bytes(2 * kTokens * r.hidden, pp, 1);
  const auto saved_at = [&](int stage) {
    const auto chunks = chunks_in_flight(PipelineSchedule::OneFOneB, pp, 1, stage, 4);
    return static_cast<double>(chunks) * layers * saved_bytes_per_token(layer, c) * kTokens;
  };
  const double first_stage = shared + saved_at(0) + backward_extra_bytes_per_token(layer, c) * kTokens;
  const double head_saved = 2 * 2 * r.hidden / r.tp * kTokens;
  const double at_head = shared + saved_at(pp - 1) + head_saved +
                         kTokens * kVocab / c.tp * loss_peak_bytes(loss_tensors(LossKernel::InPlace, 2)) +
                         head_backward_bytes(kTokens, r.hidden, kVocab, c.tp, c.sequence_parallel);
  EXPECT_NEAR(std::max(first_stage, at_head) / r.bytes, 1, 0.005);
}

INSTANTIATE_TEST_SUITE_P(SimuMaxB200, PublishedPeak,
                         testing::Values(Published{8192, 64, 8, 28672, 12, 1, 2, 4, 71457518387.0},
                                         Published{8192, 64, 8, 28672, 12, 4, 1, 2, 41951093064.0},
                                         Published{16384, 128, 16, 53248, 4, 1, 2, 4, 93501438034.0},
                                         Published{16384, 128, 16, 53248, 4, 8, 1, 1, 41414222152.0}),
                         [](const testing::TestParamInfo<Published>& row) { return name_of(row.param); });

}  // namespace

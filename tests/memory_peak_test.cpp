// The pieces put together: temporaries, the report, and two published peaks.
#include <gtest/gtest.h>

#include <cmath>

#include "memory/in_flight.hpp"
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
  EXPECT_DOUBLE_EQ(logits_bytes(4096, 128256, 4, kLogitBytesMegatron), 6.0 * 4096 * 32064);
  EXPECT_DOUBLE_EQ(head_backward_bytes(100, 8, 1000, 2, false), 2.0 * 500 * 8 + 2.0 * 800);
  EXPECT_DOUBLE_EQ(head_backward_bytes(100, 8, 1000, 2, true), 2.0 * 500 * 8 + 2.0 * 800 * 2.5);
  EXPECT_DOUBLE_EQ(gather_buffer_bytes(100, 8, 2), 3200);
  EXPECT_EQ(p2p_buffer_bytes(10, 1, 1), 0);
  EXPECT_EQ(p2p_buffer_bytes(10, 4, 1), 30);
  EXPECT_EQ(p2p_buffer_bytes(10, 4, 2), 100);
  EXPECT_DOUBLE_EQ(local_attention_buffer_bytes(2 * 2048, 2048, 16, 4), 2.0 * 2 * (16 / 4) * 2048 * 2048);
  EXPECT_DOUBLE_EQ(fsdp_live_bytes(1e6, 0), 12e6);
  EXPECT_DOUBLE_EQ(fsdp_live_bytes(0, 1e6), 2e6);
  EXPECT_EQ(optimizer_gather_bytes(1e6, 1), 0);
  EXPECT_DOUBLE_EQ(optimizer_gather_bytes(1e6, 4), 2.5e6);
}

TEST(Temporaries, WorkspacesByArchitecture) {
  EXPECT_DOUBLE_EQ(workspace_bytes(workspace_facts(true, true, false)), 96 * kMiB);
  EXPECT_DOUBLE_EQ(workspace_bytes(workspace_facts(true, true, true)), (96 + 128) * kMiB);
  EXPECT_DOUBLE_EQ(workspace_bytes(workspace_facts(false, true, false)), 20.25 * kMiB);
  EXPECT_DOUBLE_EQ(workspace_bytes(workspace_facts(false, false, true)), 16.25 * kMiB);
}

TEST(Temporaries, DummyGradientsCountEachShapeOnce) {
  SavedContext c;
  auto two = llama_layer(4096, 32, 8, 128, 14336);
  const auto again = two;
  two.insert(two.end(), again.begin(), again.end());
  const double layer = 4096.0 * 6144 + 4096.0 * 4096 + 3 * 4096.0 * 14336;
  EXPECT_DOUBLE_EQ(dummy_gradient_bytes(two, c, 1), 2 * layer);
  c.tp = 4;
  EXPECT_DOUBLE_EQ(dummy_gradient_bytes(two, c, 1), 2 * layer / 4);
  // 160 experts over 8 ranks, split over etp 2: fc1 h x 2m and fc2 m x h of 20 local experts.
  c.etp = 2;
  EXPECT_DOUBLE_EQ(dummy_gradient_bytes(moe_feed_forward(5120, 1536, 160, 6), c, 8), 2 * 20 * 3 * 5120.0 * 1536 / 2);
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
}

TEST(MemoryReport, FitFollowsTheMeasuredShares) {
  const double device = 79.1 * kGiB;
  EXPECT_EQ(fit_verdict(50 * kGiB, device), FitVerdict::Fits);
  EXPECT_EQ(fit_verdict(64 * kGiB, device), FitVerdict::AtRisk);
  EXPECT_EQ(fit_verdict(78 * kGiB, device), FitVerdict::DoesNotFit);
  EXPECT_NEAR(out_of_memory_probability(62.2 * kGiB, device), 0.5, 0.01);
  EXPECT_LT(out_of_memory_probability(48 * kGiB, device), 0.06);
  EXPECT_GT(out_of_memory_probability(77 * kGiB, device), 0.9);
  EXPECT_EQ(out_of_memory_probability(0, device), 0);
}

// Llama-3-70B cut to 12 layers on B200 with Megatron-Core, seq 4096, micro-batch 1, ZeRO-1, fp32 gradients, TE fused
// loss, no recompute (SimuMax's published B200 measurements; max_memory_allocated, max over ranks).
constexpr double kTokens = 4096, kHidden = 8192, kVocab = 128256;
constexpr double kLayerParameters = 8192.0 * (8192 + 2048) + 8192.0 * 8192 + 3 * 8192.0 * 28672 + 2 * 8192;

StateRecipe megatron() {
  StateFacts facts;
  facts.gradients = GradientStorage::Fp32;
  return state_recipe(DType::BF16, Optimizer::Adam, facts);
}

TEST(PublishedPeak, Llama70B12LayersTp1Pp2Dp4) {
  const auto layer = llama_layer(8192, 64, 8, 128, 28672);
  SavedContext c;
  c.seq_len = kTokens;
  const double static_state = state_bytes({6 * kLayerParameters + kVocab * kHidden, 0, 4, 1}, megatron(), 1).total();
  const double in_flight = static_cast<double>(chunks_in_flight(PipelineSchedule::OneFOneB, 2, 1, 0, 4));
  const double saved = in_flight * 6 * saved_bytes_per_token(layer, c) * kTokens;
  const double first_stage = static_state + saved + backward_extra_bytes_per_token(layer, c) * kTokens +
                             dummy_gradient_bytes(layer, c, 1) + p2p_buffer_bytes(2 * kTokens * kHidden, 2, 1) +
                             workspace_bytes(workspace_facts(true, true, false));
  EXPECT_NEAR(first_stage / 71457518387.0, 1, 0.005);  // printed 66.55 GiB
}

TEST(PublishedPeak, Llama70B12LayersTp4Dp2) {
  const auto layer = llama_layer(8192, 64, 8, 128, 28672);
  SavedContext c;
  c.seq_len = kTokens;
  c.tp = 4;
  c.sequence_parallel = true;
  const double parameters = (12 * kLayerParameters + 2 * kVocab * kHidden) / 4;
  const double head_saved = 2 * 2 * kHidden / 4;
  const double at_head = state_bytes({parameters, 0, 2, 1}, megatron(), 1).total() +
                         (12 * saved_bytes_per_token(layer, c) + head_saved) * kTokens +
                         logits_bytes(kTokens, kVocab, 4, kLogitBytesTransformerEngine) +
                         head_backward_bytes(kTokens, kHidden, kVocab, 4, true) + dummy_gradient_bytes(layer, c, 1) +
                         workspace_bytes(workspace_facts(true, true, false));
  EXPECT_NEAR(at_head / 41951093064.0, 1, 0.005);  // printed 39.07 GiB
}

}  // namespace

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "error.hpp"
#include "small_jobs.hpp"

namespace {

using namespace dts;
using test::bare_profile;
using test::paper_device;
using test::paper_model;
using test::small_llama;
using test::WireNetwork;

const DeviceSpec kDevice = paper_device();

Strategy layout(int dp, int tp = 1, int pp = 1, int global_batch = 8) {
  Strategy s;
  s.dp = dp, s.tp = tp, s.pp = pp, s.etp = tp, s.global_batch = global_batch, s.sequence_parallel = tp > 1;
  return s;
}

TEST(Simulate, OneDeviceOnPaper) {
  // Four layers, 1 s each way, eight samples one by one.
  const ModelSpec m = paper_model(4);
  const WireNetwork network(1, 1, 1);
  const StepResult r = simulate({m, kDevice, network, layout(1), bare_profile(), 1});
  EXPECT_DOUBLE_EQ(r.step_time_s, 4 * 2 * 8);
  EXPECT_EQ(r.micro_batches, 8);
  EXPECT_EQ(r.communication_s, 0);
  EXPECT_DOUBLE_EQ(r.mean.forward_s, 32);
  EXPECT_DOUBLE_EQ(r.model_flops, 50e12 * 4 * 2 * 8);
  EXPECT_DOUBLE_EQ(r.hardware_flops, r.model_flops);
  EXPECT_DOUBLE_EQ(r.mfu(), 0.5);  // the device sustains half of its peak
  EXPECT_EQ(r.peak_flops, 100e12);
  EXPECT_EQ(r.tokens_per_step, 8);
}

TEST(Simulate, TheStepCostIsAddedOnce) {
  const ModelSpec m = paper_model(1);
  const WireNetwork network(1, 1, 1);
  FrameworkProfile p = bare_profile();
  p.step_cost_s = 5;
  const StepResult r = simulate({m, kDevice, network, layout(1, 1, 1, 3), p, 1});
  EXPECT_DOUBLE_EQ(r.step_time_s, 2 * 3 + 5);
  EXPECT_EQ(r.mean.fixed_s, 5);
}

TEST(Simulate, AnEagerHostFloorsEveryPass) {
  // One kernel a pass: the host needs 3 s forward and 2 s backward for what the device does in 1 s.
  const ModelSpec m = paper_model(2);
  const WireNetwork network(1, 1, 1);
  FrameworkProfile p = bare_profile();
  p.host_forward_s_per_op = 3, p.host_backward_s_per_op = 2;
  const StepResult r = simulate({m, kDevice, network, layout(1, 1, 1, 1), p, 1});
  EXPECT_DOUBLE_EQ(r.step_time_s, 2 * (3 + 2));
  EXPECT_DOUBLE_EQ(r.mean.host_s, 2 * (2 + 1));
  EXPECT_DOUBLE_EQ(r.mean.forward_s, 2);
}

TEST(Simulate, PipelineOnPaper) {
  // 4 stages of 1 layer, 8 micro-batches: (8 + 4 - 1) * 2 s; no boundary tensor, hence free transfers.
  const ModelSpec m = paper_model(4);
  const WireNetwork network(4, 0, 1);
  const StepResult r = simulate({m, kDevice, network, layout(1, 1, 4), bare_profile(), 1});
  EXPECT_DOUBLE_EQ(r.step_time_s, 22);
  for (const Breakdown& b : r.stages) EXPECT_DOUBLE_EQ(b.pipeline_s, 6);
}

TEST(Simulate, BoundaryTransfersOnPaper) {
  // 10 features x 1 token x 2 bytes at 10 B/s = 2 s a hop, latency 1 s: 2 stages, one micro-batch.
  ModelSpec m = paper_model(2);
  m.hidden = 10;
  const WireNetwork network(2, 1, 10);
  const StepResult r = simulate({m, kDevice, network, layout(1, 1, 2, 1), bare_profile(), 1});
  EXPECT_DOUBLE_EQ(r.step_time_s, 1 + 3 + 2 + 3 + 1);
  EXPECT_DOUBLE_EQ(r.communication_s, 3);  // each rank sends one tensor
}

TEST(Simulate, GradientReductionOnPaper) {
  // 1000 weights, reduced in 4 bytes at 1000 B/s after the only backward: 4 s, latency 1 s.
  ModelSpec m = paper_model(1);
  m.layers[0].block.ops[0].extra_parameters = 1000;
  const WireNetwork network(2, 1, 1000);
  const StepResult r = simulate({m, kDevice, network, layout(2, 1, 1, 2), bare_profile(), 1});
  EXPECT_NEAR(r.step_time_s, 1 + 2 + 5, 1e-6);  // the weights are moved in nanoseconds
  EXPECT_NEAR(r.mean.exposed_dp_s, 5, 1e-6);
  EXPECT_DOUBLE_EQ(r.communication_s, 5);
}

TEST(Simulate, UpdateOnPaper) {
  // 16 bytes a parameter at 0.8 of 1 TB/s; ZeRO-1 on two ranks halves it and gathers 2 bytes a parameter.
  ModelSpec m = paper_model(1);
  m.layers[0].block.ops[0].extra_parameters = 1e10;
  m.layers[0].block.ops[0].flops_per_row = 0;
  FrameworkProfile p = bare_profile();
  p.optimizer_bytes = 16;
  const WireNetwork network(2, 0, 1e10);
  Strategy s = layout(2, 1, 1, 2);
  EXPECT_NEAR(simulate({m, kDevice, network, s, p, 1}).mean.optimizer_s, 0.2, 1e-12);
  s.zero = 1, s.overlap_param_gather = false;
  const StepResult sharded = simulate({m, kDevice, network, s, p, 1});
  EXPECT_NEAR(sharded.mean.optimizer_s, 0.1, 1e-12);
  EXPECT_NEAR(sharded.mean.exposed_dp_s, 4 + 2, 1e-9);  // reduce-scatter, then all-gather
  // SGD lacks both states of Adam: 16 - 2 x 8 bytes.
  s.optimizer = Optimizer::SGD;
  EXPECT_EQ(simulate({m, kDevice, network, s, p, 1}).mean.optimizer_s, 0);
}

TEST(Simulate, RecomputationOnPaper) {
  const ModelSpec m = paper_model(3);
  const WireNetwork network(1, 1, 1);
  Strategy s = layout(1, 1, 1, 2);
  s.recompute = Recompute::Full;
  const StepResult r = simulate({m, kDevice, network, s, bare_profile(), 1});
  EXPECT_DOUBLE_EQ(r.step_time_s, 3 * 3 * 2);
  EXPECT_DOUBLE_EQ(r.mean.recompute_s, 6);
  EXPECT_DOUBLE_EQ(r.hfu() / r.mfu(), 1.5);
}

TEST(Simulate, FoldedAndExpandedAgree) {
  const ModelSpec m = small_llama();
  const WireNetwork network(16, 1e-6, 1e9);
  for (int zero : {0, 1, 2, 3}) {
    Strategy s = layout(2, 2, 2, 8);
    s.cp = 2, s.zero = zero;
    const Job job{m, kDevice, network, s, bare_profile(), 64};
    const StepResult folded = simulate(job), expanded = simulate(job, {true, true, false, {}});
    EXPECT_EQ(folded.step_time_s, expanded.step_time_s);
    EXPECT_EQ(folded.mean.total_s(), expanded.mean.total_s());
    EXPECT_EQ(folded.memory[0].allocated(), expanded.memory[0].allocated());
    EXPECT_LT(folded.events.tasks.size(), expanded.events.tasks.size());
  }
}

TEST(Simulate, BreakdownsOfASlowRankStillSum) {
  const ModelSpec m = small_llama();
  const WireNetwork network(4, 1e-6, 1e9);
  const Job job{m, kDevice, network, layout(2, 1, 2, 8), bare_profile(), 64};
  const double even = simulate(job).step_time_s;
  for (std::size_t slow = 0; slow < 4; ++slow) {
    std::vector<double> slowdown(4, 1);
    slowdown[slow] = 3;
    const StepResult r = simulate(job, {true, false, false, slowdown});
    EXPECT_EQ(r.step_time_s, simulate(job, {false, false, false, slowdown}).step_time_s);
    EXPECT_EQ(r.even_step_time_s, even);
    EXPECT_GT(r.step_time_s, even);
    EXPECT_LE(r.step_time_s, 3 * even);
    for (const Breakdown& b : r.stages)
      EXPECT_NEAR(b.total_s(), r.step_time_s, 1e-9 * r.step_time_s) << "slow " << slow;
  }
}

TEST(Simulate, SlowdownsAreChecked) {
  const ModelSpec m = paper_model(1);
  const WireNetwork network(2, 0, 1);
  const Job job{m, kDevice, network, layout(2, 1, 1, 2), bare_profile(), 1};
  EXPECT_THROW(simulate(job, {true, true, false, {1}}), ConfigError);
  for (double bad : {0.0, -1.0, std::nan(""), HUGE_VAL}) {
    EXPECT_THROW(simulate(job, {true, true, false, {1, bad}}), ConfigError) << bad;
  }
}

TEST(Simulate, EventsOnlyWhenAsked) {
  const ModelSpec m = paper_model(2);
  const WireNetwork network(1, 0, 1);
  const Job job{m, kDevice, network, layout(1, 1, 1, 2), bare_profile(), 1};
  EXPECT_TRUE(simulate(job, {false, false, false, {}}).events.tasks.empty());
  const StepResult r = simulate(job);
  ASSERT_EQ(r.events.tasks.size(), 4u);  // F0 B0 F1 B1; meetings and the empty update take no time
  EXPECT_TRUE(r.traffic_bytes.empty());
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(r.events.tasks[i].kind, i % 2 == 0 ? TaskKind::Forward : TaskKind::Backward);
    EXPECT_DOUBLE_EQ(r.events.start_s[i], 2.0 * static_cast<double>(i));
    EXPECT_DOUBLE_EQ(r.events.end_s[i], 2.0 * static_cast<double>(i + 1));
  }
}

TEST(Simulate, BadJobsNameTheirProblem) {
  ModelSpec m = paper_model(1);
  const WireNetwork network(1, 0, 1);
  const auto message = [&](const Strategy& s, const FrameworkProfile& p) -> std::string {
    try {
      simulate({m, kDevice, network, s, p, 1});
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(message(layout(1), bare_profile()), "");
  FrameworkProfile p = bare_profile();
  p.reserved_factor = 0.5, p.step_cost_s = -1, p.bucket_parameters = -1;
  for (const char* part : {"reserved_factor", "step_cost_s", "bucket_parameters"}) {
    EXPECT_NE(message(layout(1), p).find(part), std::string::npos) << part;
  }
  Strategy s = layout(1);
  s.precision = DType::FP4;
  EXPECT_NE(message(s, bare_profile()).find("strategy.precision"), std::string::npos);
  s = layout(1);
  s.global_batch = 2'000'000'000;
  EXPECT_NE(message(s, bare_profile()).find("passes of a step"), std::string::npos);
  m.layers[0].repeat = 0;
  EXPECT_NE(message(layout(1), bare_profile()).find("repeat"), std::string::npos);
}

}  // namespace

#include "step/account/step_ops.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "compute/gemm.hpp"
#include "small_jobs.hpp"

namespace {

using namespace dts;
using test::bare_profile;
using test::small_llama;
using test::WireNetwork;

const DeviceSpec kDevice = test::paper_device();

Strategy layout(int dp, int pp = 1) {
  Strategy s;
  s.dp = dp, s.pp = pp, s.global_batch = 8;
  return s;
}

double seconds(const std::vector<StepOp>& ops, OpPass pass) {
  double sum = 0;
  for (const StepOp& op : ops) sum += op.pass == pass ? op.runs * op.time_s : 0;
  return sum;
}

TEST(StepOps, SumToTheBreakdownOfTheStep) {
  const ModelSpec m = small_llama(4);
  for (const Recompute recompute : {Recompute::None, Recompute::Selective, Recompute::Full}) {
    for (const int pp : {1, 2}) {
      const WireNetwork network(2, 1e-6, 1e12);
      Strategy s = layout(2 / pp, pp);
      s.recompute = recompute;
      const Job job{m, kDevice, network, s, bare_profile(), 256};
      const StepResult r = simulate(job);
      const std::vector<StepOp> ops = step_ops(job);
      EXPECT_NEAR(seconds(ops, OpPass::Forward) / pp, r.mean.forward_s, 1e-8 * r.mean.forward_s);
      EXPECT_NEAR(seconds(ops, OpPass::Recompute) / pp, r.mean.recompute_s, 1e-8 * r.mean.forward_s);
      EXPECT_NEAR((seconds(ops, OpPass::DataGrad) + seconds(ops, OpPass::WeightGrad)) / pp, r.mean.backward_s,
                  1e-8 * r.mean.backward_s);
      double flops = 0;
      for (const StepOp& op : ops) flops += op.runs * op.flops;
      EXPECT_NEAR(flops * s.dp, r.hardware_flops, 1e-8 * r.hardware_flops);
    }
  }
}

TEST(StepOps, AMatmulMovesItsOperandsAndItsResult) {
  ModelSpec m = small_llama(1);
  const WireNetwork network(1, 0, 1);
  const Job job{m, kDevice, network, layout(1), bare_profile(), 256};
  const std::vector<StepOp> ops = step_ops(job);
  const Op& up = *std::find_if(m.layers[0].block.ops.begin(), m.layers[0].block.ops.end(),
                               [](const Op& op) { return op.kind == OpKind::Matmul; });
  const auto row = std::find_if(ops.begin(), ops.end(), [&](const StepOp& op) { return op.name == up.name; });
  ASSERT_NE(row, ops.end());
  EXPECT_EQ(row->flops, 2 * 256 * up.in_features * up.out_features);
  EXPECT_EQ(row->bytes, 2 * (256 * up.in_features + up.in_features * up.out_features + 256 * up.out_features));
  EXPECT_EQ(row->runs, 8);  // one layer, eight micro-batches
  EXPECT_EQ(row->time_s,
            gemm_time_s(kDevice, DType::BF16, {256, up.out_features, up.in_features}, GemmPass::Forward, 2));
}

TEST(StepOps, NoOpBeatsTheRoofs) {
  const ModelSpec m = small_llama(2);
  const WireNetwork network(1, 0, 1);
  for (const StepOp& op : step_ops({m, kDevice, network, layout(1), bare_profile(), 1024})) {
    EXPECT_GE(op.time_s, 0.999999 * op.bytes / kDevice.hbm_Bps) << op.name;
    EXPECT_GE(op.time_s, 0.999999 * op.flops / kDevice.rate(op.type).peak_flops) << op.name;
  }
}

}  // namespace

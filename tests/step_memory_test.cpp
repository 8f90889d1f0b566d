#include <gtest/gtest.h>

#include <algorithm>

#include "in_flight.hpp"
#include "small_jobs.hpp"

namespace {

using namespace dts;
using test::bare_profile;
using test::small_llama;
using test::WireNetwork;

const DeviceSpec kDevice = test::paper_device();

// Weights of the small Llama: per layer 256 x (512 + 256) qkv and proj, 256 x 1024 + 512 x 256 MLP, two norms.
constexpr double kLayer = 256 * 512 + 256 * 256 + 256 * 1024 + 512 * 256 + 512, kTable = 1024 * 256;
constexpr double kModel = 4 * kLayer + 2 * kTable + 256;

std::vector<MemoryReport> memory(const ModelSpec& m, Strategy s, const FrameworkProfile& p, double seq_len = 64) {
  s.global_batch = 8 * s.dp * s.micro_batch;
  s.etp = s.tp, s.sequence_parallel = s.tp > 1;
  const WireNetwork network(static_cast<int>(world_size(s)), 0, 1e9);
  return simulate({m, kDevice, network, s, p, seq_len}).memory;
}

MemoryReport first(const Strategy& s, const FrameworkProfile& p = bare_profile()) {
  return memory(small_llama(), s, p)[0];
}

TEST(StepMemory, StatesByZeroStage) {
  // 16-bit weights, fp32 gradients, fp32 master weight and two moments; sharded over 4 replicas stage by stage.
  for (int zero : {0, 1, 2, 3}) {
    Strategy s;
    s.dp = 4, s.zero = zero;
    const MemoryReport r = first(s);
    EXPECT_DOUBLE_EQ(r.weights, 2 * kModel / (zero >= 3 ? 4 : 1)) << zero;
    EXPECT_DOUBLE_EQ(r.gradients, 4 * kModel / (zero >= 2 ? 4 : 1)) << zero;
    EXPECT_DOUBLE_EQ(r.optimizer, 12 * kModel / (zero >= 1 ? 4 : 1)) << zero;
    EXPECT_EQ(r.gathered_parameters > 0, zero == 3);
  }
}

TEST(StepMemory, ContextRanksShareStates) {
  Strategy s;
  s.dp = 2, s.cp = 2, s.zero = 1;
  EXPECT_DOUBLE_EQ(first(s).optimizer, 12 * kModel / 4);
}

TEST(StepMemory, TensorParallelismSplitsMatricesNotNorms) {
  Strategy s;
  s.tp = 4;
  const double norms = 4 * 512 + 256;
  EXPECT_DOUBLE_EQ(first(s).weights, 2 * ((kModel - norms) / 4 + norms));
}

TEST(StepMemory, StatesFollowPrecisionAndOptimizer) {
  Strategy s;
  s.optimizer = Optimizer::Momentum;
  EXPECT_DOUBLE_EQ(first(s).optimizer, 8 * kModel);
  s.optimizer = Optimizer::SGD;
  EXPECT_DOUBLE_EQ(first(s).optimizer, 4 * kModel);  // the master weight
  FrameworkProfile p = bare_profile();
  p.main_grad_bytes = 2;
  EXPECT_DOUBLE_EQ(first(s, p).gradients, 2 * kModel);
}

TEST(StepMemory, FrozenWeightsHaveNoGradientsOrStates) {
  ModelSpec m = small_llama();
  for (Op& op : m.layers[0].block.ops) op.trainable = false;
  const MemoryReport r = memory(m, {}, bare_profile())[0];
  EXPECT_DOUBLE_EQ(r.weights, 2 * kModel);
  EXPECT_DOUBLE_EQ(r.gradients, 4 * (kModel - 4 * kLayer));
  EXPECT_DOUBLE_EQ(r.optimizer, 12 * (kModel - 4 * kLayer));
}

TEST(StepMemory, ATiedTableIsHeldOnceOrOnBothEnds) {
  ModelSpec m = small_llama();
  m.tied_embeddings = true;
  EXPECT_DOUBLE_EQ(memory(m, {}, bare_profile())[0].weights, 2 * (kModel - kTable));
  Strategy s;
  s.pp = 2;
  const std::vector<MemoryReport> stages = memory(m, s, bare_profile());
  EXPECT_DOUBLE_EQ(stages[0].weights + stages[1].weights, 2 * kModel);
}

// Most activations that each rank holds at once; at the fullest moment of all tensors some may have gone.
std::vector<double> activations(Strategy s) {
  s.global_batch = 8 * s.dp * s.micro_batch;
  s.etp = s.tp, s.sequence_parallel = s.tp > 1;
  const WireNetwork network(static_cast<int>(world_size(s)), 0, 1e9);
  const ModelSpec model = small_llama();
  const FrameworkProfile profile = bare_profile();
  std::vector<double> most;
  for (const MemoryTimeline& timeline : memory_details({model, kDevice, network, s, profile, 64}).timelines) {
    most.push_back(0);
    for (const MemoryMoment& moment : timeline.moments) {
      most.back() = std::max(most.back(), moment.bytes[static_cast<std::size_t>(MemoryCategory::Activations)]);
    }
  }
  return most;
}

// Bytes per token that one layer keeps (flash attention, bf16): block input and norm2's input, both norm outputs,
// attention output, q k v, two statistics of 4 bytes, log-sum-exp of 8 heads, gate and up, their product.
constexpr double kKept = 2 * 5 * 256 + 2 * 512 + 2 * 4 + 4 * 8 + 2 * 1024 + 2 * 512;
constexpr double kIds = 8, kHeadKept = 2 * 256 + 4 + 2 * 256;  // stem; final norm's input, statistic and output

TEST(StepMemory, ActivationsOfOneStage) {
  EXPECT_DOUBLE_EQ(activations({})[0], 64 * (4 * kKept + kIds + kHeadKept));
  Strategy s;
  s.micro_batch = 3;
  EXPECT_DOUBLE_EQ(activations(s)[0], 3 * 64 * (4 * kKept + kIds + kHeadKept));
  s.recompute = Recompute::Full;
  EXPECT_DOUBLE_EQ(activations(s)[0], 3 * 64 * (4 * 512 + kIds + kHeadKept));
}

TEST(StepMemory, ContextParallelismSplitsTheTokens) {
  Strategy s;
  s.cp = 4;
  EXPECT_DOUBLE_EQ(first(s).activations, first({}).activations / 4);
}

TEST(StepMemory, PassesInFlightByStage) {
  // 1F1B holds pp - stage micro-batches, GPipe all eight.
  Strategy s;
  s.pp = 4;
  std::vector<double> stages = activations(s);
  EXPECT_DOUBLE_EQ(stages[0], 4 * 64 * (kKept + kIds));
  EXPECT_DOUBLE_EQ(stages[1], 3 * 64 * kKept);
  EXPECT_DOUBLE_EQ(stages[2], 2 * 64 * kKept);
  EXPECT_DOUBLE_EQ(stages[3], 64 * (kKept + kHeadKept));
  s.schedule = PipelineSchedule::GPipe;
  stages = activations(s);
  EXPECT_DOUBLE_EQ(stages[0], 8 * 64 * (kKept + kIds));
  EXPECT_DOUBLE_EQ(stages[3], 8 * 64 * (kKept + kHeadKept));
}

TEST(StepMemory, InterleavedPassesInFlight) {
  Strategy s;
  s.pp = 2, s.vpp = 2;
  const std::vector<MemoryReport> stages = memory(small_llama(), s, bare_profile());
  EXPECT_EQ(chunks_in_flight(PipelineSchedule::OneFOneB, 2, 2, 1, 8), 3);
  EXPECT_DOUBLE_EQ(stages[1].activations, 64 * (3 * kKept + kHeadKept));
}

TEST(StepMemory, WorkspacesAndContextAreTheFrameworks) {
  FrameworkProfile p = bare_profile();
  p.workspace_bytes = 123, p.context_bytes = 456;
  const MemoryReport r = first({}, p);
  EXPECT_EQ(r.workspace, 123);
  EXPECT_EQ(r.context, 456);
  EXPECT_DOUBLE_EQ(r.allocated(), first({}).allocated() + 123);  // the context lies outside the allocator
}

TEST(StepMemory, GatherAndTransferBuffers) {
  FrameworkProfile p = bare_profile();
  p.gather_buffers = 2;
  Strategy s;
  s.tp = 2;
  EXPECT_DOUBLE_EQ(first(s, p).communication_buffers, 2 * 64 * 256 * 2);
  s.pp = 2;  // three boundary tensors, split over tp under sequence parallelism
  EXPECT_DOUBLE_EQ(first(s, p).communication_buffers, 2 * 64 * 256 * 2 + 3 * 64 * 256 * 2 / 2);
}

}  // namespace

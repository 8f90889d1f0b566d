#include <gtest/gtest.h>

#include <memory>
#include <numeric>

#include "error.hpp"
#include "small_jobs.hpp"

namespace {

using namespace dts;
using test::bare_profile;
using test::paper_model;
using test::small_llama;
using test::WireNetwork;

const DeviceSpec kDevice = test::paper_device();

struct Matrix {
  std::vector<double> bytes;
  std::size_t n = 0;

  double at(std::size_t from, std::size_t to) const { return bytes[from * n + to]; }
  double sent(std::size_t rank) const {
    double sum = 0;
    for (std::size_t to = 0; to < n; ++to) sum += at(rank, to);
    return sum;
  }
  double received(std::size_t rank) const {
    double sum = 0;
    for (std::size_t from = 0; from < n; ++from) sum += at(from, rank);
    return sum;
  }
  double total() const { return std::accumulate(bytes.begin(), bytes.end(), 0.0); }
};

Matrix traffic(const ModelSpec& m, const Interconnect& network, const Strategy& s, double seq_len = 1,
               bool expand = false, FrameworkProfile p = bare_profile()) {
  const StepResult r = simulate({m, kDevice, network, s, p, seq_len}, {expand, false, true, {}});
  return {r.traffic_bytes, static_cast<std::size_t>(r.devices)};
}

std::unique_ptr<Interconnect> ring(int nodes) {
  TopologySpec spec;
  spec.nodes = nodes;
  return make_interconnect(CommunicationModel(Topology(spec)));
}

ModelSpec weights(double parameters) {
  ModelSpec m = paper_model(1);
  m.layers[0].block.ops[0].extra_parameters = parameters;
  return m;
}

TEST(StepTraffic, RingAllReduceSendsTwiceNMinusOneOverN) {
  Strategy s;
  s.dp = 8, s.global_batch = 8;
  const Matrix m = traffic(weights(1e9), *ring(8), s);
  for (std::size_t rank = 0; rank < 8; ++rank) {
    EXPECT_DOUBLE_EQ(m.sent(rank), 2.0 * 7 / 8 * 4e9);
    EXPECT_DOUBLE_EQ(m.received(rank), m.sent(rank));
    EXPECT_EQ(m.at(rank, rank), 0);
  }
}

TEST(StepTraffic, FabricRingSendsTheSame) {
  ClusterSpec cluster;  // two nodes of eight
  cluster.nodes = 2;
  cluster.node.scale_up.nvls_min_ranks = 0;
  Strategy s;
  s.dp = 16, s.global_batch = 16, s.zero = 1;
  const Matrix m = traffic(weights(1e9), *make_interconnect(cluster), s);
  // Reduce-scatter of 4 bytes and all-gather of 2 bytes a weight: (n - 1)/n each.
  for (std::size_t rank = 0; rank < 16; ++rank) EXPECT_DOUBLE_EQ(m.sent(rank), 15.0 / 16 * 6e9);
}

TEST(StepTraffic, PipelineBytesByHand) {
  // 100 features x 5 tokens x 2 samples x 2 bytes per boundary and micro-batch; three micro-batches.
  ModelSpec m = paper_model(4);
  m.hidden = 100, m.tokens_per_sample = 0;
  Strategy s;
  s.pp = 4, s.micro_batch = 2, s.global_batch = 6;
  const Matrix t = traffic(m, *ring(4), s, 5);
  const double tensor = 100 * 5 * 2 * 2;
  for (std::size_t r = 0; r + 1 < 4; ++r) {
    EXPECT_EQ(t.at(r, r + 1), 3 * tensor);
    EXPECT_EQ(t.at(r + 1, r), 3 * tensor);
  }
  EXPECT_EQ(t.total(), 6 * 3 * tensor);
}

TEST(StepTraffic, InterleavingSendsAroundTheRing) {
  ModelSpec m = paper_model(4);
  m.hidden = 100;
  Strategy s;
  s.pp = 2, s.vpp = 2, s.global_batch = 2;
  const Matrix t = traffic(m, *ring(2), s);
  // Virtual stages 0-1-2-3 lie on ranks 0-1-0-1: forward 0>1 twice, 1>0 once; backward the reverse.
  EXPECT_EQ(t.at(0, 1), 2 * (2 + 1) * 200.0);
  EXPECT_EQ(t.at(1, 0), 2 * (1 + 2) * 200.0);
}

TEST(StepTraffic, TensorParallelBytesAreCallsTimesCounts) {
  // Per layer and micro-batch: forward 2 gathers and 2 scatters, backward 4 and 2, of one residual stream; stem and
  // head: scatter + gather (embedding), gather + 3 scalar all-reduces forward, gather + scatter backward.
  Strategy s;
  s.tp = 2, s.etp = 2, s.sequence_parallel = true, s.global_batch = 3;
  const double stream = 64 * 256 * 2.0;
  const Matrix t = traffic(small_llama(4), WireNetwork(2, 0, 1e9), s, 64);
  EXPECT_DOUBLE_EQ(t.total(), 3 * (4 * 10 * stream + 2 * stream + 3 * stream + 3 * 4 * 64.0));
}

TEST(StepTraffic, RecomputationSendsItsCollectivesAgain) {
  Strategy s;
  s.tp = 2, s.etp = 2, s.sequence_parallel = true, s.global_batch = 1;
  const WireNetwork network(2, 0, 1e9);
  const double kept = traffic(small_llama(4), network, s, 64).total();
  s.recompute = Recompute::Full;
  EXPECT_DOUBLE_EQ(traffic(small_llama(4), network, s, 64).total() - kept, 4 * 4 * 64 * 256 * 2.0);
}

TEST(StepTraffic, ShardedParametersTravelByUnit) {
  // ZeRO-3: gathered for forward and again for backward, except the last unit, in every micro-batch; gradients
  // reduce-scattered in 4 bytes.
  ModelSpec m = weights(1000);
  m.layers[0].repeat = 3;
  Strategy s;
  s.dp = 2, s.zero = 3, s.global_batch = 4;
  const double unit = 1000;
  EXPECT_DOUBLE_EQ(traffic(m, WireNetwork(2, 0, 1e9), s).total(), 2 * unit * (3 * 2 + 2 * 2 + 3 * 4));
  s.zero = 0;
  EXPECT_DOUBLE_EQ(traffic(m, WireNetwork(2, 0, 1e9), s).total(), unit * 3 * 4);
}

TEST(StepTraffic, TiedTablesMeetOnce) {
  ModelSpec m = small_llama(2);
  Strategy s;
  s.pp = 2, s.global_batch = 4;
  const WireNetwork network(2, 0, 1e9);
  const double apart = traffic(m, network, s, 64).total();
  m.tied_embeddings = true;
  EXPECT_DOUBLE_EQ(traffic(m, network, s, 64).total() - apart, 1024 * 256 * 4.0);
}

TEST(StepTraffic, BytesSentAreBytesReceived) {
  Strategy s;
  s.tp = 2, s.cp = 2, s.dp = 2, s.etp = 2, s.sequence_parallel = true, s.global_batch = 4;
  for (int zero : {0, 1, 2, 3}) {
    s.zero = zero;
    const Matrix t = traffic(small_llama(), *ring(8), s, 64);
    for (std::size_t rank = 0; rank < 8; ++rank) {  // every group is a ring: each rank passes on what it gets
      EXPECT_NEAR(t.sent(rank), t.received(rank), 1e-9 * t.sent(rank)) << zero;
      EXPECT_NEAR(t.sent(rank), t.total() / 8, 1e-9 * t.total()) << zero;
    }
  }
}

TEST(StepTraffic, ExpandedAndFoldedAreTheSameBytes) {
  Strategy s;
  s.tp = 2, s.pp = 2, s.dp = 2, s.etp = 2, s.sequence_parallel = true, s.global_batch = 8, s.zero = 1;
  EXPECT_EQ(traffic(small_llama(), *ring(8), s, 64).bytes, traffic(small_llama(), *ring(8), s, 64, true).bytes);
}

TEST(StepTraffic, TooManyRanksForAMatrix) {
  Strategy s;
  s.dp = kMaxMatrixDevices * 2, s.global_batch = s.dp;
  EXPECT_THROW(traffic(weights(10), WireNetwork(s.dp, 0, 1e9), s), ConfigError);
}

TEST(Fabric, AllToAllGoesToEveryPeer) {
  ClusterSpec cluster;
  const auto network = make_interconnect(cluster);
  std::vector<double> matrix(64, 0);
  network->add_traffic(CollectiveKind::AllToAll, 400, 2, network->group({0, 2, 4, 6}), matrix);
  EXPECT_EQ(matrix[0 * 8 + 2], 200);  // a quarter of the buffer, twice
  EXPECT_EQ(matrix[6 * 8 + 4], 200);
  EXPECT_EQ(std::accumulate(matrix.begin(), matrix.end(), 0.0), 12 * 200);
}

}  // namespace

// A step whose collectives share links: alone they take their prices, together longer, and bytes are those of the
// groups.
#include "step/links/flow_step.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "error.hpp"
#include "small_jobs.hpp"

namespace {

using namespace dts;

struct Flowing {
  ModelSpec model = test::small_llama(4, 32768);
  DeviceSpec device = test::paper_device();
  std::unique_ptr<Interconnect> network;
  Strategy strategy;

  explicit Flowing(int nodes = 4) {
    ClusterSpec cluster;
    cluster.nodes = nodes;
    network = make_interconnect(cluster);
    strategy.dp = 8 * nodes, strategy.global_batch = 8 * nodes;
  }
  StepResult run(const FlowStepOptions& flow) const {
    SimulateOptions options;
    options.flow = flow;
    options.keep_events = false;
    return simulate({model, device, *network, strategy, test::bare_profile(), 64}, options);
  }
  StepResult priced() const {
    SimulateOptions options;
    options.keep_events = false;
    return simulate({model, device, *network, strategy, test::bare_profile(), 64}, options);
  }
};

FlowStepOptions with_cables(std::vector<CableShare> cables) {
  FlowStepOptions options;
  options.network.cables = std::move(cables);
  return options;
}

TEST(FlowStep, ACollectiveAloneTakesItsPrice) {
  const Flowing job;
  const StepResult flow = job.run({});
  EXPECT_NEAR(flow.step_time_s, job.priced().step_time_s, 1e-9 * flow.step_time_s);
  EXPECT_NEAR(flow.uncontended_step_time_s, flow.step_time_s, 1e-9 * flow.step_time_s);
}

TEST(FlowStep, ASlowCableSlowsAndALaterOneLess) {
  const Flowing job;
  const double even = job.run({}).step_time_s;
  const double slow = job.run(with_cables({{"nic 1.0", 0.25, 0}})).step_time_s;
  const double later = job.run(with_cables({{"nic 1.0", 0.25, even / 2}})).step_time_s;
  const double after = job.run(with_cables({{"nic 1.0", 0.25, 2 * even}})).step_time_s;
  EXPECT_GT(slow, even);
  EXPECT_LE(later, slow);
  EXPECT_GE(later, even);
  EXPECT_DOUBLE_EQ(after, even);
}

TEST(FlowStep, LinksCarryTheSameBytesInEveryInterval) {
  const Flowing job;
  FlowStepOptions options;
  options.intervals = 16;
  const StepLinks links = job.run(options).links;
  ASSERT_EQ(links.names.size(), links.bytes.size());
  ASSERT_GE(links.intervals, 16u);
  ASSERT_EQ(links.busy_bytes.size(), links.names.size() * links.intervals);
  double most = 0;
  for (std::size_t link = 0; link < links.names.size(); ++link) {
    const auto row = links.busy_bytes.begin() + static_cast<std::ptrdiff_t>(link * links.intervals);
    const double busy = std::accumulate(row, row + static_cast<std::ptrdiff_t>(links.intervals), 0.0);
    EXPECT_EQ(busy > 0, links.bytes[link] > 0) << links.names[link];
    for (std::size_t i = 0; i < links.intervals; ++i)
      EXPECT_LE(row[static_cast<std::ptrdiff_t>(i)], links.capacity_Bps[link] * links.interval_s * (1 + 1e-9))
          << links.names[link];
    most = std::max(most, links.bytes[link]);
  }
  EXPECT_GT(most, 0);
  EXPECT_GT(links.events, 0u);
  double sent = 0;
  for (const PairBytes& pair : links.pairs) {
    sent += pair.bytes;
    EXPECT_NE(pair.from, pair.to);
  }
  EXPECT_GT(sent, 0);
}

// What a link is busy with, flags and protocol included, is no less than what it carries: prices and streams agree.
TEST(FlowStep, LinksAreBusyWithAllTheyCarry) {
  FlowStepOptions options;
  options.intervals = 8;
  for (int nodes : {2, 4}) {
    for (int tp : {1, 4}) {
      for (int pp : {1, 2}) {
        for (int zero : {0, 1, 3}) {
          Flowing job(nodes);
          Strategy& s = job.strategy;
          s.tp = tp, s.pp = pp, s.zero = zero, s.dp = 8 * nodes / (tp * pp);
          const StepLinks links = job.run(options).links;
          for (std::size_t link = 0; link < links.names.size(); ++link) {
            const auto row = links.busy_bytes.begin() + static_cast<std::ptrdiff_t>(link * links.intervals);
            const double busy = std::accumulate(row, row + static_cast<std::ptrdiff_t>(links.intervals), 0.0);
            EXPECT_GE(busy, links.bytes[link] * (1 - 1e-9))
                << links.names[link] << " nodes " << nodes << " tp " << tp << " pp " << pp << " zero " << zero;
          }
        }
      }
    }
  }
}

TEST(FlowStep, OtherJobsTakeTheirShare) {
  const Flowing job;
  FlowStepOptions options;
  options.background = {{0, 8, 20e9}};
  EXPECT_GE(job.run(options).step_time_s, job.run({}).step_time_s);
}

TEST(FlowStep, EveryStageOfAPipelineSendsOverItsLinks) {
  Flowing job(2);
  job.strategy.tp = 4, job.strategy.etp = 4, job.strategy.pp = 2, job.strategy.dp = 2, job.strategy.global_batch = 8;
  FlowStepOptions options;
  options.traffic = true;
  const StepResult step = job.run(options);
  EXPECT_GE(step.step_time_s, step.uncontended_step_time_s * (1 - 1e-9));
  double sent = 0;
  for (const PairBytes& pair : step.links.pairs) sent += pair.bytes;
  EXPECT_GT(sent, 0);
}

TEST(FlowStep, RefusesCablesThatDoNotExistAndRanksThatAreCutOff) {
  const Flowing job;
  EXPECT_THROW(job.run(with_cables({{"nic 99.0", 0.5, 0}})), ConfigError);
  EXPECT_THROW(job.run(with_cables({{"wire", 0.5, 0}})), ConfigError);
  EXPECT_THROW(job.run(with_cables({{"port 3", 0, 0}})), DtsError);
}

}  // namespace

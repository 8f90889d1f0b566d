#include "interrupt.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>

#include "search/parallel_for.hpp"
#include "small_jobs.hpp"
#include "step/plan/step_size.hpp"
#include "training_simulator.hpp"

namespace dts {
namespace {

struct SmallJob {
  ModelSpec model = test::paper_model(4);
  DeviceSpec device = test::paper_device();
  test::WireNetwork network{8, 0, 1e12};
  Job job(const Strategy& strategy) const { return {model, device, network, strategy, test::bare_profile(), 1}; }
};

struct Asked : std::runtime_error {
  Asked() : std::runtime_error("asked to stop") {}
};

TEST(Interrupt, NothingIsAskedWithoutAScope) {
  for (int i = 0; i < 10; ++i) poll_interrupt();
}

TEST(Interrupt, TheFunctionIsAskedOncePerAmountOfWork) {
  int asked = 0;
  const InterruptScope scope([&] { ++asked; });
  for (int i = 0; i < 10; ++i) poll_interrupt(detail::kWorkBetweenPolls / 4 + 1);
  EXPECT_GE(asked, 2);
  EXPECT_LE(asked, 4);
}

TEST(Interrupt, TheOuterScopeComesBack) {
  int outer = 0, inner = 0;
  const InterruptScope scope([&] { ++outer; });
  {
    const InterruptScope within([&] { ++inner; });
    poll_interrupt(), poll_interrupt();
  }
  EXPECT_GT(inner, 0);
  EXPECT_EQ(outer, 0);
  poll_interrupt(), poll_interrupt();
  EXPECT_GT(outer, 0);
}

TEST(Interrupt, EndsASimulatedStep) {
  const SmallJob small;
  const InterruptScope scope([] { throw Asked(); });
  Strategy strategy;
  strategy.dp = 4, strategy.pp = 2, strategy.global_batch = 80000;
  EXPECT_THROW(simulate(small.job(strategy)), Asked);
}

// Worker threads would go on for ever: only the caller's wish ends them.
TEST(ParallelFor, AnInterruptOfTheCallerStopsEveryThread) {
  std::atomic<int> rounds{0};
  const std::thread::id caller = std::this_thread::get_id();
  const auto endless = [&](std::size_t) {
    for (;; ++rounds) poll_interrupt();
  };
  {
    const InterruptScope scope([&] {
      if (std::this_thread::get_id() == caller && rounds > 1000) throw Asked();
    });
    EXPECT_THROW(parallel_for(64, 4, [&] { return endless; }), Asked);
  }
}

TEST(ParallelFor, TheCallerIsAskedWhileItWaitsForTheOthers) {
  const std::thread::id caller = std::this_thread::get_id();
  std::atomic<bool> waits{false};
  const InterruptScope scope([&] {
    if (waits) throw Asked();
  });
  const auto work = [&](std::size_t) {
    if (std::this_thread::get_id() == caller) {
      waits = true;
      return;
    }
    for (;;) poll_interrupt();
  };
  EXPECT_THROW(parallel_for(2, 2, [&] { return work; }), Asked);
}

TEST(ParallelFor, TheFirstFailureIsThrownWhateverTheThreads) {
  for (int threads : {1, 2, 7}) {
    std::atomic<int> done{0};
    const auto work = [&](std::size_t item) {
      ++done;
      if (item == 0) throw std::out_of_range("first");
      if (item == 1) throw std::length_error("second");
    };
    EXPECT_THROW(parallel_for(2, threads, [&] { return work; }), std::out_of_range) << threads;
    EXPECT_GE(done, 1);
  }
}

TEST(StepSize, GrowsWithRanksMicroBatchesAndEvents) {
  const SmallJob small;
  Strategy strategy;
  strategy.pp = 2, strategy.dp = 4, strategy.global_batch = 40;
  const StepSize folded = step_size(small.job(strategy), false, false),
                 kept = step_size(small.job(strategy), false, true);
  const StepSize expanded = step_size(small.job(strategy), true, true);
  EXPECT_EQ(folded.tasks, 2 * 10 * 2 * 2);  // passes of two ranks, each with a transfer
  EXPECT_EQ(folded.events, 0);
  EXPECT_EQ(kept.events, folded.tasks);
  EXPECT_EQ(expanded.events, 4 * folded.tasks);
  EXPECT_EQ(expanded.ranks, 8);
  EXPECT_LT(folded.bytes(), kept.bytes());
  EXPECT_LT(kept.seconds(), expanded.seconds());
}

TEST(StepSize, AStepBeyondTheLimitIsRefusedWithTheEstimate) {
  check_step_size({1e6, 100, 1e8});
  try {
    check_step_size({1.6e7, 100, 1.6e9});
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("about 166 GB"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("keep_events=False"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace dts

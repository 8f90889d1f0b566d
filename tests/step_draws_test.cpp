#include "search/step_draws.hpp"

#include <gtest/gtest.h>

#include "error.hpp"
#include "small_jobs.hpp"

namespace {

using namespace dts;

struct SmallJob {
  ModelSpec model = test::small_llama();
  DeviceSpec device = test::paper_device();
  test::WireNetwork network{4, 1e-6, 1e9};
  Job job() const {
    Strategy s;
    s.dp = 4, s.global_batch = 8;
    return {model, device, network, s, test::bare_profile(), 64};
  }
};

StragglerSpec noisy() {
  StragglerSpec stragglers;
  stragglers.kind = StragglerKind::Normal;
  stragglers.sigma = 0.1;
  return stragglers;
}

TEST(StepDraws, ThreadsShareTheDrawsWithoutChangingThem) {
  const SmallJob small;
  const Job job = small.job();
  const std::vector<double> alone = step_times(job, noisy(), 0, 7);
  for (int threads : {0, 1, 2, 3, 7, 50})
    EXPECT_EQ(step_times_of_draws(job, noisy(), 7, {}, threads), alone) << threads;
  EXPECT_EQ(step_times(job, noisy(), 3, 4), std::vector<double>(alone.begin() + 3, alone.end()));
  EXPECT_TRUE(step_times_of_draws(job, noisy(), 0, {}, 2).empty());
}

TEST(StepDraws, EqualRanksTakeTheStepOfOne) {
  const SmallJob small;
  const Job job = small.job();
  StragglerSpec none = noisy();
  none.sigma = 0;
  EXPECT_DOUBLE_EQ(step_times_of_draws(job, none, 1, {}, 1).front(), simulate(job).step_time_s);
}

TEST(StepDraws, RefusesNegativeNumbers) {
  const SmallJob small;
  EXPECT_THROW(step_times_of_draws(small.job(), noisy(), -1, {}, 1), ConfigError);
  EXPECT_THROW(step_times_of_draws(small.job(), noisy(), 1, {}, -1), ConfigError);
}

}  // namespace

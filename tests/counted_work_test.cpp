// What a step costs to simulate, counted and not timed: tasks executed. A change that loses the folding of ranks or the
// skipping of a schedule's steady state fails here on every machine.
#include <gtest/gtest.h>

#include "small_jobs.hpp"

namespace {

using namespace dts;
using test::bare_profile;
using test::paper_device;
using test::paper_model;
using test::WireNetwork;

double tasks_of(int dp, int pp, int vpp, int micro_batches) {
  static const DeviceSpec kDevice = paper_device();
  const ModelSpec model = paper_model(pp * vpp);
  const WireNetwork network(dp * pp, 1, 1);
  Strategy s;
  s.dp = dp, s.pp = pp, s.vpp = vpp, s.global_batch = dp * micro_batches;
  SimulateOptions options;
  options.keep_events = false;
  return simulate({model, kDevice, network, s, bare_profile(), 1}, options).tasks;
}

TEST(CountedWork, IsFlatInReplicas) { EXPECT_EQ(tasks_of(2, 4, 1, 32), tasks_of(64, 4, 1, 32)); }

// Passes last 1 s: steps stay below the 2^12 s in which times are exact, beyond which schedules run in full.
TEST(CountedWork, IsFlatInMicroBatchesOnceTheScheduleRepeats) {
  EXPECT_EQ(tasks_of(1, 4, 1, 1024), tasks_of(1, 4, 1, 64));
  EXPECT_EQ(tasks_of(1, 4, 2, 512), tasks_of(1, 4, 2, 128));
}

TEST(CountedWork, StaysUnderItsBudget) {
  EXPECT_LE(tasks_of(1, 4, 1, 1024), 180);  // 173
  EXPECT_LE(tasks_of(1, 4, 2, 512), 1100);  // 1,085
}

}  // namespace

// What a step costs to simulate, counted and not timed: tasks executed, allocations. A change that loses the folding of
// ranks, the skipping of a schedule's steady state, passes taken over or what a search keeps fails here on every
// machine.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "small_jobs.hpp"

namespace {
std::atomic<long long> allocations{0};
}

// GCC sees malloc through the inlined new and takes its free for a mistake.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

// Each form that goes with the plain delete, or a sanitizer's own would be freed by ours.
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(bytes > 0 ? bytes : 1);
}
void* operator new(std::size_t bytes) {
  if (void* made = operator new(bytes, std::nothrow)) return made;
  throw std::bad_alloc();
}
void operator delete(void* freed) noexcept { std::free(freed); }
void operator delete(void* freed, const std::nothrow_t&) noexcept { std::free(freed); }
void operator delete(void* freed, std::size_t) noexcept { std::free(freed); }

namespace {

using namespace dts;
using test::bare_profile;
using test::paper_device;
using test::paper_model;
using test::WireNetwork;

constexpr long long kAllocationBudget = 365;  // 343

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
  EXPECT_LE(tasks_of(1, 4, 1, 1024), 135);  // 131
  EXPECT_LE(tasks_of(1, 4, 2, 512), 500);   // 485
}

// In lockstep three groups of micro-batches are enough: 24 of them, a forward and a backward of two chunks on eight
// ranks each, and about as many transfers.
TEST(CountedWork, AnInterleavedOrderIsShort) {
  EXPECT_LE(tasks_of(1, 8, 2, 512), 2.2 * 24 * 2 * 2 * 8);
  EXPECT_EQ(tasks_of(1, 8, 2, 512), tasks_of(1, 8, 2, 256));
}

Strategy sharded(int zero, int micro_batches) {
  Strategy s;
  s.dp = 4, s.pp = 4, s.zero = zero, s.global_batch = 4 * micro_batches;
  return s;
}

double tasks_of(const Strategy& s, bool shortcuts, double wire_Bps = 1e10) {
  static const DeviceSpec kDevice = paper_device();
  const ModelSpec model = test::small_llama(32);
  const WireNetwork network(s.dp * s.pp, 1e-6, wire_Bps);
  SimulateOptions options;
  options.keep_events = false, options.skip_repeats = shortcuts;
  return simulate({model, kDevice, network, s, bare_profile(), 128}, options).tasks;
}

// Sharded gradients and parameters repeat as well, unless their collectives pile up.
TEST(CountedWork, IsFlatInMicroBatchesWhereEveryPassIsCut) {
  EXPECT_EQ(tasks_of(sharded(2, 512), true, 1e12), tasks_of(sharded(2, 128), true, 1e12));
  EXPECT_EQ(tasks_of(sharded(3, 512), true, 1e12), tasks_of(sharded(3, 128), true, 1e12));
}

// Before the head, slower than the stages before it, a queue grows for hundreds of micro-batches.
TEST(CountedWork, QueuesThatGrowAreLeaptOver) {
  const DeviceSpec device = paper_device();
  const ModelSpec model = test::small_llama(48, 16384);
  const WireNetwork network(32, 1e-6, 1e10);
  FrameworkProfile profile = bare_profile();
  profile.p2p_blocking = true;
  Strategy s;
  s.pp = 32, s.global_batch = 1024;
  SimulateOptions options;
  options.keep_events = false;
  EXPECT_LE(simulate({model, device, network, s, profile, 128}, options).tasks, 7'500);  // 7,215; 129,057 one by one
}

// A pass of 8 sharded blocks is 16 tasks or more; one that is taken over counts as one.
TEST(CountedWork, PassesThatRepeatAreTakenOver) {
  Strategy s = sharded(3, 64);
  s.schedule = PipelineSchedule::GPipe;  // no window of it repeats
  EXPECT_LE(tasks_of(s, true, 1e12), 0.2 * tasks_of(s, false, 1e12));
}

// With a book that knows the prices, what is left is the step's own: it does not grow with the micro-batches.
TEST(CountedWork, AllocatesLittleOnceABookIsWarm) {
  const DeviceSpec device = paper_device();
  const ModelSpec model = test::small_llama(32);
  const WireNetwork network(16, 1e-6, 1e10);
  SimulateOptions options;
  options.keep_events = false;
  PriceBook book;
  const auto of = [&](int zero, int micro_batches) {
    const Job job{model, device, network, sharded(zero, micro_batches), bare_profile(), 128};
    simulate(job, options, book);
    const long long before = allocations;
    simulate(job, options, book);
    return allocations - before;
  };
  EXPECT_LE(of(1, 64), kAllocationBudget) << of(1, 64);
  EXPECT_LE(of(1, 256), of(1, 64) + 64);
  EXPECT_LE(of(3, 256), 2 * of(3, 64));
}

// What one more layout of a search costs, all that it shares with others being known: an order too short to leave
// micro-batches out is not walked again, blocking or not.
TEST(CountedWork, ALayoutThatABookKnowsAllocatesLittle) {
  const DeviceSpec device = paper_device();
  const ModelSpec model = paper_model(8);
  const WireNetwork network(8, 1, 1);
  for (bool blocking : {false, true}) {
    Strategy s;
    s.pp = 8, s.global_batch = 8;
    s.p2p = blocking ? PipelineTransfers::Blocking : PipelineTransfers::Overlapped;
    SimulateOptions options;
    options.keep_events = false;
    PriceBook book;
    const auto cost = [&] {
      const long long before = allocations;
      simulate({model, device, network, s, bare_profile(), 1}, options, book);
      return allocations - before;
    };
    const long long first = cost(), again = cost();
    EXPECT_LE(again, 305) << first;  // 289, the first 721 and 1,175
  }
}

}  // namespace

// Shortcuts through what repeats, windows of an order and passes that go as one before, change no bit of a result.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "small_jobs.hpp"

namespace {

using namespace dts;
using test::paper_device;
using test::small_llama;
using test::WireNetwork;

template <class T>
T any(std::mt19937& random, std::initializer_list<T> values) {
  return *(values.begin() + static_cast<std::ptrdiff_t>(random() % values.size()));
}

// Embedding and head make the end stages unlike the others; an uneven division makes those differ too.
Strategy random_strategy(std::mt19937& random, int trial) {
  Strategy s;
  s.pp = any(random, {1, 2, 3, 4}), s.dp = any(random, {1, 2, 4});
  s.dp_replicas = s.dp == 4 && random() % 4 == 0 ? 2 : 1;
  const bool chunks = trial % 3 == 0 && s.pp > 1;
  s.vpp = chunks ? 2 : 1;
  s.schedule = chunks ? any(random, {PipelineSchedule::OneFOneB, PipelineSchedule::LoopedBfs, PipelineSchedule::ZbV,
                                     PipelineSchedule::VHalf, PipelineSchedule::VMin, PipelineSchedule::DualPipeV})
                      : any(random, {PipelineSchedule::OneFOneB, PipelineSchedule::GPipe, PipelineSchedule::ZbH1,
                                     PipelineSchedule::ZbH2, PipelineSchedule::DualPipe});
  const bool loops = s.schedule == PipelineSchedule::OneFOneB || s.schedule == PipelineSchedule::LoopedBfs;
  if (chunks && loops) s.vpp = any(random, {2, 3, 4});
  if (s.schedule == PipelineSchedule::OneFOneB) s.delay_weight_grad = random() % 6 == 0;
  s.zero = static_cast<int>(random() % 4);
  s.recompute = any(random, {Recompute::None, Recompute::Full});
  s.overlap_grad_reduce = random() % 2 == 0, s.overlap_param_gather = random() % 2 == 0;
  s.offload_optimizer = random() % 4 == 0 ? OffloadTier::Host : OffloadTier::None;
  s.offload_activations = any(random, {0.0, 0.0, 1.0});
  s.optimizer_post_validation = random() % 5 == 0;
  s.global_batch = s.dp * s.pp * any(random, {4, 11, 40, 90});
  return s;
}

void expect_same(const StepResult& a, const StepResult& b) {
  EXPECT_EQ(a.step_time_s, b.step_time_s);
  ASSERT_EQ(a.stages.size(), b.stages.size());
  for (std::size_t i = 0; i < a.stages.size(); ++i) {
    const Breakdown &x = a.stages[i], &y = b.stages[i];
    for (const auto part :
         {&Breakdown::forward_s, &Breakdown::backward_s, &Breakdown::recompute_s, &Breakdown::optimizer_s,
          &Breakdown::exposed_tp_s, &Breakdown::exposed_dp_s, &Breakdown::offload_s, &Breakdown::pipeline_s,
          &Breakdown::interference_s, &Breakdown::straggler_s, &Breakdown::host_s}) {
      EXPECT_EQ(x.*part, y.*part) << "stage " << i;
    }
    for (std::size_t axis = 0; axis < kCommAxes; ++axis) {
      EXPECT_EQ(a.communication[i][axis].total_s, b.communication[i][axis].total_s)
          << "stage " << i << " axis " << axis;
      EXPECT_EQ(a.communication[i][axis].exposed_s, b.communication[i][axis].exposed_s)
          << "stage " << i << " axis " << axis;
    }
    EXPECT_EQ(a.memory[i].allocated(), b.memory[i].allocated());
  }
}

TEST(RepeatedPasses, ShortcutsChangeNoBit) {
  const DeviceSpec device = paper_device();
  std::mt19937 random(17);
  double skipped = 0, all = 0;
  int legal = 0;
  for (int trial = 0; trial < 3000; ++trial) {
    const ModelSpec model = small_llama(static_cast<int>(any(random, {8, 11, 16, 24})), 16384);
    const Strategy s = random_strategy(random, trial);
    const WireNetwork network(s.dp * s.pp, 1e-6, any(random, {1e8, 1e10, 1e12}), trial % 5 == 0 ? 16 : 0);
    FrameworkProfile profile;
    profile.interference = trial % 2 == 0;
    profile.bucket_parameters = any(random, {0.0, 1e6, 40e6});
    profile.param_gather_ahead = any(random, {0, 1, 2});
    profile.fsdp_reductions_in_flight = any(random, {0, 1});
    profile.fsdp_backward_prefetch =
        any(random, {BackwardPrefetch::Pre, BackwardPrefetch::Post, BackwardPrefetch::None});
    profile.p2p_blocking = random() % 4 == 0, profile.p2p_blocking_interleaved = random() % 4 == 0;
    const Job job{model, device, network, s, profile, 128, {}, kOneKind, {1e10, 1e11}};
    if (!is_legal(job)) continue;
    ++legal;
    SimulateOptions options;
    options.keep_events = false;
    const StepResult shorter = simulate(job, options);

    options.skip_repeats = false;
    const StepResult whole = simulate(job, options);
    SCOPED_TRACE("trial " + std::to_string(trial) + ", schedule " + std::to_string(static_cast<int>(s.schedule)) +
                 ", zero " + std::to_string(s.zero) + ", pp " + std::to_string(s.pp) + ", batch " +
                 std::to_string(s.global_batch));
    expect_same(shorter, whole);
    skipped += shorter.tasks, all += whole.tasks;
  }
  EXPECT_GT(legal, 250);
  EXPECT_LT(skipped, 0.6 * all);
}

// Pipelines whose ranks run in lockstep (step/run/lockstep_run.hpp), deep ones, groups of any width, slow and fast
// wires.
TEST(RepeatedPasses, LockstepChangesNoBit) {
  const DeviceSpec device = paper_device();
  std::mt19937 random(23);
  double skipped = 0, all = 0;
  int legal = 0;
  for (int trial = 0; trial < 600; ++trial) {
    const ModelSpec model = small_llama(any(random, {16, 24, 32, 48}), 16384);
    Strategy s;
    s.pp = any(random, {2, 4, 6, 8, 16}), s.vpp = any(random, {1, 2, 3, 4}), s.dp = any(random, {1, 2});
    s.micro_batch_group = s.vpp > 1 ? any(random, {0, 0, s.pp, s.pp + 1, 2 * s.pp}) : 0;
    s.zero = any(random, {0, 1, 1, 3}), s.delay_weight_grad = random() % 5 == 0;
    s.global_batch = s.dp * (s.pp * any(random, {3, 4, 7, 20}) + any(random, {0, 0, 1, 3}));
    const WireNetwork network(s.dp * s.pp, 1e-6, std::pow(10.0, 5.0 + static_cast<double>(random() % 500) / 100),
                              trial % 5 == 0 ? 16 : 0);
    FrameworkProfile profile;
    profile.interference = trial % 2 == 0, profile.bucket_parameters = any(random, {0.0, 1e6});
    const Job job{model, device, network, s, profile, 128};
    if (!is_legal(job)) continue;
    SimulateOptions options;
    options.keep_events = false;
    const StepResult shorter = simulate(job, options);
    options.skip_repeats = false;
    const StepResult whole = simulate(job, options);
    if (whole.step_time_s > 4096) continue;  // times are not exact
    ++legal;
    SCOPED_TRACE("trial " + std::to_string(trial) + ", pp " + std::to_string(s.pp) + ", vpp " + std::to_string(s.vpp) +
                 ", group " + std::to_string(s.micro_batch_group) + ", batch " + std::to_string(s.global_batch));
    expect_same(shorter, whole);
    skipped += shorter.tasks, all += whole.tasks;
  }
  EXPECT_GT(legal, 200);
  EXPECT_LT(skipped, 0.5 * all);
}

// Beyond 2^12 s times leave the grid on which shifts are exact: nothing is taken over, whatever the stage of sharding.
TEST(RepeatedPasses, StepsTooLongForExactTimesRunWhole) {
  const DeviceSpec device = paper_device();
  const ModelSpec model = small_llama(8, 16384);
  for (int zero = 0; zero <= 3; ++zero) {
    for (int pp : {1, 2}) {
      if (pp > 1 && zero > 1) continue;
      Strategy s;
      s.dp = 4, s.pp = pp, s.zero = zero, s.global_batch = 4 * 60;
      const WireNetwork network(s.dp * s.pp, zero > 1 ? 100 : 5000, 1e9);  // seconds of each collective, at least
      FrameworkProfile profile;
      profile.interference = true, profile.bucket_parameters = 1e6;
      const Job job{model, device, network, s, profile, 128, {}, kOneKind, {1e10, 1e11}};
      SimulateOptions options;
      options.keep_events = false;
      const StepResult shorter = simulate(job, options);
      options.skip_repeats = false;
      const StepResult whole = simulate(job, options);
      SCOPED_TRACE("zero " + std::to_string(zero) + ", pp " + std::to_string(pp));
      EXPECT_GT(shorter.step_time_s, 4096);
      EXPECT_EQ(shorter.step_time_s, whole.step_time_s);
      for (std::size_t i = 0; i < whole.stages.size(); ++i) {  // sums, rounded in another order
        for (std::size_t axis = 0; axis < kCommAxes; ++axis) {
          const AxisTime &a = shorter.communication[i][axis], &b = whole.communication[i][axis];
          EXPECT_NEAR(a.total_s, b.total_s, 1e-12 * b.total_s);
          EXPECT_NEAR(a.exposed_s, b.exposed_s, 1e-12 * b.total_s);
        }
        EXPECT_NEAR(shorter.stages[i].exposed_dp_s, whole.stages[i].exposed_dp_s, 1e-9);
      }
    }
  }
}

// Reductions that come faster than the network takes them: what runs beside compute grows from pass to pass, so no
// pass goes as one before, and the memory of passes is given up.
TEST(RepeatedPasses, AGrowingBacklogChangesNoBit) {
  const DeviceSpec device = paper_device();
  const ModelSpec model = small_llama(16, 16384);
  for (double bucket : {1e5, 1e6}) {
    for (double Bps : {1e7, 1e8, 1e9}) {
      Strategy s;
      s.dp = 4, s.zero = 2, s.global_batch = 4 * 400;
      const WireNetwork network(4, 1e-6, Bps, 16);
      FrameworkProfile profile;
      profile.interference = true, profile.bucket_parameters = bucket, profile.fsdp_reductions_in_flight = 0;
      const Job job{model, device, network, s, profile, 128, {}, kOneKind, {1e10, 1e11}};
      SimulateOptions options;
      options.keep_events = false;
      const StepResult shorter = simulate(job, options);
      options.skip_repeats = false;
      expect_same(shorter, simulate(job, options));
    }
  }
}

TEST(RepeatedPasses, OneLegalityWithAndWithoutTexts) {
  const DeviceSpec device = paper_device();
  const ModelSpec model = small_llama(8);
  std::mt19937 random(5);
  int legal = 0;
  for (int trial = 0; trial < 4000; ++trial) {
    Strategy s = random_strategy(random, trial);
    s.tp = any(random, {1, 1, 2, 3}), s.cp = any(random, {1, 1, 2}), s.ep = any(random, {1, 1, 1, 2}),
    s.vpp = any(random, {1, 2, 3});
    s.micro_batch = any(random, {1, 2, 3}), s.delay_weight_grad = random() % 8 == 0,
    s.dp_replicas = any(random, {1, 1, 2});
    const WireNetwork network(any(random, {4, 8, 12}), 1e-6, 1e10);
    const Job job{model, device, network, s, {}, 128};
    bool accepted = true;
    try {
      check_strategy(job);
    } catch (const DtsError&) {
      accepted = false;
    }
    EXPECT_EQ(accepted, is_legal(job)) << trial;
    legal += accepted;
  }
  EXPECT_GT(legal, 20);
}

}  // namespace

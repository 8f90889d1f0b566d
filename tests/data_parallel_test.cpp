// Data parallelism as tasks: timelines worked out by hand, and what no overlap may break.
#include "step/plan/data_parallel.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "engine/timeline.hpp"
#include "error.hpp"
#include "expanded.hpp"
#include "small_jobs.hpp"
#include "step/account/breakdown.hpp"
#include "step/tasks/gather_order.hpp"
#include "step_plans.hpp"

namespace {

using namespace dts;
using test::bare_profile;
using test::break_down;
using test::HandPlan;
using test::paper_device;
using test::sharded_stage;
using test::small_llama;
using test::WireNetwork;
using Times = std::vector<double>;

struct Span {
  double start_s, end_s;
  TaskInfo info;
};

std::vector<Span> spans(const StepProgram& step, TaskKind kind) {
  const Timeline t = execute(step.program);
  std::vector<Span> list;
  for (TaskId id = 0; id < step.tasks.size(); ++id) {
    if (step.tasks[id].kind == kind) list.push_back({t.start_s[id], t.end_s[id], step.tasks[id]});
  }
  return list;
}

Times starts(const HandPlan& hand, TaskKind kind) {
  Times list;
  for (const Span& span : spans(build_folded(hand.plan), kind)) list.push_back(span.start_s);
  return list;
}

double folded_s(const HandPlan& hand) { return execute(build_folded(hand.plan).program).makespan_s; }

double expanded_s(const HandPlan& hand, int dp, int replicas) {
  Strategy s;
  s.dp = dp, s.dp_replicas = replicas, s.zero = 1;
  return execute(test::build_expanded(hand.plan, RankGrid(s)).program).makespan_s;
}

// ---- order of gathers and reductions -------------------------------------------------------------------------------

TEST(DataParallel, BackwardPrefetchDecidesWhatTheReductionWaitsBehind) {
  // Three blocks, F 1 B 2, gathers 3, reductions 4, one communicator. Forward: gathers 0-3, 3-6, then one ahead of
  // compute (3-4, 6-7): 6-9 gathers the third, compute 9-10; its backward 10-12 needs no gather.
  HandPlan hand = sharded_stage(3, 1, 3, 1, 2, 3, 4);
  hand.plan.reduce_every_micro_batch = true;
  // Pre: the second block is gathered beside the third's backward 10-13, reductions follow each compute.
  // B2 10-12, R2 13-17; G0 waits for R2 in the stream: 17-20. B1 13-15, R1 20-24; B0 20-22, R0 24-28.
  EXPECT_EQ(starts(hand, TaskKind::Backward), (Times{10, 13, 20}));
  EXPECT_EQ(starts(hand, TaskKind::GradReduce), (Times{13, 20, 24}));
  EXPECT_EQ(folded_s(hand), 28);
  // Post: G1 12-15 after B2, R2 15-19 beside B1 15-17; G0 19-22, R1 22-26, B0 22-24, R0 26-30.
  hand.plan.backward_prefetch = BackwardPrefetch::Post;
  EXPECT_EQ(starts(hand, TaskKind::Backward), (Times{10, 15, 22}));
  EXPECT_EQ(folded_s(hand), 30);
  // None: R2 12-16, G1 16-19, B1 19-21, R1 21-25, G0 25-28, B0 28-30, R0 30-34.
  hand.plan.backward_prefetch = BackwardPrefetch::None;
  EXPECT_EQ(starts(hand, TaskKind::Backward), (Times{10, 19, 28}));
  EXPECT_EQ(folded_s(hand), 34);
}

TEST(DataParallel, ComputeWaitsForTheReductionBeforeTheOneInFlight) {
  // Four blocks that stay gathered (gathers free), B 1, reductions 5: without a limit backward runs on, 4-8.
  HandPlan hand = sharded_stage(4, 1, 3, 1, 1, 0, 5);
  hand.plan.reduce_every_micro_batch = true, hand.plan.reshard_after_forward = false;
  EXPECT_EQ(starts(hand, TaskKind::Backward), (Times{4, 5, 6, 7}));
  // One in flight: R3 5-10, R2 10-15; B1 waits for R3, B0 for R2.
  hand.plan.reductions_in_flight = 1;
  EXPECT_EQ(starts(hand, TaskKind::Backward), (Times{4, 5, 10, 15}));
  EXPECT_EQ(folded_s(hand), 5 + 4 * 5);  // the reductions are back to back either way
}

TEST(DataParallel, NeverMoreThanOneUnitIsGatheredAheadOfTheOneInUse) {
  for (int zero : {1, 3}) {
    for (int blocks : {2, 5, 9}) {
      for (double gather_s : {0.25, 1.0, 4.0}) {
        const HandPlan hand = sharded_stage(blocks, 2, zero, 1, 2, gather_s, 0.5);
        const StepProgram step = build_folded(hand.plan);
        const std::vector<Span> gathers = spans(step, TaskKind::ParamGather);
        std::vector<Span> compute = spans(step, TaskKind::Forward);
        const std::vector<Span> backward = spans(step, TaskKind::Backward);
        compute.insert(compute.end(), backward.begin(), backward.end());
        for (const Span& gather : gathers) {
          // Units gathered or being gathered at its start whose compute has not ended: at most two with its own.
          int held = 0;
          for (const Span& other : gathers) {
            if (other.start_s > gather.start_s) continue;
            double used_s = 1e300;  // end of the first compute of that unit after its gather
            for (const Span& c : compute) {
              const bool whole = c.info.piece < 0 || c.info.piece == other.info.piece;
              if (whole && c.end_s > other.end_s) used_s = std::min(used_s, c.end_s);
            }
            held += used_s > gather.start_s;
          }
          EXPECT_LE(held, 2) << zero << " " << blocks << " " << gather_s << " at " << gather.start_s;
        }
      }
    }
  }
}

TEST(DataParallel, AtLeastTheLastBucketIsExposed) {
  for (int zero : {0, 1, 2, 3}) {
    for (double reduce_s : {0.1, 1.0, 3.0}) {
      HandPlan hand = sharded_stage(4, 2, zero, 1, 2, 0, reduce_s);
      hand.plan.reduce_every_micro_batch = true;
      const StepProgram step = build_folded(hand.plan);
      const Timeline t = execute(step.program);
      const Breakdown b = break_down(hand.plan, step, t, 0)[0];
      EXPECT_GE(b.exposed_dp_s, reduce_s - 1e-12);
      double busy = 0;
      for (const Span& span : spans(step, TaskKind::GradReduce)) busy += span.end_s - span.start_s;
      EXPECT_LE(b.exposed_dp_s, busy + 1e-12);
      EXPECT_NEAR(b.total_s(), t.makespan_s, 1e-12);
    }
  }
}

TEST(DataParallel, ShardedGradientsAreReducedInEveryMicroBatchAlsoWithoutOverlap) {
  // ZeRO-2, two blocks, B 2, two micro-batches: each reduction of 3 blocks the compute behind it.
  HandPlan hand = sharded_stage(2, 2, 2, 1, 2, 0, 3);
  hand.plan.overlap_grad_reduce = false;
  EXPECT_EQ(starts(hand, TaskKind::GradReduce).size(), 4u);
  EXPECT_EQ(folded_s(hand), 2 * (2 + 2 * (2 + 3)));
}

// ---- HSDP
// ------------------------------------------------------------------------------------------------------------

TEST(DataParallel, ReplicasReduceOnAStreamOfTheirOwn) {
  // Two blocks, F 1 B 2; within the shards 2, between replicas 3: R1 4-6, A1 6-9, R0 6-8, A0 9-12.
  HandPlan hand = sharded_stage(2, 1, 1, 1, 2, 0, 2);
  change_units(hand, 2, [](auto& unit) { unit.replica_s = 3; });
  EXPECT_EQ(starts(hand, TaskKind::GradReduce), (Times{4, 6}));
  EXPECT_EQ(starts(hand, TaskKind::ReplicaReduce), (Times{6, 9}));
  EXPECT_EQ(folded_s(hand), 12);
  for (int replicas : {2, 4, 8}) EXPECT_EQ(expanded_s(hand, 8, replicas), 12) << replicas;
}

TEST(RankGrid, ShardsAreNeighboursAndReplicasLieAcross) {
  Strategy s;
  s.dp = 8, s.tp = 2, s.zero = 3, s.dp_replicas = 2, s.reshard_after_forward = 2;
  const RankGrid grid(s);
  EXPECT_EQ(grid.group(3, Axis::DP_CP), (std::vector<int>{1, 3, 5, 7, 9, 11, 13, 15}));
  EXPECT_EQ(grid.group(3, Axis::DP_SHARD), (std::vector<int>{1, 3, 5, 7}));
  EXPECT_EQ(grid.group(3, Axis::DP_REPLICA), (std::vector<int>{3, 11}));
  EXPECT_EQ(grid.group(13, Axis::DP_RESHARD), (std::vector<int>{13, 15}));
  EXPECT_EQ(grid.groups(Axis::DP_SHARD).size(), 4u);
  EXPECT_EQ(grid.groups(Axis::DP_REPLICA).size(), 8u);
}

TEST(RankGrid, ShardsThatDoNotDivideAreNamed) {
  const auto message = [](const Strategy& s) -> std::string {
    try {
      RankGrid grid(s);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "";
  };
  Strategy s;
  s.dp = 8, s.zero = 1, s.dp_replicas = 3;
  EXPECT_NE(message(s).find("a divisor of dp * cp = 8"), std::string::npos) << message(s);
  s.dp_replicas = 2, s.zero = 0;
  EXPECT_NE(message(s).find("use zero=1"), std::string::npos) << message(s);
  s.zero = 1, s.reshard_after_forward = 2;
  EXPECT_NE(message(s).find("use zero=3"), std::string::npos) << message(s);
  s.zero = 3, s.reshard_after_forward = 3;
  EXPECT_NE(message(s).find("a divisor of the 4 ranks"), std::string::npos) << message(s);
  s.reshard_after_forward = 4;
  EXPECT_EQ(message(s), "");
}

// ---- which stages stay gathered under pipeline stages
// -----------------------------------------------------------------

TEST(GatherOrder, AtMostSoManyStagesStayGathered) {
  HandPlan hand = test::even_pipeline(2, 4, 4);
  hand.plan.zero = 3, hand.plan.keeps_gathered = true;
  for (int most : {0, 1, 2, 3}) {
    hand.plan.unsharded_stages = most;
    const GatherOrder order(hand.plan);
    for (int rank : {0, 1}) {
      const auto held = gathered_stages(hand.plan, rank);
      std::size_t gathered = 0;
      for (std::size_t k = 0; k < held.size(); ++k) {
        EXPECT_LE(held[k].size(), most == 0 ? 4u : static_cast<std::size_t>(most));
        EXPECT_EQ(held[k].front(),
                  hand.plan.placement().stage_of(rank, hand.plan.order[static_cast<std::size_t>(rank)][k].chunk));
        gathered += order.before(rank, k).size();
      }
      if (most == 0) {
        EXPECT_EQ(gathered, 4u);  // once a step
      } else {
        EXPECT_GT(gathered, 4u);
      }
    }
  }
}

TEST(GatherOrder, ChunksAreGatheredOneAhead) {
  HandPlan hand = test::even_pipeline(2, 3, 2);
  hand.plan.zero = 1;
  const GatherOrder order(hand.plan);
  const auto before = [&](std::size_t k) {
    const GatherOrder::Stages stages = order.before(0, k);
    return std::vector<int>(stages.begin(), stages.end());
  };
  EXPECT_EQ(before(0), (std::vector<int>{0, 2}));
  EXPECT_EQ(before(1), (std::vector<int>{}));
  EXPECT_EQ(before(2), (std::vector<int>{4}));
}

// ---- copies between device and host
// -----------------------------------------------------------------------------------

TEST(Offload, TheHostUpdatesWhatHasComeDownAndSendsItUpUnitByUnit) {
  // Two units: gradients 1 s down each, 5 s of update, 2 s up. F 1 B 2: backward 2-4, 4-6; reductions instant.
  HandPlan hand = sharded_stage(2, 1, 0, 1, 2, 0, 0);
  hand.plan.offload_optimizer = true;
  change_units(hand, 2, [](auto& unit) { unit.grad_offload_s = 1, unit.update_s = 5, unit.param_upload_s = 2; });
  EXPECT_EQ(starts(hand, TaskKind::GradOffload), (Times{4, 6}));
  EXPECT_EQ(starts(hand, TaskKind::Optimizer), (Times{7, 12}));
  EXPECT_EQ(starts(hand, TaskKind::ParamUpload), (Times{12, 17}));
  EXPECT_EQ(folded_s(hand), 19);
  EXPECT_EQ(expanded_s(hand, 4, 1), 19);
  const StepProgram step = build_folded(hand.plan);
  const Breakdown b = break_down(hand.plan, step, execute(step.program), 0)[0];
  EXPECT_EQ(b.optimizer_s, 10);
  EXPECT_EQ(b.offload_s, 1 + 2);  // the last gradient down, the last parameters up
  EXPECT_EQ(b.total_s(), 19);
}

TEST(Offload, ActivationsLeaveBehindAndComeBackOneAhead) {
  // Four blocks, F 1 B 2, copies 3 s; the last block's stay. Out: 1-4, 4-7, 7-10; the third block's forward waits until
  // the first has left: F 0-1, 1-2, 4-5, and the last at once, 5-6. Backward: B3 6-8; the copies back follow the last
  // copy out, 10-13, B2 13-15 beside 13-16, B1 16-18 beside 16-19, B0 19-21.
  HandPlan hand = sharded_stage(4, 1, 0, 1, 2, 0, -1);
  change_units(hand, 3, [](auto& unit) { unit.activation_copy_s = 3; });
  EXPECT_EQ(starts(hand, TaskKind::Forward), (Times{0, 1, 4, 5}));
  EXPECT_EQ(starts(hand, TaskKind::ActivationOffload), (Times{1, 4, 7}));
  EXPECT_EQ(starts(hand, TaskKind::ActivationReload), (Times{10, 13, 16}));
  EXPECT_EQ(starts(hand, TaskKind::Backward), (Times{6, 13, 16, 19}));
  EXPECT_EQ(folded_s(hand), 21);
  // Copies shorter than compute hide but for the first one back.
  change_units(hand, 3, [](auto& unit) { unit.activation_copy_s = 0.5; });
  EXPECT_EQ(folded_s(hand), 12);
}

TEST(Offload, ShardsComeUpBeforeTheyAreGathered) {
  HandPlan hand = sharded_stage(2, 1, 3, 1, 2, 1, -1);
  hand.plan.upload_before_gather = hand.plan.offload_optimizer = true;
  change_units(hand, 2, [](auto& unit) { unit.param_upload_s = 2; });
  // Up 0-2, 2-4; gathers 2-3, 4-5; F 3-4, 5-6; B1 6-8 while block 0 comes up 6-8? its room is free at 4: up 4-6 ...
  EXPECT_EQ(starts(hand, TaskKind::ParamGather)[0], 2);
  EXPECT_EQ(starts(hand, TaskKind::Forward), (Times{3, 5}));
}

TEST(Offload, StatesBehindTheHostAreReadAheadAndWrittenBehind) {
  // Three units, all gradients there at 0 + F 3 B 6 = 9: read 2 s, update 5, write 3; one storage stream. Reads 9-11,
  // then 11-13 while unit 0 is updated 11-16; write 0 16-19, read 2 19-21 behind it; updates 16-21, 21-26; writes
  // 21-24, 26-29.
  HandPlan hand = sharded_stage(3, 1, 0, 1, 2, 0, -1);
  hand.plan.offload_optimizer = true;
  change_units(hand, 3, [](auto& unit) { unit.update_s = 5, unit.state_read_s = 2, unit.state_write_s = 3; });
  EXPECT_EQ(starts(hand, TaskKind::TierRead), (Times{9, 11, 19}));
  EXPECT_EQ(starts(hand, TaskKind::Optimizer), (Times{11, 16, 21}));
  EXPECT_EQ(starts(hand, TaskKind::TierWrite), (Times{16, 21, 26}));
  EXPECT_EQ(folded_s(hand), 29);
  EXPECT_EQ(expanded_s(hand, 4, 1), 29);
}

TEST(Offload, TheDeviceUpdatesWhatComesUpTwoUnitsAtATime) {
  // Up 4 s, update 1, down 4. Ups 9-13, 13-17; downs 14-18, 18-22; the third comes up when the first has left, 18-22.
  HandPlan hand = sharded_stage(3, 1, 0, 1, 2, 0, -1);
  hand.plan.offload_optimizer = true;
  change_units(hand, 3, [](auto& unit) { unit.update_s = 1, unit.state_upload_s = 4, unit.state_download_s = 4; });
  EXPECT_EQ(starts(hand, TaskKind::StateUpload), (Times{9, 13, 18}));
  EXPECT_EQ(starts(hand, TaskKind::Optimizer), (Times{13, 17, 22}));
  EXPECT_EQ(starts(hand, TaskKind::StateDownload), (Times{14, 18, 23}));
  EXPECT_EQ(folded_s(hand), 27);
}

TEST(Offload, ActivationsPassTheHostOnTheirWayToATier) {
  // Two blocks, F 1 B 2; the last stays. Down 1-2, written 2-5; backward of the last 2-4; read 5-7, up 7-8, B0 8-10.
  HandPlan hand = sharded_stage(2, 1, 0, 1, 2, 0, -1);
  change_units(hand, 1,
               [](auto& unit) { unit.activation_copy_s = 1, unit.activation_write_s = 3, unit.activation_read_s = 2; });
  EXPECT_EQ(starts(hand, TaskKind::TierWrite), Times{2});
  EXPECT_EQ(starts(hand, TaskKind::TierRead), Times{5});
  EXPECT_EQ(starts(hand, TaskKind::ActivationReload), Times{7});
  EXPECT_EQ(folded_s(hand), 10);
}

TEST(Offload, GradientsAreWrittenBeforeTheUpdateReadsThem) {
  HandPlan hand = sharded_stage(1, 1, 0, 1, 2, 0, -1);
  hand.plan.offload_optimizer = true;
  change_units(hand, 1, [](auto& unit) {
    unit.grad_offload_s = 1, unit.grad_write_s = 2, unit.state_read_s = 4, unit.update_s = 3, unit.state_write_s = 1;
  });
  // F 0-1, B 1-3, down 3-4, written 4-6, read 6-10, updated 10-13, written 13-14.
  EXPECT_EQ(starts(hand, TaskKind::TierRead), Times{6});
  EXPECT_EQ(folded_s(hand), 14);
}

TEST(Offload, HostsThatAreNotKnownAreNamed) {
  const WireNetwork network(2, 0, 1e9);
  const ModelSpec model = small_llama();
  const DeviceSpec device = paper_device();
  Strategy s;
  s.dp = 2, s.global_batch = 2, s.offload_optimizer = OffloadTier::Host;
  const auto message = [&](const Strategy& strategy, HostShare host) -> std::string {
    try {
      simulate({model, device, network, strategy, bare_profile(), 64, {}, kOneKind, host});
    } catch (const MissingDataError& error) {
      return std::string("missing ") + error.what();
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_NE(message(s, {}).find("missing node.host_Bps"), std::string::npos);
  EXPECT_NE(message(s, {1e9, 0}).find("missing node.host_memory_Bps"), std::string::npos);
  EXPECT_EQ(message(s, {1e9, 1e9}), "");
  s.offload_optimizer = OffloadTier::Nvme;
  EXPECT_NE(message(s, {1e9, 1e9}).find("missing node.nvme_read_Bps, node.nvme_write_Bps"), std::string::npos);
  EXPECT_EQ(message(s, {1e9, 1e9, {1e9, 1e9}}), "");
  s.offload_update = OffloadUpdate::Device;
  EXPECT_EQ(message(s, {1e9, 0, {1e9, 1e9}}), "");
  s.offload_optimizer = OffloadTier::Remote;
  EXPECT_NE(message(s, {1e9, 1e9}).find("missing cluster.remote_Bps"), std::string::npos);
  s.offload_optimizer = OffloadTier::None;
  EXPECT_NE(message(s, {1e9, 1e9}).find("strategy.offload_update"), std::string::npos);
  s.offload_update = OffloadUpdate::Host, s.offload_optimizer = OffloadTier::Host,
  s.offload_parameters = OffloadTier::Host;
  EXPECT_NE(message(s, {1e9, 1e9}).find("use zero=3"), std::string::npos);
  s.zero = 3, s.offload_optimizer = OffloadTier::None;
  EXPECT_NE(message(s, {1e9, 1e9}).find("offload_optimizer=\"host\""), std::string::npos);
  s = {};
  s.dp = 2, s.global_batch = 2, s.offload_activations = 1.5;
  EXPECT_NE(message(s, {1e9, 1e9}).find("offload_activations"), std::string::npos);
}

// ---- buckets
// ---------------------------------------------------------------------------------------------------------

class Buckets : public ::testing::Test {
 protected:
  Buckets() {
    for (int b = 0; b < 3; ++b) {  // three matmuls of 10 parameters each, 1 s forward, 2 s backward
      BlockCost& block = blocks_[static_cast<std::size_t>(b)];
      for (int i = 0; i < 3; ++i) {
        OpCost op;
        op.forward_s = 1, op.data_grad_s = op.weight_grad_s = 1, op.trainable = 10, op.gathered_bytes = 20;
        block.ops.push_back(op);
      }
      block.dense_trainable = 30, block.dense_parameters = 30;
      stage_.blocks.push_back(&block);
    }
    strategy_.dp = 2, strategy_.global_batch = 2;
  }

  std::vector<StageComm::Unit> units(const FrameworkProfile& profile, bool first = true) {
    const WireNetwork network(2, 0, 1);
    const ModelSpec model = small_llama();
    const DeviceSpec device = paper_device();
    const Job job{model, device, network, strategy_, profile, 64};
    const RankGrid grid(strategy_);
    const GroupPricer groups(network, grid);
    return DataParallel(job, groups).units(stage_, first);
  }

  Times reductions(const FrameworkProfile& profile, bool first = true) {
    Times list;
    for (const StageComm::Unit& unit : units(profile, first)) list.push_back(unit.reduce_s);
    return list;
  }

  std::array<BlockCost, 3> blocks_;
  StageCost stage_;
  Strategy strategy_;
};

TEST_F(Buckets, AreFilledFromTheLastParameterAndCutInsideBlocks) {
  FrameworkProfile p = bare_profile();
  p.bucket_parameters = 40;  // four matmuls fill one: 4 + 4 + 1 from the end, 4 bytes each at 1 B/s
  EXPECT_EQ(reductions(p), (Times{40, 160, 160}));
  const std::vector<StageComm::Unit> found = units(p);
  EXPECT_EQ(found[0].end, 0u);
  EXPECT_NEAR(found[0].backward_share, 1.0 / 3, 1e-12);  // the first matmul alone is left for the last bucket
  EXPECT_EQ(found[1].end, 1u);
  EXPECT_NEAR(found[1].backward_share, 2.0 / 3, 1e-12);
  EXPECT_EQ(found[2].end, 3u);
  double shares = 0;
  StageComm comm;
  comm.units = found;
  for (std::size_t u = 0; u < found.size(); ++u) {
    for_unit_blocks(comm, u, false, [&](std::size_t, double share) { shares += share; });
  }
  EXPECT_NEAR(shares, 3, 1e-12);
}

TEST_F(Buckets, TheFirstMayBeSmaller) {
  FrameworkProfile p = bare_profile();
  p.bucket_parameters = 40, p.first_bucket_parameters = 10;  // torch DDP: 1 MiB, then 25
  EXPECT_EQ(reductions(p), (Times{160, 160, 40}));
}

TEST_F(Buckets, WithoutOverlapOrOnLaterStagesThereIsOne) {
  FrameworkProfile p = bare_profile();
  p.bucket_parameters = 10, p.bucket_first_stage_only = true;
  EXPECT_EQ(reductions(p).size(), 9u);
  EXPECT_EQ(reductions(p, false), (Times{360}));
  strategy_.overlap_grad_reduce = false;
  EXPECT_EQ(reductions(p), (Times{360}));
  p.buckets_without_overlap = true;
  EXPECT_EQ(reductions(p).size(), 9u);
}

TEST_F(Buckets, NoSizeMeansABlock) {
  FrameworkProfile p = bare_profile();
  p.bucket_parameters = 0;
  EXPECT_EQ(reductions(p), (Times{120, 120, 120}));
  p.bucket_parameters = 1e9;
  EXPECT_EQ(reductions(p), (Times{360}));
  strategy_.zero = 3;  // FSDP units
  EXPECT_EQ(reductions(p), (Times{120, 120, 120}));
}

TEST_F(Buckets, AReductionToEachOwner) {
  FrameworkProfile p = bare_profile();
  p.bucket_parameters = 45, p.reduce_to_owner = true;
  strategy_.zero = 1;
  // 90 parameters, two owners of 45 each: 50 touch two slices, 40 one; volumes stay.
  const std::vector<StageComm::Unit> found = units(p);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[1].reduce.size(), 2u);
  EXPECT_EQ(found[0].reduce.size(), 1u);
  EXPECT_EQ(found[1].reduce[0].kind, CollectiveKind::Reduce);
  EXPECT_DOUBLE_EQ(found[1].reduce_s + found[0].reduce_s, 360);
}

TEST_F(Buckets, ReplicasReduceTheirShard) {
  strategy_.dp = 4, strategy_.global_batch = 4, strategy_.zero = 1, strategy_.dp_replicas = 2;
  FrameworkProfile p = bare_profile();
  p.bucket_parameters = 1e9;
  const std::vector<StageComm::Unit> found = units(p);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_DOUBLE_EQ(found[0].reduce_s, 360);
  EXPECT_DOUBLE_EQ(found[0].replica_s, 180);
  EXPECT_EQ(found[0].replica[0].axis, Axis::DP_REPLICA);
}

// ---- memory
// ----------------------------------------------------------------------------------------------------------

MemoryReport held(Strategy s, const FrameworkProfile& p = bare_profile()) {
  s.dp = 4, s.global_batch = 8;
  const WireNetwork network(4, 0, 1e9);
  const ModelSpec model = small_llama();
  const DeviceSpec device = paper_device();
  return simulate({model, device, network, s, p, 64, {}, kOneKind, {1e9, 1e9}}).memory[0];
}

TEST(Offload, MovesStatesToTheHost) {
  FrameworkProfile p = bare_profile();
  p.bucket_parameters = 1e5;
  for (int zero : {0, 1, 2, 3}) {
    Strategy s;
    s.zero = zero;
    const MemoryReport base = held(s, p);
    s.offload_optimizer = OffloadTier::Host;
    const MemoryReport off = held(s, p);
    EXPECT_EQ(base.host_bytes(), 0);
    EXPECT_EQ(off.optimizer, 0);
    EXPECT_NEAR(off.host_bytes(), base.optimizer * (1 + 4.0 / 12), 1e-3);  // fp32 gradients beside 12 bytes of states
    if (zero < 2) {
      EXPECT_EQ(off.gradients, base.gradients);
    } else {
      EXPECT_LT(off.gradients, base.gradients);
    }
  }
}

MemoryReport held_behind(const Strategy& s) {
  static const WireNetwork network(4, 0, 1e9);
  static const ModelSpec model = small_llama();
  static const DeviceSpec device = paper_device();
  Strategy full = s;
  full.dp = 4, full.global_batch = 8;
  FrameworkProfile p = bare_profile();
  p.bucket_parameters = 1e5;
  return simulate({model, device, network, full, p, 64, {}, kOneKind, {1e9, 1e9, {1e9, 1e9}, {1e9, 1e9}}}).memory[0];
}

TEST(Offload, WhatLeavesTheDeviceIsInItsTier) {
  Strategy s;
  s.zero = 3;
  const MemoryReport base = held_behind(s);
  s.offload_optimizer = OffloadTier::Nvme, s.offload_parameters = OffloadTier::Remote;
  const MemoryReport off = held_behind(s);
  EXPECT_EQ(off.optimizer, 0);
  EXPECT_EQ(off.weights, 0);
  EXPECT_DOUBLE_EQ(off.remote_bytes(), base.weights);
  EXPECT_NEAR(off.nvme_bytes(), base.optimizer + base.gradients, 1e-3);
  EXPECT_GT(off.host_bytes(), 0);  // what is on its way
  EXPECT_LT(off.host_bytes(), off.nvme_bytes() + off.remote_bytes());
  s.offload_update = OffloadUpdate::Device;
  const MemoryReport here = held_behind(s);
  EXPECT_DOUBLE_EQ(here.gradients, base.gradients);  // they stay where they are used
  EXPECT_NEAR(here.nvme_bytes(), base.optimizer, 1e-3);
  EXPECT_GT(here.update, off.update);  // two units of states
}

TEST(Offload, MovesActivationsToTheHost) {
  Strategy s;
  const MemoryReport base = held(s);
  s.offload_activations = 1;
  const MemoryReport off = held(s);
  EXPECT_GT(off.host_bytes(), 0);
  // Two blocks in transit stay on the device.
  EXPECT_LT(off.activations, base.activations);
  EXPECT_GE(off.activations + off.host_bytes(), base.activations);
  s.offload_activations = 0.5;
  EXPECT_NEAR(held(s).host_bytes(), off.host_bytes() / 2, 1e-6);
}

TEST(StepMemory, ReplicasHoldLargerShards) {
  Strategy s;
  s.zero = 3;
  const MemoryReport whole = held(s);
  s.dp_replicas = 2;
  const MemoryReport halves = held(s);
  EXPECT_DOUBLE_EQ(halves.weights, 2 * whole.weights);
  EXPECT_DOUBLE_EQ(halves.optimizer, 2 * whole.optimizer);
  s.dp_replicas = 4;  // every rank its own replica: nothing is sharded
  EXPECT_DOUBLE_EQ(held(s).weights, 4 * whole.weights);
}

TEST(StepMemory, ParametersThatStayGatheredAreHeld) {
  Strategy s;
  s.zero = 3;
  const double resharded = held(s).gathered_parameters;
  s.reshard_after_forward = 2;
  const double halves = held(s).gathered_parameters;
  s.reshard_after_forward = 0;
  const double kept = held(s).gathered_parameters;
  EXPECT_LT(resharded, halves);
  s.zero = 0, s.reshard_after_forward = -1;
  EXPECT_GE(kept, held(s).weights);  // all 16-bit weights at once
  EXPECT_DOUBLE_EQ(halves - resharded, held(s).weights / 2);
}

}  // namespace

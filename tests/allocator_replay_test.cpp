// A replay of the first micro-batches reserves what all of them do.
#include "step/memory/allocator_replay.hpp"

#include <gtest/gtest.h>

#include "memory_blocks.hpp"
#include "schedule/pipeline.hpp"
#include "step/memory/host_lead.hpp"

namespace {

using namespace dts;
using namespace dts::test;

RankTape rank_of(const BlockTape& tape, const std::vector<Pass>& passes) {
  RankTape rank;
  rank.resident = {{"", "weights", 1e9, MemoryCategory::Weights}};
  rank.reduction = {{"", "flattened bucket", 3e8, MemoryCategory::CommunicationBuffers}};
  rank.update = {{"", "gathered weights", 5e8, MemoryCategory::GatheredParameters}};
  rank.chunks = {{&tape, &tape, &tape}};
  rank.passes = passes;
  return rank;
}

// The whole list of passes, replayed without the shortcut.
double reserved(const RankTape& tape, int steps) {
  CachingAllocator allocator({});
  std::int64_t id = -1;
  for (const TapeTensor& t : tape.resident) EXPECT_TRUE(allocator.allocate(id--, t.bytes));
  for (int s = 0; s < steps; ++s) {
    const VisitAllocation visit = [&](const TapeAllocation& a) {
      a.frees ? allocator.free(a.id) : void(allocator.allocate(a.id, a.bytes));
    };
    for_each_allocation(tape, visit);
    for_each_allocation_after(tape, 0, visit);
  }
  return allocator.peak_reserved_bytes();
}

TEST(AllocatorReplay, FirstMicroBatchesStandForAll) {
  TapeRules rules;
  rules.tokens = 2048;
  const BlockTape tape = block_tape(gpt_layer(1024, 16), {}, rules);
  for (int stage : {0, 2, 3}) {
    const RankTape rank = rank_of(tape, one_f_one_b(4, 64)[static_cast<std::size_t>(stage)]);
    const AllocatorReplay found = replay(rank, {}, 2);
    EXPECT_EQ(found.peak_reserved_bytes, reserved(rank, 2));
    EXPECT_GE(found.peak_allocated_bytes, peak_of(rank).total());
  }
}

TEST(AllocatorReplay, HoldsAllMicroBatchesWhereAScheduleDoes) {
  TapeRules rules;
  rules.tokens = 256;
  const BlockTape tape = block_tape(gpt_layer(256, 4), {}, rules);
  const RankTape rank = rank_of(tape, gpipe(4, 40)[0]);
  EXPECT_EQ(replay(rank, {}, 1).peak_reserved_bytes, reserved(rank, 1));
}

// The gathered weights find no free segment as large as they are.
TEST(AllocatorReplay, TheUpdateComesAfterThePasses) {
  TapeRules rules;
  rules.tokens = 256;
  const BlockTape tape = block_tape(gpt_layer(256, 4), {}, rules);
  RankTape rank = rank_of(tape, one_f_one_b(1, 2)[0]);
  const double with = replay(rank, {}, 1).peak_reserved_bytes;
  rank.update.clear();
  EXPECT_NEAR(with - replay(rank, {}, 1).peak_reserved_bytes, 5e8, 4 << 20);
  EXPECT_EQ(total(update_bytes(rank)), 1.3e9);  // the reduction is then the fuller
}

// The states that the first update makes fill what its passes left in the cache.
TEST(AllocatorReplay, TheFirstUpdateMakesTheStates) {
  constexpr double kMiB = 1 << 20;
  TapeRules rules;
  rules.tokens = 8192;
  const std::vector<Op> ops = {make_op(OpKind::Matmul, "fc", 2048, 1024, Sharding::Replicated)};
  const BlockTape tape = block_tape(ops, {}, rules);
  EXPECT_EQ(tape.weights, std::vector<double>{2048 * 1024});
  RankTape rank = rank_of(tape, one_f_one_b(1, 2)[0]);
  rank.reduction.clear(), rank.update.clear();
  const double without = replay(rank, {}, 1).peak_reserved_bytes;
  rank.resident.push_back({"", "optimizer states", 6 * 24 * kMiB, MemoryCategory::Optimizer});
  EXPECT_EQ(replay(rank, {}, 1).peak_reserved_bytes, without + 6 * 24 * kMiB);
  rank.made_by_update = 3 * 24 * kMiB;  // two of 12 MiB for each of three layers, in blocks that the passes left
  EXPECT_EQ(replay(rank, {}, 1).peak_reserved_bytes, without + 3 * 24 * kMiB);
}

// One row matmul a layer: 64 MiB of partial sums, scattered into 16 MiB.
RankTape scattering(const BlockTape& tape, const HostLead& forward) {
  RankTape rank;
  rank.chunks = {std::vector<const BlockTape*>(5, &tape)};
  rank.passes = one_f_one_b(1, 1)[0];
  rank.lead = {forward, {true, false}};
  return rank;
}

TEST(AllocatorReplay, PartialSumsWaitInTheLaunchQueue) {
  constexpr double kMiB = 1 << 20;
  SavedContext context;
  context.tp = 4, context.sequence_parallel = true;
  TapeRules rules;
  rules.tokens = 32 * 1024;
  rules.weight_gradients = false;
  const std::vector<Op> ops = {make_op(OpKind::Matmul, "row", 4096, 1024, Sharding::Row)};
  const BlockTape idle = block_tape(ops, context, rules);
  // Five inputs of 64 MiB are kept; backward takes two such blocks more.
  EXPECT_EQ(replay(scattering(idle, {false, false}), {}, 1).peak_reserved_bytes, (5 + 2) * 64 * kMiB);
  EXPECT_EQ(replay(scattering(idle, {false, true}), {}, 1).peak_reserved_bytes, (5 + 5) * 64 * kMiB);
  rules.forward_launches_per_op = kLaunchQueue;  // a layer fills the queue: the one before the last is done
  const BlockTape busy = block_tape(ops, context, rules);
  EXPECT_EQ(replay(scattering(busy, {false, true}), {}, 1).peak_reserved_bytes, (5 + 2) * 64 * kMiB);
}

TEST(HostLead, FirstStageRunsAheadBehindItsSecondSend) {
  FrameworkProfile profile;
  EXPECT_TRUE(host_lead(profile, one_f_one_b(4, 8)[0], 0, 4).empty());
  profile.queue_forward_per_op = profile.queue_backward_per_op = 5;
  for (const HostLead& lead : host_lead(profile, one_f_one_b(1, 3)[0], 0, 1)) EXPECT_TRUE(lead.ahead && !lead.waits);
  const std::vector<Pass> passes = one_f_one_b(4, 8)[0];
  const std::vector<HostLead> first = host_lead(profile, passes, 0, 4);  // F0 F1 F2 F3 B0 F4 ...
  for (std::size_t p = 0; p < passes.size(); ++p) {
    EXPECT_EQ(first[p].ahead, p == 2 || p == 3) << p;
    EXPECT_EQ(first[p].waits, passes[p].kind != PassKind::Forward) << p;
  }
  for (const HostLead& lead : host_lead(profile, one_f_one_b(4, 8)[2], 2, 4)) EXPECT_TRUE(lead.waits && !lead.ahead);
}

TEST(RankTape, EqualPiecesAreAllocatedOneByOne) {
  RankTape rank;
  rank.update = {{"", "slice", 100, MemoryCategory::GatheredParameters},
                 {"", "slices", 400, MemoryCategory::GatheredParameters}};
  rank.update.back().pieces = 4;
  std::vector<double> sizes;
  for_each_allocation_after(rank, 0, [&](const TapeAllocation& a) {
    if (!a.frees) sizes.push_back(a.bytes);
  });
  EXPECT_EQ(sizes, std::vector<double>(5, 100));
  EXPECT_EQ(total(update_bytes(rank)), 500);
  EXPECT_EQ(live_tensors(rank, {0, 0, 0}).front().count, 4);
}

}  // namespace

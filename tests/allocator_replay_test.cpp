// A replay of the first micro-batches reserves what all of them do.
#include <gtest/gtest.h>

#include "memory_blocks.hpp"
#include "schedule/pipeline.hpp"
#include "step/allocator_replay.hpp"

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
    for_each_allocation(tape, [&](const TapeAllocation& a) { a.frees ? allocator.free(a.id) : void(allocator.allocate(a.id, a.bytes)); });
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

}  // namespace

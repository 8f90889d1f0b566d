#include "step/allocator_replay.hpp"

#include <algorithm>
#include <utility>

#include "interrupt.hpp"

namespace dts {

namespace {

RankTape with_micro_batches(const RankTape& tape, int count) {
  RankTape shorter = tape;
  const auto later = [&](const Pass& pass) { return pass.micro_batch >= count; };
  shorter.passes.erase(std::remove_if(shorter.passes.begin(), shorter.passes.end(), later), shorter.passes.end());
  return shorter;
}

double peak_in_passes(RankTape tape) {
  tape.reduction.clear(), tape.update.clear();
  return peak_of(tape).total();
}

RankTape shortened(const RankTape& tape) {
  int all = 0;
  for (const Pass& pass : tape.passes) all = std::max(all, pass.micro_batch + 1);
  const double peak = peak_in_passes(tape);
  for (int count = 4; 2 * count < all; count *= 2) {
    if (peak_in_passes(with_micro_batches(tape, count)) >= peak) return with_micro_batches(tape, 2 * count);
  }
  return tape;
}

}  // namespace

AllocatorReplay replay(const RankTape& whole, const CachingAllocator::Options& options, int steps) {
  const RankTape tape = shortened(whole);
  CachingAllocator allocator(options);
  AllocatorReplay result;
  std::int64_t id = -1;
  for (const TapeTensor& t : tape.resident) result.fits = result.fits && allocator.allocate(id--, t.bytes);
  for (int s = 0; s < steps && result.fits; ++s) {
    for_each_allocation(tape, [&](const TapeAllocation& a) {
      poll_interrupt(16);
      if (!result.fits) return;
      if (a.frees) {
        allocator.free(a.id);
      } else {
        result.fits = allocator.allocate(a.id, a.bytes);
      }
    });
  }
  result.peak_allocated_bytes = allocator.peak_allocated_bytes();
  result.peak_reserved_bytes = allocator.peak_reserved_bytes();
  result.retries = allocator.retries();
  return result;
}

}  // namespace dts

#include "step/memory/allocator_replay.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "interrupt.hpp"

namespace dts {

namespace {

RankTape with_micro_batches(const RankTape& tape, int count) {
  RankTape shorter = tape;
  shorter.lead.clear();
  std::vector<Pass> passes;
  for (std::size_t p = 0; p < tape.passes.size(); ++p) {
    if (tape.passes[p].micro_batch >= count) continue;
    passes.push_back(tape.passes[p]);
    if (!tape.lead.empty()) shorter.lead.push_back(tape.lead[p]);
  }
  shorter.passes = std::move(passes);
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

// Two moments of each weight matrix; norms and biases, which are small, count to them.
std::vector<double> moments_of(const RankTape& tape) {
  std::vector<double> moments;
  if (tape.made_by_update <= 0) return moments;
  for (const std::vector<const BlockTape*>& chunk : tape.chunks) {
    for (const BlockTape* block : chunk) {
      for (double elements : block->weights) moments.insert(moments.end(), 2, elements);
    }
  }
  const double elements = std::accumulate(moments.begin(), moments.end(), 0.0);
  for (double& m : moments) m *= tape.made_by_update / elements;
  return moments;
}

// What one step after the other allocates.
class Steps {
 public:
  Steps(const RankTape& tape, const CachingAllocator::Options& options) : tape_(tape), allocator_(options) {
    for (const TapeTensor& t : tape.resident)
      hold(t.bytes - (t.category == MemoryCategory::Optimizer ? tape.made_by_update : 0));
  }

  void run() {
    const VisitAllocation visit = [this](const TapeAllocation& a) { apply(a); };
    launches_ = for_each_allocation(tape_, visit, launches_) + kLaunchQueue;  // the host waits before it updates
    allocator_.advance(launches_);
    if (!updated_) {
      for (double bytes : moments_of(tape_)) hold(bytes);
    }
    updated_ = true;
    for_each_allocation_after(tape_, launches_, visit);
  }

  AllocatorReplay result() const {
    return {allocator_.peak_allocated_bytes(), allocator_.peak_reserved_bytes(), allocator_.retries(), fits_};
  }
  bool fits() const { return fits_; }

 private:
  void hold(double bytes) { fits_ = fits_ && allocator_.allocate(held_--, bytes); }

  void apply(const TapeAllocation& a) {
    poll_interrupt(16);
    if (!fits_) return;
    allocator_.advance(a.launches);
    if (a.frees) {
      allocator_.free(a.id, a.usable_from);
    } else {
      fits_ = allocator_.allocate(a.id, a.bytes);
    }
  }

  const RankTape& tape_;
  CachingAllocator allocator_;
  std::int64_t held_ = -1;
  double launches_ = 0;
  bool updated_ = false, fits_ = true;
};

}  // namespace

AllocatorReplay replay(const RankTape& whole, const CachingAllocator::Options& options, int steps) {
  const RankTape tape = shortened(whole);
  Steps run(tape, options);
  for (int s = 0; s < steps && run.fits(); ++s) run.run();
  return run.result();
}

}  // namespace dts

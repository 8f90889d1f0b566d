// Hanayo: a wave of vpp chunks, list-scheduled in equal slots: each rank runs, of what has arrived, a backward before a
// forward and the deepest stage first, and starts no forward while it holds pp passes a chunk.
#include <cstddef>

#include "interrupt.hpp"
#include "schedule/pipeline.hpp"

namespace dts {

namespace {

constexpr int kNever = 1 << 30;

class ListSchedule {
 public:
  ListSchedule(const StagePlacement& placement, int micro_batches)
      : p_(placement), micro_batches_(micro_batches), order_(static_cast<std::size_t>(p_.pp)), held_(order_.size(), 0) {
    const auto slots = static_cast<std::size_t>(p_.stages()) * static_cast<std::size_t>(micro_batches);
    forward_end_.assign(slots, kNever), backward_end_.assign(slots, kNever);
    const auto chunks = static_cast<std::size_t>(p_.stages());
    first_open_[0].assign(chunks, 0), first_open_[1].assign(chunks, 0);
  }

  PipelineOrder run() && {
    bool started = true;  // a slot in which no rank can start is the end
    for (int now = 0; started; ++now) {
      started = false;
      poll_interrupt(std::int64_t{8} * p_.pp);
      for (int rank = 0; rank < p_.pp; ++rank) started = start_one(rank, now) || started;
    }
    return std::move(order_);
  }

 private:
  static std::size_t index(int i) { return static_cast<std::size_t>(i); }
  std::size_t slot(int stage, int micro_batch) const {
    return index(stage) * index(micro_batches_) + index(micro_batch);
  }

  // Micro-batches pass a stage in their order, so only the next one can be ready.
  bool ready(bool forward, int stage, int micro_batch, int now) const {
    if (micro_batch == micro_batches_) return false;
    if (!forward && forward_end_[slot(stage, micro_batch)] > now) return false;
    const int from = forward ? p_.previous(stage) : p_.next(stage);
    return from < 0 || (forward ? forward_end_ : backward_end_)[slot(from, micro_batch)] <= now;
  }

  bool start_one(int rank, int now) {
    for (bool forward : {false, true}) {
      if (forward && held_[index(rank)] >= p_.chunks * p_.pp) continue;
      for (int chunk = p_.chunks; chunk-- > 0;) {
        const int stage = p_.stage_of(rank, chunk);
        int& next = first_open_[forward ? 0 : 1][index(stage)];
        if (!ready(forward, stage, next, now)) continue;
        (forward ? forward_end_ : backward_end_)[slot(stage, next)] = now + 1;
        held_[index(rank)] += forward ? 1 : -1;
        order_[index(rank)].push_back({forward ? PassKind::Forward : PassKind::Backward, chunk, next++});
        return true;
      }
    }
    return false;
  }

  StagePlacement p_;
  int micro_batches_;
  PipelineOrder order_;
  std::vector<int> held_;                        // per rank
  std::vector<int> forward_end_, backward_end_;  // slots, per (stage, micro-batch)
  std::vector<int> first_open_[2];               // next micro-batch per stage: forward, backward
};

}  // namespace

PipelineOrder hanayo(int pp, int vpp, int micro_batches) {
  return ListSchedule({StageMap::Wave, pp, vpp}, micro_batches).run();
}

}  // namespace dts

// Hanayo: a wave of vpp chunks, list-scheduled for one unit of pp micro-batches with a backward of two forwards: the
// rank that is free first runs, of what has arrived, a backward before a forward and the deepest stage first, and
// starts no forward while it holds pp passes a chunk. Units follow each other.
#include <algorithm>
#include <cstddef>

#include "schedule/pipeline.hpp"

namespace dts {

namespace {

constexpr int kForwardTicks = 1, kBackwardTicks = 2, kNever = 1 << 30;

class ListSchedule {
 public:
  explicit ListSchedule(const StagePlacement& placement) : p_(placement), order_(static_cast<std::size_t>(p_.pp)) {
    const auto slots = static_cast<std::size_t>(p_.stages() * p_.pp);
    forward_end_.assign(slots, kNever), backward_end_.assign(slots, kNever);
    free_at_.assign(order_.size(), 0), held_.assign(order_.size(), 0);
  }

  PipelineOrder run() && {
    int left = 2 * p_.stages() * p_.pp;
    for (int now = 0; left > 0; ++now) {
      for (int rank = 0; rank < p_.pp; ++rank) left -= free_at_[index(rank)] <= now && start_one(rank, now) ? 1 : 0;
    }
    return std::move(order_);
  }

 private:
  static std::size_t index(int i) { return static_cast<std::size_t>(i); }
  std::size_t slot(int stage, int micro_batch) const { return index(stage * p_.pp + micro_batch); }

  bool ready(PassKind kind, int stage, int micro_batch, int now) const {
    const bool forward = kind == PassKind::Forward;
    const std::size_t own = slot(stage, micro_batch);
    if ((forward ? forward_end_ : backward_end_)[own] != kNever) return false;  // done
    if (!forward && forward_end_[own] > now) return false;
    const int from = forward ? p_.previous(stage) : p_.next(stage);
    return from < 0 || (forward ? forward_end_ : backward_end_)[slot(from, micro_batch)] <= now;
  }

  bool start_one(int rank, int now) {
    for (PassKind kind : {PassKind::Backward, PassKind::Forward}) {
      const bool forward = kind == PassKind::Forward;
      if (forward && held_[index(rank)] >= p_.chunks * p_.pp) continue;
      for (int chunk = p_.chunks; chunk-- > 0;) {
        const int stage = p_.stage_of(rank, chunk);
        for (int i = 0; i < p_.pp; ++i) {
          if (!ready(kind, stage, i, now)) continue;
          const int end = now + (forward ? kForwardTicks : kBackwardTicks);
          (forward ? forward_end_ : backward_end_)[slot(stage, i)] = end;
          free_at_[index(rank)] = end;
          held_[index(rank)] += forward ? 1 : -1;
          order_[index(rank)].push_back({kind, chunk, i});
          return true;
        }
      }
    }
    return false;
  }

  StagePlacement p_;
  PipelineOrder order_;
  std::vector<int> forward_end_, backward_end_;  // ticks, per (stage, micro-batch)
  std::vector<int> free_at_, held_;              // per rank
};

}  // namespace

PipelineOrder hanayo(int pp, int vpp, int micro_batches) {
  const PipelineOrder unit = ListSchedule({StageMap::Wave, pp, vpp}).run();
  PipelineOrder order(unit.size());
  for (int first = 0; first < micro_batches; first += pp) {
    for (std::size_t rank = 0; rank < unit.size(); ++rank) {
      for (Pass pass : unit[rank]) {
        pass.micro_batch += first;
        if (pass.micro_batch < micro_batches) order[rank].push_back(pass);
      }
    }
  }
  return order;
}

}  // namespace dts

#include "step/lockstep_run.hpp"

#include <algorithm>

#include "interrupt.hpp"
#include "step/run_pass.hpp"

namespace dts {

namespace {

constexpr std::size_t kSettled = 64;  // sweeps

// The passes of many ranks are read in turn, which hides from the processor what comes next.
void read_ahead([[maybe_unused]] const Pass* pass) {
#if defined(__GNUC__)
  __builtin_prefetch(pass);
#endif
}

}  // namespace

LockstepRun::LockstepRun(const StepPlan& plan, PassRunner& runner)
    : plan_(plan), runner_(runner), micro_batches_(static_cast<std::size_t>(plan.micro_batches)),
      period_(plan.skipped_micro_batches > 0 ? plan.period : plan.micro_batches),
      left_(static_cast<std::size_t>(plan.skipped_micro_batches / period_)),
      length_(plan.order[0].size() * static_cast<std::size_t>(period_) / micro_batches_) {
  for (std::size_t rank = 0; rank < plan.order.size(); ++rank) lanes_.push_back({0, plan.order[rank].size()});
  const StagePlacement placement = plan.placement();
  for (int stage = 0; stage < placement.stages(); ++stage) {
    const int next = placement.next(stage), previous = placement.previous(stage);
    ports_.push_back({stage, next, previous, previous >= 0, next >= 0});
  }
}

bool LockstepRun::run() {
  if (left_ > 0 && !(reach_window() && run_windows())) return false;
  for (std::size_t rank = 0; rank < lanes_.size(); ++rank) lanes_[rank].end = plan_.order[rank].size();
  return run_to_ends();
}

bool LockstepRun::sweep() {
  bool ran = false;
  const std::size_t later = this->later(), ranks = lanes_.size();
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    Lane& lane = lanes_[rank];
    if (lane.next == lane.end) continue;
    const Pass& pass = plan_.order[rank][lane.next];
    read_ahead(&pass + 16);
    const Ports& ports = ports_[static_cast<std::size_t>(pass.chunk) * ranks + rank];
    const bool forward = pass.kind == PassKind::Forward;
    const bool fed = forward ? ports.forward_fed : ports.backward_fed && pass.kind != PassKind::BackwardWeight;
    if (fed && !runner_.has_arrived(forward, ports.stage, pass.micro_batch, later)) continue;
    PassOp op;
    op.forward = forward, op.kind = pass.kind, op.rank = static_cast<std::int32_t>(rank), op.stage = ports.stage;
    op.to = forward ? ports.forward_to : gives_input_gradient(pass.kind) ? ports.backward_to : -1;
    op.micro_batch = pass.micro_batch, op.index = static_cast<std::int32_t>(lane.next);
    const Bound& bound = runner_.bind(op);
    if (in_window_) repeats_ = repeats_ && runner_.may_repeat(bound);
    runner_.run_op(op, bound, later);
    if (fed) runner_.forget_arrival(forward, ports.stage, pass.micro_batch, later);
    ++lane.next;
    ran = true;
  }
  poll_interrupt(static_cast<std::int64_t>(ranks));
  return ran;
}

bool LockstepRun::run_to_ends() {
  while (sweep()) {
    if (++sweeps_ % kSettled == 0 && plan_.skipped_micro_batches > 0 && !in_window_) runner_.settle();
  }
  return std::all_of(lanes_.begin(), lanes_.end(), [](const Lane& lane) { return lane.next == lane.end; });
}

// Where every rank has run backwards of a whole chunk: fewer, and the first window is not like those after it.
bool LockstepRun::reach_window() {
  const std::size_t settling = length_ / static_cast<std::size_t>(plan_.placement().chunks);
  std::vector<std::size_t> turns;
  for (std::size_t rank = 0; rank < lanes_.size(); ++rank) {
    const std::vector<Pass>& passes = plan_.order[rank];
    const auto turn =
        std::find_if(passes.begin(), passes.end(), [](const Pass& pass) { return pass.kind != PassKind::Forward; });
    turns.push_back(static_cast<std::size_t>(turn - passes.begin()) + settling);
  }
  const auto before_turn = [&] {
    for (std::size_t rank = 0; rank < lanes_.size(); ++rank) {
      if (lanes_[rank].next <= turns[rank]) return true;
    }
    return false;
  };
  while (before_turn()) {
    if (!sweep()) return false;
  }
  runner_.settle();
  return is_window();
}

// All forwards of a window are of whole groups of micro-batches, and backwards go on between them to its end.
bool LockstepRun::is_window() const {
  const int whole = plan_.micro_batches / period_ * period_;
  for (std::size_t rank = 0; rank < lanes_.size(); ++rank) {
    const std::vector<Pass>& passes = plan_.order[rank];
    const std::size_t begin = lanes_[rank].next, end = begin + length_;
    if (end > passes.size()) return false;
    std::size_t forwards = 0;
    for (std::size_t i = begin; i < end; ++i) {
      if (passes[i].kind != PassKind::Forward) continue;
      if (passes[i].micro_batch >= whole) return false;
      ++forwards;
    }
    if (forwards != static_cast<std::size_t>(period_ * plan_.placement().chunks)) return false;
  }
  return true;
}

// As they stand one window later.
void LockstepRun::note_pending() {
  for (const Ports& ports : ports_) {
    for (int micro_batch = 0; micro_batch < plan_.micro_batches; ++micro_batch) {
      for (bool forward : {true, false}) {
        if (runner_.has_arrived(forward, ports.stage, micro_batch, 0))
          pending_.push_back({forward, ports.stage, micro_batch + period_});
      }
    }
  }
}

bool LockstepRun::run_windows() {
  note_pending();
  SteadyState steady(pending_, period_, runner_);
  steady.begin();
  std::vector<Lane> window = lanes_;
  for (Lane& lane : window) lane.end = lane.next + length_;
  lanes_ = window;
  in_window_ = true;
  if (!run_to_ends() || !repeats_) return false;
  while ((left_ -= steady.leap(left_, later())) > 0) {
    ++done_, --left_;
    lanes_ = window;
    if (!run_to_ends()) return false;
  }
  in_window_ = false;
  return true;
}

}  // namespace dts

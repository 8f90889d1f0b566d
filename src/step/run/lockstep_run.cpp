#include "step/run/lockstep_run.hpp"

#include <algorithm>

#include "interrupt.hpp"
#include "step/run/run_pass.hpp"

namespace dts {

namespace {

constexpr std::size_t kKinds = 4;  // of passes

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
  for (std::size_t rank = 0; rank < plan.order.size(); ++rank) {
    lanes_.push_back({plan.order[rank].data(), 0, plan.order[rank].size()});
  }
  const StagePlacement placement = plan.placement();
  for (int stage = 0; stage < placement.stages(); ++stage) {
    for (PassKind kind : {PassKind::Forward, PassKind::Backward, PassKind::BackwardInput, PassKind::BackwardWeight}) {
      PassOp op;
      op.forward = kind == PassKind::Forward, op.kind = kind, op.rank = placement.rank_of(stage), op.stage = stage;
      op.to = op.forward ? placement.next(stage) : gives_input_gradient(kind) ? placement.previous(stage) : -1;
      ops_.push_back(op), ports_.push_back(runner.port(op));
    }
  }
  const bool alike = runner.alike_inside();
  first_alike_ = alike ? 1 : plan.micro_batches, last_alike_ = alike ? plan.micro_batches - 2 : -1;
  runner.account_on_arrival();
}

bool LockstepRun::run() {
  if (left_ > 0 && !(reach_window() && run_windows())) return false;
  for (std::size_t rank = 0; rank < lanes_.size(); ++rank) lanes_[rank].end = plan_.order[rank].size();
  return run_to_ends();
}

void LockstepRun::sweep() {
  const std::size_t later = this->later(), ranks = lanes_.size();
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    Lane& lane = lanes_[rank];
    if (lane.next == lane.end) continue;
    const Pass& pass = lane.passes[lane.next];
    read_ahead(lane.passes + std::min(lane.next + 16, lane.end - 1));
    const std::size_t place =
        (static_cast<std::size_t>(pass.chunk) * ranks + rank) * kKinds + static_cast<std::size_t>(pass.kind);
    PlainPort& port = ports_[place];
    std::size_t at = static_cast<std::size_t>(pass.micro_batch) + later;
    if (at >= micro_batches_) at -= micro_batches_;
    const double in_s = port.in ? port.in[at] : 0;
    if (in_s < 0) continue;
    if (port.in) runner_.arrived(port, in_s);
    const bool alike = pass.micro_batch >= first_alike_ && pass.micro_batch <= last_alike_;
    if (!alike || !port.bound || !runner_.run_plain(port, at, in_s)) run_next(rank, place, alike);
    if (port.in) port.in[at] = PassRunner::kNotThere_s;
    ++lane.next, ++ran_;
  }
  poll_interrupt(static_cast<std::int64_t>(ranks));
}

void LockstepRun::run_next(std::size_t rank, std::size_t place, bool alike) {
  const Pass& pass = lanes_[rank].passes[lanes_[rank].next];
  PassOp op = ops_[place];
  op.micro_batch = pass.micro_batch, op.index = static_cast<std::int32_t>(lanes_[rank].next);
  const Bound& bound = runner_.bind(op);
  if (alike && bound.plain) ports_[place].bound = &bound;
  if (in_window_) repeats_ = repeats_ && runner_.may_repeat(bound);
  runner_.run_op(op, bound, later());
}

void LockstepRun::count_plain() {
  for (PlainPort& port : ports_) runner_.count(port);
}

bool LockstepRun::run_to_ends() {
  do {
    ran_ = 0;
    sweep();
  } while (ran_ > 0);
  count_plain();
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
    ran_ = 0;
    sweep();
    if (ran_ == 0) return false;
  }
  count_plain();
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
  for (std::size_t place = 0; place < ports_.size(); ++place) {
    const bool split = ops_[place].kind == PassKind::BackwardInput;  // reads what a whole backward would
    for (int m = 0; ports_[place].in && !split && m < plan_.micro_batches; ++m) {
      if (ports_[place].in[m] >= 0) pending_.push_back({ops_[place].forward, ops_[place].stage, m + period_});
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

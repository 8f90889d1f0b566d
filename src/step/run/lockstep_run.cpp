#include "step/run/lockstep_run.hpp"

#include <algorithm>

#include "interrupt.hpp"
#include "step/run/run_pass.hpp"

namespace dts {

namespace {

constexpr std::size_t kKinds = 4;  // of passes

// Ranks are visited in turn, which hides from the processor what is read next.
void read_ahead([[maybe_unused]] const void* of) {
#if defined(__GNUC__)
  __builtin_prefetch(of);
#endif
}
constexpr std::size_t kPassesAhead = 16;

}  // namespace

LockstepRun::LockstepRun(const StepPlan& plan, PassRunner& runner)
    : plan_(plan), runner_(runner), micro_batches_(static_cast<std::size_t>(plan.micro_batches)),
      period_(plan.skipped_micro_batches > 0 ? plan.period : plan.micro_batches),
      left_(static_cast<std::size_t>(plan.skipped_micro_batches / period_)),
      length_(plan.order[0].size() * static_cast<std::size_t>(period_) / micro_batches_) {
  const StagePlacement placement = plan.placement();
  for (int chunk = 0; chunk < placement.chunks; ++chunk) {
    for (PassKind kind : {PassKind::Forward, PassKind::Backward, PassKind::BackwardInput, PassKind::BackwardWeight}) {
      for (int rank = 0; rank < placement.pp; ++rank) {
        PassOp op;
        op.forward = kind == PassKind::Forward, op.kind = kind, op.rank = rank;
        op.stage = placement.stage_of(rank, chunk);
        op.to = op.forward ? placement.next(op.stage) : gives_input_gradient(kind) ? placement.previous(op.stage) : -1;
        ops_.push_back(op), ports_.push_back(runner.port(op));
      }
    }
  }
  for (std::size_t rank = 0; rank < plan.order.size(); ++rank) {
    const std::vector<Pass>& passes = plan.order[rank];
    lanes_.push_back({passes.data(), 0, passes.size(), &ports_[rank], runner.plain_rank(rank)});
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
  if (runner_.notes_choices()) {
    sweep_lanes<true>();
  } else {
    sweep_lanes<false>();
  }
  poll_interrupt(static_cast<std::int64_t>(lanes_.size()));
}

template <bool noted>
void LockstepRun::sweep_lanes() {
  const std::size_t later = this->later(), ranks = lanes_.size();
  const auto port_of = [&](const Lane& lane) -> PlainPort& {
    const Pass& pass = lane.passes[lane.next];
    return lane.ports[(static_cast<std::size_t>(pass.chunk) * kKinds + static_cast<std::size_t>(pass.kind)) * ranks];
  };
  const auto place_of = [&](const Lane& lane) {  // of the micro-batch
    const std::size_t at = static_cast<std::size_t>(lane.passes[lane.next].micro_batch) + later;
    return at < micro_batches_ ? at : at - micro_batches_;
  };
  for (Lane& lane : lanes_) {
    if (lane.next == lane.end) continue;
    read_ahead(lane.passes + std::min(lane.next + kPassesAhead, lane.end - 1));
    PlainPort& port = port_of(lane);
    const std::size_t at = place_of(lane);
    const double in_s = port.in ? port.in[at] : 0;
    if (in_s < 0) continue;
    if (port.in) runner_.arrived<noted>(lane.plain, port, in_s);
    const Pass& pass = lane.passes[lane.next];
    const bool alike = pass.micro_batch >= first_alike_ && pass.micro_batch <= last_alike_;
    const int direction = pass.kind == PassKind::Forward ? 0 : 1;
    if (!alike || !port.bound || !runner_.run_plain<noted>(lane.plain, port, at, direction, in_s))
      run_next(lane, port, alike);
    if (port.in) port.in[at] = PassRunner::kNotThere_s;
    ++lane.next, ++ran_;
  }
}

void LockstepRun::run_next(const Lane& lane, PlainPort& port, bool alike) {
  PassOp op = ops_[static_cast<std::size_t>(&port - ports_.data())];
  op.micro_batch = lane.passes[lane.next].micro_batch, op.index = static_cast<std::int32_t>(lane.next);
  const Bound& bound = runner_.bind(op);
  if (alike && bound.plain) port.bound = &bound, port.seconds = bound.seconds, port.send_s = bound.send_s;
  if (in_window_) repeats_ = repeats_ && runner_.may_repeat(bound);
  runner_.run_op(op, bound, later());
}

void LockstepRun::count_plain() {
  for (std::size_t at = 0; at < ports_.size(); ++at) runner_.count(lanes_[at % lanes_.size()].plain, ports_[at]);
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

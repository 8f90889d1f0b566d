#include "schedule/zero_bubble_auto.hpp"

#include <algorithm>
#include <limits>
#include <optional>

#include "error.hpp"
#include "interrupt.hpp"

namespace dts {

namespace {

struct Variant {
  bool wait_for_first;  // no warm-up forward that would still run when the first gradient arrives
  bool backward_first;  // hold a forward back where it would delay the next rank's backward
  bool fill_always;     // a weight gradient fills a gap that is too short for it, even where waiting costs nothing
};

struct Rank {
  int forwards = 0, inputs = 0, weights = 0;  // passes placed
  double now_s = 0, start_s = 0, waited_s = 0, held = 0;
  std::vector<double> forward_end_s, input_end_s;  // per micro-batch
  std::vector<Pass> passes;
};

class AutoSchedule {
 public:
  AutoSchedule(const PassTimes& times, int micro_batches, double cap, const Variant& variant)
      : t_(times), m_(micro_batches), cap_(cap + 1e-9), v_(variant), pp_(times.forward_s.size()), ranks_(pp_) {}

  bool run() {  // false: the cap cannot be kept, or a forward was held back to the end
    warm_up();
    for (int i = 1; i < m_ && fits_; ++i) {
      const std::vector<bool> takes = forwards_to_take();
      for (std::size_t r = 0; r < pp_; ++r) {
        if (takes[r]) next_forward(r);
      }
      for (std::size_t r = pp_; r-- > 0;) next_input(r);
    }
    for (Rank& rank : ranks_) {
      while (fits_ && rank.weights < m_) weight(rank);
    }
    return fits_;
  }

  double longest_s() const {
    double longest = 0;
    for (const Rank& rank : ranks_) longest = std::max(longest, rank.now_s - rank.start_s);
    return longest;
  }

  PipelineOrder order() const {
    PipelineOrder order;
    for (const Rank& rank : ranks_) order.push_back(rank.passes);
    return order;
  }

 private:
  std::size_t at(const Rank& rank) const { return static_cast<std::size_t>(&rank - ranks_.data()); }
  double f(std::size_t r) const { return t_.forward_s[r]; }
  double b(std::size_t r) const { return t_.input_s[r]; }
  double w(std::size_t r) const { return t_.weight_s[r]; }

  // When the input of the next pass is there; 0 on the rank where nothing feeds it.
  double forward_arrival(std::size_t r) const {
    return r == 0 ? 0 : ranks_[r - 1].forward_end_s[static_cast<std::size_t>(ranks_[r].forwards)] + t_.transfer_s;
  }
  double input_arrival(std::size_t r) const {
    return r + 1 == pp_ ? 0 : ranks_[r + 1].input_end_s[static_cast<std::size_t>(ranks_[r].inputs)] + t_.transfer_s;
  }

  void place(Rank& rank, Pass pass, double arrival_s, double seconds, double held) {
    poll_interrupt(4);
    const double start = std::max(rank.now_s, arrival_s);
    if (rank.forwards == 0) {
      rank.start_s = start;
    } else {
      rank.waited_s += start - rank.now_s;
    }
    rank.now_s = start + seconds;
    rank.held += held;
    rank.passes.push_back(pass);
  }

  void forward(std::size_t r) {
    Rank& rank = ranks_[r];
    place(rank, {PassKind::Forward, 0, rank.forwards}, forward_arrival(r), f(r), 1);
    rank.forward_end_s.push_back(rank.now_s);
    ++rank.forwards;
  }
  void input(std::size_t r) {
    Rank& rank = ranks_[r];
    place(rank, {PassKind::BackwardInput, 0, rank.inputs}, input_arrival(r), b(r), t_.weight_share - 1);
    rank.input_end_s.push_back(rank.now_s);
    ++rank.inputs;
  }
  void weight(Rank& rank) {
    place(rank, {PassKind::BackwardWeight, 0, rank.weights++}, 0, w(at(rank)), -t_.weight_share);
  }

  // The first micro-batch, and as many forwards before its gradient as time and memory allow.
  void warm_up() {
    for (std::size_t r = 0; r < pp_; ++r) forward(r);
    std::vector<int> extra(pp_, 0);
    double gradient_s = ranks_[pp_ - 1].now_s + b(pp_ - 1);  // when the rank behind has finished its first gradient
    for (std::size_t r = pp_ - 1; r-- > 0;) {
      const double arrival = gradient_s + t_.transfer_s;
      double now = ranks_[r].now_s;
      while (1 + extra[r] < m_ && ranks_[r].held + extra[r] + 1 <= cap_ &&
             (v_.wait_for_first ? now + f(r) <= arrival : now < arrival)) {
        now += f(r);
        ++extra[r];
      }
      gradient_s = std::max(now, arrival) + b(r);
    }
    for (std::size_t r = 1; r < pp_; ++r) {  // fewer from rank to rank, as long as any are left to take
      while (extra[r] > 0 && extra[r] >= extra[r - 1] && 1 + extra[r] < m_) --extra[r];
    }
    for (std::size_t r = 0; r < pp_; ++r) {
      for (int i = 0; i < extra[r]; ++i) forward(r);
    }
    for (std::size_t r = pp_; r-- > 0;) input(r);
  }

  // A rank takes its next forward only if the ranks behind it take theirs.
  std::vector<bool> forwards_to_take() const {
    std::vector<bool> takes(pp_, false);
    for (std::size_t r = 0; r < pp_; ++r) takes[r] = ranks_[r].forwards < m_ && !holds_back(r);
    for (std::size_t r = pp_ - 1; r-- > 0;) takes[r] = takes[r] && takes[r + 1];
    return takes;
  }

  bool holds_back(std::size_t r) const {
    const Rank& rank = ranks_[r];
    if (!v_.backward_first || r + 1 == pp_ || rank.forwards < ranks_[r + 1].forwards + 2) return false;
    const double gradient_s = ranks_[r + 1].now_s + f(r + 1) + b(r + 1) + t_.transfer_s;
    if (rank.now_s >= gradient_s) return true;
    double weights_s = 0, held = rank.held + 1;
    for (int i = rank.weights; held > cap_ && i < rank.inputs; ++i) {
      weights_s += w(r);
      held -= t_.weight_share;
    }
    if (rank.now_s + f(r) + weights_s <= gradient_s) return false;
    return gradient_s - rank.now_s <= worst_wait_s() - rank.waited_s;
  }

  double worst_wait_s() const {
    double worst = 0;
    for (const Rank& rank : ranks_) worst = std::max(worst, rank.waited_s);
    return worst;
  }

  void make_room(Rank& rank, double for_pass) {
    while (rank.held + for_pass > cap_) {
      if (rank.weights >= rank.inputs) {
        fits_ = false;
        return;
      }
      weight(rank);
    }
  }

  void fill_until(Rank& rank, double arrival_s) {
    const double seconds = w(at(rank));
    while (rank.weights < rank.inputs && rank.now_s + seconds <= arrival_s) weight(rank);
    if (rank.weights >= rank.inputs || rank.now_s >= arrival_s) return;
    const bool costs_nothing = arrival_s - rank.now_s <= worst_wait_s() - rank.waited_s;
    if (!costs_nothing || v_.fill_always) weight(rank);
  }

  void next_forward(std::size_t r) {
    make_room(ranks_[r], 1);
    fill_until(ranks_[r], forward_arrival(r));
    forward(r);
  }

  void next_input(std::size_t r) {
    Rank& rank = ranks_[r];
    if (rank.inputs == rank.forwards) fits_ = false;  // its forward was held back for too long: no order
    if (!fits_) return;
    make_room(rank, t_.weight_share - 1);
    fill_until(rank, input_arrival(r));
    while (r == 0 && rank.forwards == m_ && rank.weights < rank.inputs) weight(rank);
    input(r);
  }

  const PassTimes& t_;
  int m_;
  double cap_;
  Variant v_;
  std::size_t pp_;
  std::vector<Rank> ranks_;
  bool fits_ = true;
};

}  // namespace

PipelineOrder zero_bubble_auto(const PassTimes& times, int micro_batches, double cap) {
  const std::size_t pp = times.forward_s.size();
  Checker check;
  check.require(
      pp > 0 && times.input_s.size() == pp && times.weight_s.size() == pp, "pass times",
      std::to_string(pp) + ", " + std::to_string(times.input_s.size()) + ", " + std::to_string(times.weight_s.size()),
      "a forward, an input-gradient and a weight-gradient time for each rank");
  check.require(cap >= 1, "cap", number_text(cap), "at least 1 micro-batch");
  check.throw_if_any();
  double best_s = std::numeric_limits<double>::infinity();
  std::optional<PipelineOrder> best;
  for (int bits = 7; bits >= 0; --bits) {
    AutoSchedule schedule(times, micro_batches, cap, {(bits & 4) != 0, (bits & 2) != 0, (bits & 1) != 0});
    if (!schedule.run() || schedule.longest_s() >= best_s) continue;
    best_s = schedule.longest_s();
    best = schedule.order();
  }
  check.require(best.has_value(), "cap", number_text(cap), "enough activations for one order to run");
  check.throw_if_any();
  return *best;
}

}  // namespace dts

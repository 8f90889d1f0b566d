#include "schedule/rank_tape.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <tuple>
#include <utility>

#include "interrupt.hpp"
#include "schedule/tape_places.hpp"

namespace dts {

namespace {

const TapeSum& sum_of(const BlockTape& tape, PassKind kind) {
  switch (kind) {
    case PassKind::Forward: return tape.forward_sum;
    case PassKind::Backward: return tape.backward_sum;
    case PassKind::BackwardInput: return tape.input_grad_sum;
    default: return tape.weight_grad_sum;
  }
}

void add(CategoryBytes& sum, const CategoryBytes& more, double times = 1) {
  for (std::size_t c = 0; c < kMemoryCategories; ++c) sum[c] += times * more[c];
}

CategoryBytes sum_of(const std::vector<TapeTensor>& tensors) {
  CategoryBytes bytes{};
  for (const TapeTensor& t : tensors) bytes[static_cast<std::size_t>(t.category)] += t.bytes;
  return bytes;
}

// The fuller of what follows the passes.
const std::vector<TapeTensor>& after_passes(const RankTape& tape) {
  return total(sum_of(tape.reduction)) > total(sum_of(tape.update)) ? tape.reduction : tape.update;
}

// What a block's pass, and where it ends the pass that too, leaves of what was held before.
CategoryBytes left(const Walker& walker, const Place& place) {
  CategoryBytes bytes = sum_of(walker.block_at(place), walker.kind_at(place)).after;
  if (!place.ends) return bytes;
  for (const BlockTape* block : walker.blocks_of(place)) {
    for (std::int32_t tensor : freed_at_end(*block, walker.kind_at(place))) {
      const TapeTensor& t = block->tensors[static_cast<std::size_t>(tensor)];
      bytes[static_cast<std::size_t>(t.category)] -= t.bytes;
    }
  }
  return bytes;
}

double& at(CategoryBytes& bytes, const TapeTensor& t) { return bytes[static_cast<std::size_t>(t.category)]; }

// One pass, or a pair, over what is held before it.
struct Stretch {
  CategoryBytes peak{}, after{};
  double highest = 0, left = 0;  // in all; the second: after it
  TapeMoment moment;             // of the fullest, its pass counted from the first
};

Stretch stretch_at(const RankTape& tape, std::size_t p) {
  Stretch s;
  const Walker walker(tape);
  for_places(tape, p, [&](const Place& place) {
    const TapeSum& block = sum_of(walker.block_at(place), walker.kind_at(place));
    const double now = total(s.after) + block.highest;
    if (now > s.highest) {
      s.highest = now, s.peak = s.after;
      add(s.peak, block.peak);
      s.moment = {place.pass - p, place.block, block.event};
    }
    add(s.after, left(walker, place));
  });
  s.left = total(s.after);
  return s;
}

// The stretches of a tape: passes of one chunk and kind are alike, and so are pairs of them.
class Stretches {
 public:
  explicit Stretches(const RankTape& tape)
      : tape_(tape), passes_(tape.passes), known_(tape.chunks.size() * kKinds, kNew) {
    single_ = std::none_of(passes_.begin(), passes_.end(), [](const Pass& pass) { return pass.with_next; });
    const std::size_t count = single_ ? passes_.size() : 0;
    for (std::size_t p = 0; p < count; ++p) {
      if (of_single(p) == kNew) at(p);
    }
  }

  bool single() const noexcept { return single_; }  // no pass is one of a pair
  std::uint32_t of_single(std::size_t p) const { return known_[class_of(passes_[p])]; }
  std::uint32_t at(std::size_t p) {  // number of the stretch there
    const Pass& pass = passes_[p];
    std::uint32_t& place = pass.with_next && p + 1 < passes_.size()
                               ? pairs_.try_emplace({class_of(pass), class_of(passes_[p + 1])}, kNew).first->second
                               : known_[class_of(pass)];
    if (place == kNew) {
      place = static_cast<std::uint32_t>(list_.size());
      list_.push_back(stretch_at(tape_, p));
    }
    return place;
  }
  const Stretch& operator[](std::uint32_t stretch) const { return list_[stretch]; }
  std::size_t size() const noexcept { return list_.size(); }

 private:
  static constexpr std::size_t kKinds = 4;
  static constexpr std::uint32_t kNew = static_cast<std::uint32_t>(-1);
  static std::size_t class_of(const Pass& pass) {
    return static_cast<std::size_t>(pass.chunk) * kKinds + static_cast<std::size_t>(pass.kind);
  }

  const RankTape& tape_;
  const std::vector<Pass>& passes_;
  std::vector<std::uint32_t> known_;  // places in list_, by class
  std::map<std::pair<std::size_t, std::size_t>, std::uint32_t> pairs_;
  bool single_ = true;
  std::vector<Stretch> list_;
};

// visit(pass, number of its stretch, made, gone) until it says false; made and gone hand out the gradients that come
// before and go after.
template <class Visit>
void for_stretches(const RankTape& tape, Stretches& stretches, const Accumulation& gradients, Visit visit) {
  const std::vector<Pass>& passes = tape.passes;
  poll_interrupt(static_cast<std::int64_t>(passes.size()));
  const auto nothing = [](auto) {};
  if (gradients.none() && stretches.single()) {  // nothing is called: sums stay in registers
    for (std::size_t p = 0; p < passes.size(); ++p) {
      if (!visit(p, stretches.of_single(p), nothing, nothing)) return;
    }
    return;
  }
  for (std::size_t p = 0; p < passes.size();) {
    const std::uint32_t stretch = stretches.at(p);
    const bool paired = passes[p].with_next && p + 1 < passes.size();
    const std::size_t end = p + (paired ? 2 : 1);  // not the stretch's: the next step would wait for this one's look-up
    if (gradients.none()) {
      if (!visit(p, stretch, nothing, nothing)) return;
      p = end;
      continue;
    }
    const auto made = [&](auto change) {
      for (std::size_t k = p; k < end; ++k) {
        if (const TapeTensor* t = gradients.made_before(k)) change(*t);
      }
    };
    const auto gone = [&](auto change) {
      for (std::size_t k = p; k < end; ++k) {
        if (const TapeTensor* t = gradients.gone_after(k)) change(*t);
      }
    };
    if (!visit(p, stretch, made, gone)) return;
    p = end;
  }
}

}  // namespace

double total(const CategoryBytes& bytes) noexcept {
  double sum = 0;
  for (double b : bytes) sum += b;
  return sum;
}

double TapePeak::total() const noexcept { return dts::total(bytes); }

CategoryBytes resident_bytes(const RankTape& tape) { return sum_of(tape.resident); }

CategoryBytes update_bytes(const RankTape& tape) {
  CategoryBytes bytes = resident_bytes(tape);
  add(bytes, sum_of(after_passes(tape)));
  return bytes;
}

TapePeak peak_of(const RankTape& tape) {
  TapePeak peak;
  peak.bytes = resident_bytes(tape);
  CategoryBytes held = peak.bytes;
  add(held, sum_of(tape.in_passes));
  Stretches stretches(tape);
  const Accumulation gradients(tape);
  double most = peak.total(), now = total(held);  // whole bytes: exact, category by category or in one
  std::size_t fullest = tape.passes.size();
  for_stretches(tape, stretches, gradients, [&](std::size_t p, std::uint32_t at, const auto& made, const auto& gone) {
    const Stretch& s = stretches[at];
    made([&](const TapeTensor& t) { now += t.bytes; });
    const double highest = now + s.highest;
    if (highest > most) most = highest, fullest = p;
    now += s.left;
    gone([&](const TapeTensor& t) { now -= t.bytes; });
    return true;
  });
  const CategoryBytes update = update_bytes(tape);
  if (total(update) > most) return {{tape.passes.size(), 0, 0}, update};
  if (fullest == tape.passes.size()) return peak;
  std::vector<double> times(stretches.size(), 0);  // that each stretch ran before the fullest moment
  for_stretches(tape, stretches, gradients, [&](std::size_t p, std::uint32_t at, const auto& made, const auto& gone) {
    made([&](const TapeTensor& t) { dts::at(held, t) += t.bytes; });
    if (p == fullest) {
      const Stretch& s = stretches[at];
      peak.moment = {p + s.moment.pass, s.moment.block, s.moment.event};
      add(held, s.peak);
      return false;
    }
    ++times[at];
    gone([&](const TapeTensor& t) { dts::at(held, t) -= t.bytes; });
    return true;
  });
  for (std::size_t i = 0; i < times.size(); ++i) add(held, stretches[static_cast<std::uint32_t>(i)].after, times[i]);
  peak.bytes = held;
  return peak;
}

void for_each_moment(const RankTape& tape, const std::function<void(const TapeMoment&, const CategoryBytes&)>& visit) {
  CategoryBytes held = sum_of(tape.resident);
  add(held, sum_of(tape.in_passes));
  const Walker walker(tape);
  const Accumulation gradients(tape);
  walker.for_all([&](const Place& place) {
    const TapeSum& block = sum_of(walker.block_at(place), walker.kind_at(place));
    const TapeTensor *made = gradients.made_before(place.pass), *gone = gradients.gone_after(place.pass);
    if (place.block == 0 && made) at(held, *made) += made->bytes;
    CategoryBytes now = held;
    add(now, block.peak);
    visit({place.pass, place.block, block.event}, now);
    add(held, left(walker, place));
    if (place.ends && gone) at(held, *gone) -= gone->bytes;
    visit({place.pass, place.block, kAfterBlock}, held);
  });
  visit({tape.passes.size(), 0, 0}, update_bytes(tape));
  visit({tape.passes.size(), 0, kAfterBlock}, resident_bytes(tape));
}

std::vector<LiveTensor> live_tensors(const RankTape& tape, const TapeMoment& moment) {
  std::map<std::pair<const BlockTape*, std::int32_t>, double> counts;
  const Walker walker(tape);
  const Accumulation gradients(tape);
  std::vector<TapeTensor> accumulated;
  bool reached = false;
  walker.for_all([&](const Place& place) {
    if (reached) return;
    if (const TapeTensor* made = gradients.made_before(place.pass); made != nullptr && place.block == 0)
      accumulated.push_back(*made);
    const BlockTape* block = &walker.block_at(place);
    const std::vector<TapeEvent>& events = events_of(*block, walker.kind_at(place));
    reached = place.pass == moment.pass && place.block == moment.block;
    for (std::size_t e = 0; e < (reached ? std::min(moment.event, events.size()) : events.size()); ++e) {
      counts[{block, events[e].tensor}] += events[e].frees ? -1 : 1;
    }
    if (reached || !place.ends) return;
    if (const TapeTensor* gone = gradients.gone_after(place.pass); gone != nullptr) {
      accumulated.erase(
          std::find_if(accumulated.begin(), accumulated.end(), [&](const TapeTensor& t) { return t.op == gone->op; }));
    }
    for (const BlockTape* other : walker.blocks_of(place)) {
      for (std::int32_t tensor : freed_at_end(*other, walker.kind_at(place))) counts[{other, tensor}] -= 1;
    }
  });
  std::vector<LiveTensor> live;
  const auto add_all = [&](const std::vector<TapeTensor>& tensors) {
    for (TapeTensor t : tensors) {
      t.bytes /= t.pieces;
      live.push_back({t, static_cast<double>(t.pieces)});
    }
  };
  add_all(tape.resident);
  add_all(accumulated);
  add_all(moment.pass >= tape.passes.size() ? after_passes(tape) : tape.in_passes);
  for (const auto& [key, count] : counts) {
    if (count > 0) live.push_back({key.first->tensors[static_cast<std::size_t>(key.second)], count});
  }
  std::stable_sort(live.begin(), live.end(), [](const LiveTensor& a, const LiveTensor& b) {
    return std::make_tuple(-a.bytes(), a.tensor.op, a.tensor.what) <
           std::make_tuple(-b.bytes(), b.tensor.op, b.tensor.what);
  });
  return live;
}

}  // namespace dts

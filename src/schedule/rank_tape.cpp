#include "schedule/rank_tape.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <tuple>
#include <utility>

#include "interrupt.hpp"
#include "schedule/tape_places.hpp"
#include "schedule/tape_stretches.hpp"

namespace dts {

namespace {

CategoryBytes sum_of(const std::vector<TapeTensor>& tensors) {
  CategoryBytes bytes{};
  for (const TapeTensor& t : tensors) bytes[static_cast<std::size_t>(t.category)] += t.bytes;
  return bytes;
}

// The fuller of what follows the passes.
const std::vector<TapeTensor>& after_passes(const RankTape& tape) {
  return total(sum_of(tape.reduction)) > total(sum_of(tape.update)) ? tape.reduction : tape.update;
}

double& at(CategoryBytes& bytes, const TapeTensor& t) { return bytes[static_cast<std::size_t>(t.category)]; }

// visit(pass, sums of its stretch, made, gone) until it says false; made and gone hand out the gradients that come
// before and go after. Where none does, pass_over(pass) takes over passes from there on and gives the first it leaves.
template <class PassOver, class Visit>
void for_stretches(const RankTape& tape, TapeStretches& stretches, PassOver pass_over, Visit visit) {
  const Accumulation gradients(tape);
  for (std::size_t p = 0; p < tape.passes.size();) {
    if (gradients.none()) p = pass_over(p);
    if (p == tape.passes.size()) return;
    const StretchSums& sums = stretches.at(p);
    const std::size_t end = p + (stretches.starts_pair(p) ? 2 : 1);
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
    if (!visit(p, sums, made, gone)) return;
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
  poll_interrupt(static_cast<std::int64_t>(tape.passes.size()));
  TapeStretches stretches(tape);
  Fullest fullest{total(held), peak.total(), tape.passes.size()};  // whole bytes: exact, category by category or in one
  for_stretches(
      tape, stretches, [&](std::size_t p) { return stretches.see_known(p, fullest); },
      [&](std::size_t p, const auto& sums, const auto& made, const auto& gone) {
        made([&](const TapeTensor& t) { fullest.now += t.bytes; });
        fullest.see(p, sums);
        gone([&](const TapeTensor& t) { fullest.now -= t.bytes; });
        return true;
      });
  const CategoryBytes update = update_bytes(tape);
  if (total(update) > fullest.most) return {{tape.passes.size(), 0, 0}, update};
  if (fullest.pass == tape.passes.size()) return peak;
  std::vector<double> times(stretches.size(), 0);  // that each stretch ran before the fullest moment
  for_stretches(
      tape, stretches, [&](std::size_t p) { return stretches.count_known(p, fullest.pass, times); },
      [&](std::size_t p, const auto& sums, const auto& made, const auto& gone) {
        made([&](const TapeTensor& t) { at(held, t) += t.bytes; });
        if (p == fullest.pass) {
          const TapeStretch& s = stretches[sums.stretch];
          peak.moment = {p + s.moment.pass, s.moment.block, s.moment.event};
          add(held, s.peak);
          return false;
        }
        ++times[sums.stretch];
        gone([&](const TapeTensor& t) { at(held, t) -= t.bytes; });
        return true;
      });
  for (std::size_t i = 0; i < times.size(); ++i) add(held, stretches[i].after, times[i]);
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

#include "schedule/rank_tape.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "interrupt.hpp"

namespace dts {

namespace {

const std::vector<TapeEvent>& events_of(const BlockTape& tape, PassKind kind) {
  switch (kind) {
    case PassKind::Forward: return tape.forward;
    case PassKind::Backward: return tape.backward;
    case PassKind::BackwardInput: return tape.input_grad;
    default: return tape.weight_grad;
  }
}

// What the end of a pass frees of one of its blocks.
const std::vector<std::int32_t>& freed_at_end(const BlockTape& tape, PassKind kind) {
  static const std::vector<std::int32_t> nothing;
  switch (kind) {
    case PassKind::Backward: return tape.after_backward;
    case PassKind::BackwardWeight: return tape.after_weight_grad;
    default: return nothing;
  }
}

const TapeSum& sum_of(const BlockTape& tape, PassKind kind) {
  switch (kind) {
    case PassKind::Forward: return tape.forward_sum;
    case PassKind::Backward: return tape.backward_sum;
    case PassKind::BackwardInput: return tape.input_grad_sum;
    default: return tape.weight_grad_sum;
  }
}

void add(CategoryBytes& sum, const CategoryBytes& more) {
  for (std::size_t c = 0; c < kMemoryCategories; ++c) sum[c] += more[c];
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

struct Place {  // one block of one pass
  std::size_t pass = 0, block = 0;
  bool ends = false;  // the pass
};

// The blocks of pass p in host order; a forward that runs as one with the backward after it alternates with it block by
// block. Gives the number of passes.
template <class Visit>
std::size_t for_places(const RankTape& tape, std::size_t p, Visit visit) {
  const auto blocks = [&](std::size_t pass) { return tape.chunks[static_cast<std::size_t>(tape.passes[pass].chunk)].size(); };
  const bool paired = tape.passes[p].with_next && p + 1 < tape.passes.size();
  const std::size_t own = blocks(p), other = paired ? blocks(p + 1) : 0;
  for (std::size_t b = 0; b < std::max(own, other); ++b) {
    if (b < own) visit(Place{p, b, b + 1 == own});
    if (b < other) visit(Place{p + 1, b, b + 1 == other});
  }
  return paired ? 2 : 1;
}

class Walker {
 public:
  explicit Walker(const RankTape& tape) : tape_(tape) {}

  template <class Visit>
  void for_all(Visit visit) const {
    for (std::size_t p = 0; p < tape_.passes.size();) {
      poll_interrupt(8);
      p += for_places(tape_, p, visit);
    }
  }

  PassKind kind_at(const Place& place) const { return tape_.passes[place.pass].kind; }
  std::size_t layer_of(const Place& place) const {
    const std::size_t count = blocks_of(place).size();
    return kind_at(place) == PassKind::Forward ? place.block : count - 1 - place.block;
  }
  const BlockTape& block_at(const Place& place) const { return *blocks_of(place)[layer_of(place)]; }
  const std::vector<const BlockTape*>& blocks_of(const Place& place) const {
    return tape_.chunks[static_cast<std::size_t>(tape_.passes[place.pass].chunk)];
  }

  // What a block's pass, and where it ends the pass that too, leaves of what was held before.
  CategoryBytes left(const Place& place) const {
    CategoryBytes bytes = sum_of(block_at(place), kind_at(place)).after;
    if (!place.ends) return bytes;
    for (const BlockTape* block : blocks_of(place)) {
      for (std::int32_t tensor : freed_at_end(*block, kind_at(place))) {
        const TapeTensor& t = block->tensors[static_cast<std::size_t>(tensor)];
        bytes[static_cast<std::size_t>(t.category)] -= t.bytes;
      }
    }
    return bytes;
  }

 private:
  const RankTape& tape_;
};

// One pass, or a pair, over what is held before it.
struct Stretch {
  CategoryBytes peak{}, after{};
  double highest = 0;
  TapeMoment moment;  // of the fullest, its pass counted from the first
  std::size_t passes = 1;
};

Stretch stretch_at(const RankTape& tape, std::size_t p) {
  Stretch s;
  const Walker walker(tape);
  s.passes = for_places(tape, p, [&](const Place& place) {
    const TapeSum& block = sum_of(walker.block_at(place), walker.kind_at(place));
    const double now = total(s.after) + block.highest;
    if (now > s.highest) {
      s.highest = now, s.peak = s.after;
      add(s.peak, block.peak);
      s.moment = {place.pass - p, place.block, block.event};
    }
    add(s.after, walker.left(place));
  });
  return s;
}

// The stretches of a tape: passes of one chunk and kind are alike, and so are pairs of them.
class Stretches {
 public:
  explicit Stretches(const RankTape& tape) : tape_(tape), known_(tape.chunks.size() * kKinds, kNew) {}

  const Stretch& at(std::size_t p) {
    const Pass& pass = tape_.passes[p];
    const bool paired = pass.with_next && p + 1 < tape_.passes.size();
    std::uint32_t& place = paired ? pairs_.try_emplace({class_of(pass), class_of(tape_.passes[p + 1])}, kNew).first->second
                                  : known_[class_of(pass)];
    if (place == kNew) {
      place = static_cast<std::uint32_t>(list_.size());
      list_.push_back(stretch_at(tape_, p));
    }
    return list_[place];
  }

 private:
  static constexpr std::size_t kKinds = 4;
  static constexpr std::uint32_t kNew = static_cast<std::uint32_t>(-1);
  static std::size_t class_of(const Pass& pass) { return static_cast<std::size_t>(pass.chunk) * kKinds + static_cast<std::size_t>(pass.kind); }

  const RankTape& tape_;
  std::vector<std::uint32_t> known_;  // places in list_, by class
  std::map<std::pair<std::size_t, std::size_t>, std::uint32_t> pairs_;
  std::vector<Stretch> list_;
};

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
  double most = peak.total();
  CategoryBytes held = peak.bytes;
  add(held, sum_of(tape.in_passes));
  Stretches stretches(tape);
  for (std::size_t p = 0; p < tape.passes.size();) {
    poll_interrupt(1);
    const Stretch& s = stretches.at(p);
    if (const double now = total(held) + s.highest; now > most) {
      most = now;
      peak.moment = {p + s.moment.pass, s.moment.block, s.moment.event};
      peak.bytes = held;
      add(peak.bytes, s.peak);
    }
    add(held, s.after);
    p += s.passes;
  }
  const CategoryBytes update = update_bytes(tape);
  if (total(update) > most) peak = {{tape.passes.size(), 0, 0}, update};
  return peak;
}

void for_each_moment(const RankTape& tape, const std::function<void(const TapeMoment&, const CategoryBytes&)>& visit) {
  CategoryBytes held = sum_of(tape.resident);
  add(held, sum_of(tape.in_passes));
  const Walker walker(tape);
  walker.for_all([&](const Place& place) {
    const TapeSum& block = sum_of(walker.block_at(place), walker.kind_at(place));
    CategoryBytes now = held;
    add(now, block.peak);
    visit({place.pass, place.block, block.event}, now);
    add(held, walker.left(place));
    visit({place.pass, place.block, kAfterBlock}, held);
  });
  visit({tape.passes.size(), 0, 0}, update_bytes(tape));
  visit({tape.passes.size(), 0, kAfterBlock}, resident_bytes(tape));
}

std::vector<LiveTensor> live_tensors(const RankTape& tape, const TapeMoment& moment) {
  std::map<std::pair<const BlockTape*, std::int32_t>, double> counts;
  const Walker walker(tape);
  bool reached = false;
  walker.for_all([&](const Place& place) {
    if (reached) return;
    const BlockTape* block = &walker.block_at(place);
    const std::vector<TapeEvent>& events = events_of(*block, walker.kind_at(place));
    reached = place.pass == moment.pass && place.block == moment.block;
    for (std::size_t e = 0; e < (reached ? std::min(moment.event, events.size()) : events.size()); ++e) {
      counts[{block, events[e].tensor}] += events[e].frees ? -1 : 1;
    }
    if (reached || !place.ends) return;
    for (const BlockTape* other : walker.blocks_of(place)) {
      for (std::int32_t tensor : freed_at_end(*other, walker.kind_at(place))) counts[{other, tensor}] -= 1;
    }
  });
  std::vector<LiveTensor> live;
  for (const TapeTensor& t : tape.resident) live.push_back({t, 1});
  for (const TapeTensor& t : moment.pass >= tape.passes.size() ? after_passes(tape) : tape.in_passes) live.push_back({t, 1});
  for (const auto& [key, count] : counts) {
    if (count > 0) live.push_back({key.first->tensors[static_cast<std::size_t>(key.second)], count});
  }
  std::stable_sort(live.begin(), live.end(), [](const LiveTensor& a, const LiveTensor& b) {
    return std::make_tuple(-a.bytes(), a.tensor.op, a.tensor.what) < std::make_tuple(-b.bytes(), b.tensor.op, b.tensor.what);
  });
  return live;
}

void for_each_allocation(const RankTape& tape, const std::function<void(const TapeAllocation&)>& visit) {
  std::map<std::tuple<int, int, std::size_t, std::int32_t>, std::int64_t> ids;  // micro-batch, chunk, layer, tensor
  std::int64_t next = static_cast<std::int64_t>(tape.in_passes.size());
  const auto all_of = [&](const std::vector<TapeTensor>& tensors, std::int64_t first, bool frees) {
    for (std::size_t i = 0; i < tensors.size(); ++i) visit({first + static_cast<std::int64_t>(i), tensors[i].bytes, frees});
  };
  all_of(tape.in_passes, 0, false);
  const Walker walker(tape);
  const auto event = [&](const Pass& pass, std::size_t layer, const BlockTape& block, const TapeEvent& e) {
    const auto key = std::make_tuple(pass.micro_batch, pass.chunk, layer, e.tensor);
    if (!e.frees) ids[key] = next++;
    const auto found = ids.find(key);
    const TapeTensor& t = block.tensors[static_cast<std::size_t>(e.tensor)];
    if (found == ids.end()) throw std::logic_error("the order of passes frees " + t.op + " " + t.what + " before it is allocated");
    visit({found->second, t.bytes, e.frees});
    if (e.frees) ids.erase(found);
  };
  walker.for_all([&](const Place& place) {
    const Pass& pass = tape.passes[place.pass];
    const BlockTape& block = walker.block_at(place);
    for (const TapeEvent& e : events_of(block, pass.kind)) event(pass, walker.layer_of(place), block, e);
    if (!place.ends) return;
    const std::vector<const BlockTape*>& blocks = walker.blocks_of(place);
    for (std::size_t layer = 0; layer < blocks.size(); ++layer) {
      for (std::int32_t tensor : freed_at_end(*blocks[layer], pass.kind)) event(pass, layer, *blocks[layer], {tensor, true});
    }
  });
  all_of(tape.in_passes, 0, true);
  all_of(tape.reduction, next, false);
  all_of(tape.reduction, next, true);
  all_of(tape.update, next, false);
  all_of(tape.update, next, true);
}

}  // namespace dts

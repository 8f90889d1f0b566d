#include "schedule/rank_tape.hpp"

#include <algorithm>
#include <array>
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

struct Moments {  // of one block's pass, over what is held before it
  CategoryBytes peak{}, after{};
  double highest = 0;
  std::size_t event = 0;
};

void add(CategoryBytes& sum, const CategoryBytes& more) {
  for (std::size_t c = 0; c < kMemoryCategories; ++c) sum[c] += more[c];
}

Moments moments_of(const BlockTape& tape, PassKind kind) {
  Moments m;
  CategoryBytes now{};
  double held = 0;
  const std::vector<TapeEvent>& events = events_of(tape, kind);
  for (std::size_t e = 0; e < events.size(); ++e) {
    const TapeTensor& t = tape.tensors[static_cast<std::size_t>(events[e].tensor)];
    const double change = events[e].frees ? -t.bytes : t.bytes;
    now[static_cast<std::size_t>(t.category)] += change;
    held += change;
    if (held > m.highest) m.highest = held, m.peak = now, m.event = e + 1;
  }
  m.after = now;
  return m;
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

// Host order. A forward that runs as one with the backward after it alternates with it block by block.
std::vector<Place> places(const RankTape& tape) {
  std::vector<Place> order;
  const auto blocks = [&](std::size_t p) { return tape.chunks[static_cast<std::size_t>(tape.passes[p].chunk)].size(); };
  for (std::size_t p = 0; p < tape.passes.size(); ++p) {
    poll_interrupt(8);
    const bool paired = tape.passes[p].with_next && p + 1 < tape.passes.size();
    const std::size_t own = blocks(p), other = paired ? blocks(p + 1) : 0;
    for (std::size_t b = 0; b < std::max(own, other); ++b) {
      if (b < own) order.push_back({p, b, b + 1 == own});
      if (b < other) order.push_back({p + 1, b, b + 1 == other});
    }
    if (paired) ++p;
  }
  return order;
}

class Walker {
 public:
  explicit Walker(const RankTape& tape) : tape_(tape), order_(places(tape)) {}

  const std::vector<Place>& order() const { return order_; }

  std::size_t layer_of(const Place& place) const {
    const Pass& pass = tape_.passes[place.pass];
    const std::size_t count = tape_.chunks[static_cast<std::size_t>(pass.chunk)].size();
    return pass.kind == PassKind::Forward ? place.block : count - 1 - place.block;
  }
  const BlockTape* block_at(const Place& place) const {
    return tape_.chunks[static_cast<std::size_t>(tape_.passes[place.pass].chunk)][layer_of(place)];
  }

  const std::vector<const BlockTape*>& blocks_of(const Place& place) const {
    return tape_.chunks[static_cast<std::size_t>(tape_.passes[place.pass].chunk)];
  }

  // visit(place, held before it, moments, held after it)
  template <class Visit>
  void walk(Visit visit) {
    CategoryBytes held = sum_of(tape_.resident);
    add(held, sum_of(tape_.in_passes));
    const BlockTape* last = nullptr;
    PassKind last_kind = PassKind::Forward;
    const Moments* moments = nullptr;
    for (const Place& place : order_) {
      poll_interrupt(8);
      const BlockTape* block = block_at(place);
      const PassKind kind = tape_.passes[place.pass].kind;
      if (block != last || kind != last_kind) moments = &moments_of_block(block, kind);  // layers repeat
      last = block, last_kind = kind;
      CategoryBytes after = held;
      add(after, moments->after);
      if (place.ends) add(after, freed(place));
      visit(place, held, *moments, after);
      held = after;
    }
  }

 private:
  const Moments& moments_of_block(const BlockTape* block, PassKind kind) {
    auto [known, is_new] = known_.try_emplace({block, static_cast<int>(kind)});
    if (is_new) known->second = moments_of(*block, kind);
    return known->second;
  }

  const CategoryBytes& freed(const Place& place) {
    const Pass& pass = tape_.passes[place.pass];
    auto [known, is_new] = freed_.try_emplace({pass.chunk, static_cast<int>(pass.kind)});
    if (!is_new) return known->second;
    for (const BlockTape* block : blocks_of(place)) {
      for (std::int32_t tensor : freed_at_end(*block, pass.kind)) {
        const TapeTensor& t = block->tensors[static_cast<std::size_t>(tensor)];
        known->second[static_cast<std::size_t>(t.category)] -= t.bytes;
      }
    }
    return known->second;
  }

  const RankTape& tape_;
  std::vector<Place> order_;
  std::map<std::pair<const BlockTape*, int>, Moments> known_;
  std::map<std::pair<int, int>, CategoryBytes> freed_;  // by chunk and kind of pass
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
  Walker(tape).walk([&](const Place& place, const CategoryBytes& held, const Moments& m, const CategoryBytes&) {
    const double now = total(held) + m.highest;
    if (now <= most) return;
    most = now;
    peak.moment = {place.pass, place.block, m.event};
    peak.bytes = held;
    add(peak.bytes, m.peak);
  });
  const CategoryBytes update = update_bytes(tape);
  if (total(update) > most) peak = {{tape.passes.size(), 0, 0}, update};
  return peak;
}

void for_each_moment(const RankTape& tape, const std::function<void(const TapeMoment&, const CategoryBytes&)>& visit) {
  Walker(tape).walk([&](const Place& place, const CategoryBytes& held, const Moments& m, const CategoryBytes& after) {
    CategoryBytes now = held;
    add(now, m.peak);
    visit({place.pass, place.block, m.event}, now);
    visit({place.pass, place.block, kAfterBlock}, after);
  });
  visit({tape.passes.size(), 0, 0}, update_bytes(tape));
  visit({tape.passes.size(), 0, kAfterBlock}, resident_bytes(tape));
}

std::vector<LiveTensor> live_tensors(const RankTape& tape, const TapeMoment& moment) {
  std::map<std::pair<const BlockTape*, std::int32_t>, double> counts;
  const Walker walker(tape);
  for (const Place& place : walker.order()) {
    const BlockTape* block = walker.block_at(place);
    const std::vector<TapeEvent>& events = events_of(*block, tape.passes[place.pass].kind);
    const bool here = place.pass == moment.pass && place.block == moment.block;
    for (std::size_t e = 0; e < (here ? std::min(moment.event, events.size()) : events.size()); ++e) {
      counts[{block, events[e].tensor}] += events[e].frees ? -1 : 1;
    }
    if (here) break;
    if (!place.ends) continue;
    for (const BlockTape* other : walker.blocks_of(place)) {
      for (std::int32_t tensor : freed_at_end(*other, tape.passes[place.pass].kind)) counts[{other, tensor}] -= 1;
    }
  }
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
  for (const Place& place : walker.order()) {
    const Pass& pass = tape.passes[place.pass];
    const BlockTape& block = *walker.block_at(place);
    for (const TapeEvent& e : events_of(block, pass.kind)) event(pass, walker.layer_of(place), block, e);
    if (!place.ends) continue;
    const std::vector<const BlockTape*>& blocks = walker.blocks_of(place);
    for (std::size_t layer = 0; layer < blocks.size(); ++layer) {
      for (std::int32_t tensor : freed_at_end(*blocks[layer], pass.kind)) event(pass, layer, *blocks[layer], {tensor, true});
    }
  }
  all_of(tape.in_passes, 0, true);
  all_of(tape.reduction, next, false);
  all_of(tape.reduction, next, true);
  all_of(tape.update, next, false);
  all_of(tape.update, next, true);
}

}  // namespace dts

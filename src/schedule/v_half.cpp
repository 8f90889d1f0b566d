// V-Half and V-Min (Qi et al. arXiv:2405.15362): a building block of four passes, F0 F1 B1 B0, repeated every six
// slots; weight gradients take the two free slots. "Squeezing" then moves the passes of warm-up and cool-down to the
// earliest free slot that their inputs allow, as long as the rank never holds more than the repeated block does.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <tuple>

#include "interrupt.hpp"
#include "schedule/pipeline.hpp"

namespace dts {

namespace {

constexpr int kPeriod = 6;
// Types of a pass: F0, F1, B1, B0 (they depend on each other in this order), then weight gradients.
constexpr int kTypes = 4, kWeight = 4;

using Block = std::array<int, kTypes>;        // first slot of each type on one rank
using Slots = std::vector<std::vector<int>>;  // of one rank: [type][micro-batch], without or with weight gradients
struct Place {
  int slot, rank, type, index;
  bool operator<(const Place& o) const {
    return std::tie(slot, rank, type, index) < std::tie(o.slot, o.rank, o.type, o.index);
  }
};

constexpr std::size_t kEveryRank = static_cast<std::size_t>(-1);

// Passes by slot, rank, type and micro-batch: a merge of the ranks' lists, each of which rises.
std::vector<Place> in_slot_order(const std::vector<Slots>& ranks, std::size_t only = kEveryRank) {
  std::vector<Place> heads;
  std::size_t count = 0;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    for (std::size_t type = 0; (only == kEveryRank || rank == only) && type < ranks[rank].size(); ++type) {
      const std::vector<int>& list = ranks[rank][type];
      if (!list.empty()) heads.push_back({list.front(), static_cast<int>(rank), static_cast<int>(type), 0});
      count += list.size();
    }
  }
  std::vector<Place> places;
  places.reserve(count);
  const auto later = [](const Place& a, const Place& b) { return b < a; };
  std::make_heap(heads.begin(), heads.end(), later);
  while (!heads.empty()) {
    poll_interrupt(5);
    std::pop_heap(heads.begin(), heads.end(), later);
    Place& next = heads.back();
    places.push_back(next);
    const std::vector<int>& list = ranks[static_cast<std::size_t>(next.rank)][static_cast<std::size_t>(next.type)];
    if (static_cast<std::size_t>(++next.index) == list.size()) {
      heads.pop_back();
    } else {
      next.slot = list[static_cast<std::size_t>(next.index)];
      std::push_heap(heads.begin(), heads.end(), later);
    }
  }
  return places;
}

// Weight gradients into the free slots, first the returning chunk's; `lists` of them: one for both chunks, or two.
void add_weights(std::vector<Slots>& ranks, std::size_t lists) {
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    const std::vector<Place> places = in_slot_order(ranks, rank);
    std::vector<int> waiting(lists, 0);
    Slots& slots = ranks[rank];
    slots.resize(kWeight + lists);
    int slot = 0;
    const auto fill = [&] {
      for (std::size_t w = 0; w < lists; ++w) {
        if (waiting[w] == 0) continue;
        slots[kWeight + w].push_back(slot);
        --waiting[w];
        return true;
      }
      return false;
    };
    for (const Place& place : places) {
      poll_interrupt(1);
      for (; slot < place.slot; ++slot) fill();
      ++slot;
      if (place.type >= 2) ++waiting[lists == 1 ? 0 : static_cast<std::size_t>(place.type - 2)];
    }
    while (fill()) ++slot;
  }
}

// Most chunk passes held on one rank; without weight gradients each free slot is taken to release one.
int peak_of(const std::vector<Slots>& ranks, std::size_t rank) {
  const bool weights = ranks[rank].size() > kWeight;
  int held = 0, peak = 0, waiting = 0, slot = 0;
  for (const Place& place : in_slot_order(ranks, rank)) {
    poll_interrupt(1);
    if (!weights) {
      const int released = std::min(waiting, place.slot - slot);
      held -= released, waiting -= released;
      slot = place.slot + 1;
      waiting += place.type >= 2 ? 1 : 0;
    }
    held += place.type < 2 ? 1 : place.type >= kWeight ? -1 : 0;
    peak = std::max(peak, held);
  }
  return peak;
}

class Squeeze {
 public:
  explicit Squeeze(std::vector<Slots> ranks) : ranks_(std::move(ranks)) {
    for (std::size_t rank = 0; rank < ranks_.size(); ++rank) allowed_ = std::max(allowed_, peak_of(ranks_, rank));
    for (const Slots& slots : ranks_) {
      int last = 0;
      for (const std::vector<int>& list : slots) last = std::max(last, list.empty() ? 0 : list.back());
      taken_.emplace_back(static_cast<std::size_t>(last) + 1, false);
    }
  }

  // Moves what comes before the first rank's first B0 (only with `head`) and after its last F0.
  std::vector<Slots> run(bool head) && {
    enum { Head, Steady, Tail } phase = Head;
    const int last = static_cast<int>(ranks_[0][0].size()) - 1;
    for (const Place& place : in_slot_order(ranks_)) {
      poll_interrupt(1);
      if (phase == Head && place.type == 3 && place.rank == 0) phase = Steady;
      const bool moves = phase == Tail || (phase == Head && head);
      if (phase == Steady && place.type == 0 && place.index == last) phase = Tail;
      if (moves) move(place);
      taken_[static_cast<std::size_t>(place.rank)][static_cast<std::size_t>(at(place.rank, place.type, place.index))] =
          true;
    }
    return std::move(ranks_);
  }

 private:
  int& at(int rank, int type, int index) {
    return ranks_[static_cast<std::size_t>(rank)][static_cast<std::size_t>(type)][static_cast<std::size_t>(index)];
  }

  int earliest(const Place& p) {  // slot after everything that the pass waits for
    int after = -1;
    const int from = p.type % 2 == 0 ? p.rank - 1 : p.rank + 1;  // F0 and B1 go down the ranks, F1 and B0 up
    const bool exists = from >= 0 && from < static_cast<int>(ranks_.size());
    if (p.type < kTypes && exists) after = std::max(after, at(from, p.type, p.index));
    if (p.type < kTypes && p.type > 0) after = std::max(after, at(p.rank, p.type - 1, p.index));
    if (p.type == kWeight) after = std::max(after, input_gradient_slot(p.rank, p.index));
    if (p.index > 0) after = std::max(after, at(p.rank, p.type, p.index - 1));
    return after + 1;
  }

  int input_gradient_slot(int rank, int index) const {  // of the index-th input gradient of either chunk
    const Slots& slots = ranks_[static_cast<std::size_t>(rank)];
    poll_interrupt(static_cast<std::int64_t>(slots[2].size()));
    std::vector<int> all(slots[2]);
    all.insert(all.end(), slots[3].begin(), slots[3].end());
    std::nth_element(all.begin(), all.begin() + index, all.end());
    return all[static_cast<std::size_t>(index)];
  }

  void move(const Place& place) {
    int& slot = at(place.rank, place.type, place.index);
    for (int candidate = earliest(place); candidate < place.slot; ++candidate) {
      if (taken_[static_cast<std::size_t>(place.rank)][static_cast<std::size_t>(candidate)]) continue;
      slot = candidate;
      if (peak_of(ranks_, static_cast<std::size_t>(place.rank)) <= allowed_) return;
    }
    slot = place.slot;
  }

  std::vector<Slots> ranks_;
  std::vector<std::vector<bool>> taken_;
  int allowed_ = 0;
};

// Runs the passes in their order, each one slot long, as early as inputs allow.
std::vector<Slots> compacted(const std::vector<Slots>& ranks) {
  std::vector<Slots> out = ranks;
  std::vector<int> free(ranks.size(), 0);
  for (const Place& p : in_slot_order(ranks)) {
    poll_interrupt(1);
    const auto r = static_cast<std::size_t>(p.rank), t = static_cast<std::size_t>(p.type),
               i = static_cast<std::size_t>(p.index);
    int start = free[r];
    if (p.type < kTypes) {
      const bool down = p.type % 2 == 0;
      if (down ? r > 0 : r + 1 < ranks.size()) start = std::max(start, out[down ? r - 1 : r + 1][t][i] + 1);
      if (t > 0) start = std::max(start, out[r][t - 1][i] + 1);
    }
    out[r][t][i] = start;
    free[r] = start + 1;
  }
  return out;
}

PipelineOrder squeezed(const std::vector<Block>& blocks, int micro_batches) {
  std::vector<Slots> ranks;
  for (const Block& block : blocks) {
    Slots& slots = ranks.emplace_back();
    for (int first : block) {
      std::vector<int>& list = slots.emplace_back();
      for (int i = 0; i < micro_batches; ++i) list.push_back(first + kPeriod * i);
    }
  }
  const auto drop_weights = [&] {
    for (Slots& slots : ranks) slots.resize(kTypes);
  };
  add_weights(ranks, 1);
  ranks = compacted(Squeeze(std::move(ranks)).run(true));
  drop_weights();
  ranks = Squeeze(std::move(ranks)).run(false);
  add_weights(ranks, 2);
  PipelineOrder order(ranks.size());
  static constexpr Pass kPasses[] = {{PassKind::Forward, 0, 0},        {PassKind::Forward, 1, 0},
                                     {PassKind::BackwardInput, 1, 0},  {PassKind::BackwardInput, 0, 0},
                                     {PassKind::BackwardWeight, 1, 0}, {PassKind::BackwardWeight, 0, 0}};
  for (const Place& place : in_slot_order(ranks)) {
    poll_interrupt(1);
    Pass pass = kPasses[place.type];
    pass.micro_batch = place.index;
    order[static_cast<std::size_t>(place.rank)].push_back(pass);
  }
  return order;
}

}  // namespace

PipelineOrder v_half(int pp, int micro_batches) {
  const int gap = pp % 2 == 0 ? 3 : 0;
  std::vector<Block> blocks;
  blocks.reserve(static_cast<std::size_t>(pp));
  for (int r = 0; r < pp; ++r)
    blocks.push_back({2 * r, 3 * pp - r - 2, 3 * pp + gap + 2 * r - 1, 6 * pp + gap - r - 2});
  return squeezed(blocks, micro_batches);
}

PipelineOrder v_min(int pp, int micro_batches) {
  const int gap = pp % 3 == 0 ? 2 : 0;
  std::vector<Block> blocks;
  blocks.reserve(static_cast<std::size_t>(pp));
  for (int r = 0; r < pp; ++r) blocks.push_back({r, 2 * pp - r - 1, 2 * pp + gap + r, 4 * pp + gap - r - 1});
  return squeezed(blocks, micro_batches);
}

}  // namespace dts

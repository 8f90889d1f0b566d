// The blocks of a rank's passes in the order in which the host runs them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "interrupt.hpp"
#include "schedule/rank_tape.hpp"

namespace dts {

const TapeSum& sum_of(const BlockTape& tape, PassKind kind);
const std::vector<TapeEvent>& events_of(const BlockTape& tape, PassKind kind);
// What the end of a pass frees of one of its blocks.
const std::vector<std::int32_t>& freed_at_end(const BlockTape& tape, PassKind kind);

struct Place {  // one block of one pass
  std::size_t pass = 0, block = 0;
  bool ends = false;  // the pass
};

// The blocks of pass p in host order; a forward that runs as one with the backward after it alternates with it block by
// block. Gives the number of passes.
template <class Visit>
std::size_t for_places(const RankTape& tape, std::size_t p, Visit visit) {
  const auto blocks = [&](std::size_t pass) {
    return tape.chunks[static_cast<std::size_t>(tape.passes[pass].chunk)].size();
  };
  const bool paired = tape.passes[p].with_next && p + 1 < tape.passes.size();
  const std::size_t own = blocks(p), other = paired ? blocks(p + 1) : 0;
  for (std::size_t b = 0; b < std::max(own, other); ++b) {
    if (b < own) visit(Place{p, b, b + 1 == own});
    if (b < other) visit(Place{p + 1, b, b + 1 == other});
  }
  return paired ? 2 : 1;
}

// When the gradients appear that a chunk accumulates, and when they are gone.
class Accumulation {
 public:
  explicit Accumulation(const RankTape& tape);
  bool none() const noexcept { return first_.empty(); }
  // The tensor that appears before pass p, or is gone after it; null where there is none.
  const TapeTensor* made_before(std::size_t p) const { return at(first_, p); }
  const TapeTensor* gone_after(std::size_t p) const { return at(last_, p); }

 private:
  const TapeTensor* at(const std::vector<std::size_t>& passes, std::size_t p) const {
    if (passes.empty()) return nullptr;
    const auto chunk = static_cast<std::size_t>(tape_.passes[p].chunk);
    return passes[chunk] == p ? &tape_.accumulated[chunk] : nullptr;
  }

  const RankTape& tape_;
  std::vector<std::size_t> first_, last_;  // passes by chunk
};

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

 private:
  const RankTape& tape_;
};

// What a block's pass, and where it ends the pass that too, leaves of what was held before.
CategoryBytes left(const Walker& walker, const Place& place);

inline void add(CategoryBytes& sum, const CategoryBytes& more, double times = 1) {
  for (std::size_t c = 0; c < kMemoryCategories; ++c) sum[c] += times * more[c];
}

}  // namespace dts

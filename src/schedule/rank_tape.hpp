// What one pipeline rank allocates over a step: what is resident, the tapes of its blocks along its order of passes, and
// what the update adds. Peaks and moments follow by counting; memory/caching_allocator.hpp replays the same events.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "memory/block_tape.hpp"
#include "schedule/pass.hpp"

namespace dts {

struct RankTape {
  std::vector<TapeTensor> resident;               // from the first step on
  std::vector<TapeTensor> in_passes;              // from the first pass to the last: buffers of transfers
  std::vector<TapeTensor> reduction;              // after the last pass: what gradients are reduced in
  std::vector<TapeTensor> update;                 // during the optimizer's step alone
  std::vector<std::vector<const BlockTape*>> chunks;  // blocks of each chunk, forward order
  std::vector<Pass> passes;
};

// A moment of the step: inside block `block` (counted in the pass's own direction) of pass `pass`, after so many events
// of its tape, kAfterBlock for all; pass = number of passes: the update.
inline constexpr std::size_t kAfterBlock = static_cast<std::size_t>(-1);
struct TapeMoment {
  std::size_t pass = 0, block = 0, event = 0;
};

struct TapePeak {
  TapeMoment moment;
  CategoryBytes bytes{};
  double total() const noexcept;
};

double total(const CategoryBytes& bytes) noexcept;
CategoryBytes resident_bytes(const RankTape& tape);
CategoryBytes update_bytes(const RankTape& tape);  // residents included; of the reduction where it needs more

// The fullest moment of a step; the first of equal ones.
TapePeak peak_of(const RankTape& tape);

// Calls `visit(moment, bytes)` in host order: at the fullest moment of each block of each pass and after it, at the
// update and after it.
void for_each_moment(const RankTape& tape, const std::function<void(const TapeMoment&, const CategoryBytes&)>& visit);

struct LiveTensor {  // equal tensors of several layers and micro-batches together
  TapeTensor tensor;
  double count = 0;
  double bytes() const noexcept { return count * tensor.bytes; }
};
// What is allocated at a moment, largest first.
std::vector<LiveTensor> live_tensors(const RankTape& tape, const TapeMoment& moment);

// One allocation or free of a step; `id` names the allocation within the step.
struct TapeAllocation {
  std::int64_t id = 0;
  double bytes = 0;
  bool frees = false;
};
// Calls `visit` with every event of the passes in host order (not the residents); an update is allocated and freed last.
void for_each_allocation(const RankTape& tape, const std::function<void(const TapeAllocation&)>& visit);

}  // namespace dts

// What one pipeline rank allocates over a step: what is resident, the tapes of its blocks along its order of passes,
// and what the update adds. Peaks and moments follow by counting; memory/caching_allocator.hpp replays the same events.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "memory/block_tape.hpp"
#include "schedule/shared_order.hpp"

namespace dts {

// How the host stands to the device when it issues a pass.
struct HostLead {
  bool waits = false;  // it has waited for the device to be done with all before
  bool ahead = false;  // it runs ahead until the device's launch queue is full
};
inline constexpr double kLaunchQueue = 1024;  // entries (CUDA); the host then waits for the device to take one

struct RankTape {
  std::vector<TapeTensor> resident;   // from the first step on
  double made_by_update = 0;          // bytes of those optimizer states that the first update makes
  std::vector<TapeTensor> in_passes;  // from the first pass to the last: buffers of transfers
  std::vector<TapeTensor> reduction;  // after the last pass: what gradients are reduced in
  std::vector<TapeTensor> update;     // during the optimizer's step alone
  // Per chunk, or empty: gradients that stand from the first backward of the chunk until its last, which reduces them.
  std::vector<TapeTensor> accumulated;
  std::vector<std::vector<const BlockTape*>> chunks;  // blocks of each chunk, forward order
  SharedPasses passes;
  std::vector<HostLead> lead;  // of each pass; empty: the device keeps up with the host
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

// One allocation or free of a step; `id` names the allocation within the step. `launches` counts the entries of the
// launch queue that the host has issued, from `first_launch` on; what is freed is usable again when the device has done
// so many.
struct TapeAllocation {
  std::int64_t id = 0;
  double bytes = 0;
  bool frees = false;
  double launches = 0, usable_from = 0;
};
using VisitAllocation = std::function<void(const TapeAllocation&)>;
// Calls `visit` with every event of the passes in host order (not the residents). Returns the entries issued by then.
double for_each_allocation(const RankTape& tape, const VisitAllocation& visit, double first_launch = 0);
// What follows the passes, one after the other: reduction, update.
void for_each_allocation_after(const RankTape& tape, double launches, const VisitAllocation& visit);

}  // namespace dts

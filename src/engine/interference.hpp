// Compute slowed by collectives beside it. A collective's kernel holds a share of its device's multiprocessors while it
// runs; of a compute task, the share `work` slows down in proportion (arXiv:2507.03114 measures 19 % on average over
// four GPUs; 24 of 132 multiprocessors are 18 %). Collectives are not slowed. Left out: memory bandwidth they take.
//
// Tasks come in issue order: what runs beside a task and was issued after it is not seen. Frameworks issue a gather
// before the compute that hides it, and a reduction before the compute that follows, so little is missed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

namespace dts {

struct Held {
  double start_s = 0, end_s = 0;
  double share = 0;  // of the device's multiprocessors
  std::uint32_t task = 0;
};

inline constexpr double kSlowestPace = 0.1;  // a device never gives all of itself away

// Pace of a task of which `work` slows while `share` of the multiprocessors is held.
inline double compute_pace(double work, double share) noexcept { return std::max(kSlowestPace, 1 - work * share); }

// What is held on one device, by start. A backlog of collectives may be long: only what has begun is looked at.
class HeldList {
 public:
  HeldList() = default;
  HeldList(std::initializer_list<Held> held) {
    for (const Held& h : held) add(h);
  }

  void add(const Held& held);
  void forget_before(double time_s);  // what ended by then, as far as nothing that began before it lasts longer
  void clear() noexcept { list_.clear(), first_ = 0; }

  const Held* begin() const noexcept { return list_.data() + first_; }
  const Held* end() const noexcept { return list_.data() + list_.size(); }
  bool empty() const noexcept { return first_ == list_.size(); }

 private:
  std::vector<Held> list_;
  std::size_t first_ = 0;
};

// End of a task of `seconds` that starts at `start_s`, with `work` (0 to 1) of it slowed by what is held meanwhile.
double slowed_end_s(double start_s, double seconds, double work, const HeldList& held);

}  // namespace dts

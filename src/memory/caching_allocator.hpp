// PyTorch's caching allocator by its rules (c10/cuda/CUDACachingAllocator.cpp): requests are rounded to 512 B; up to
// 1 MiB they come from 2 MiB segments, up to 10 MiB from 20 MiB segments, larger ones from segments of their own
// rounded to 2 MiB. The best-fitting free block is split if enough remains (512 B in the small pool, over 1 MiB in the
// large one); a freed block joins free neighbours of its segment, never across segments. A segment that is free as a
// whole goes back to the device when a new one does not fit. With expandable segments a pool is one segment that grows.
// What other streams used as well is freed when the host gives it up, and usable once they have come so far: `free`
// with a later time, `advance`. Before segments go back to the device all of it is waited for.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

namespace dts {

class CachingAllocator {
 public:
  struct Options {
    bool expandable_segments = false;
    double capacity_bytes = 0;  // of the device, for this process; 0 = without limit
  };
  explicit CachingAllocator(const Options& options);

  // False where the device has no room: nothing was allocated. `id` must be new.
  bool allocate(std::int64_t id, double bytes);
  void free(std::int64_t id) { free(id, now_); }
  void free(std::int64_t id, double usable_from);
  void advance(double now);  // time of any unit, never back

  double allocated_bytes() const noexcept { return allocated_; }  // after rounding to 512 B
  double reserved_bytes() const noexcept { return reserved_; }
  double peak_allocated_bytes() const noexcept { return peak_allocated_; }
  double peak_reserved_bytes() const noexcept { return peak_reserved_; }
  // Reserved but free: now, and when `reserved` first stood at its peak.
  double cached_bytes() const noexcept { return reserved_ - allocated_; }
  int retries() const noexcept { return retries_; }  // times that cached segments were given back to make room

 private:
  struct Piece {  // of a segment
    double bytes = 0;
    int before = -1, after = -1, segment = 0;
    bool in_use = false, small = false;
  };
  using Pool = std::set<std::pair<double, int>>;

  Pool& pool(bool small) { return small ? small_ : large_; }
  int new_piece(const Piece& piece);
  bool add_segment(double bytes, bool small);
  bool grow(double bytes, bool small);
  bool map(double bytes);
  void release_cached();
  void put_back(int piece);
  void join(int piece, int other);
  void use(int piece, double bytes);

  Options options_;
  std::vector<Piece> pieces_;
  std::vector<int> unused_;
  Pool small_, large_;
  std::unordered_map<std::int64_t, int> held_;
  std::multimap<double, int> waiting_;  // pieces by the time from which they are usable
  double now_ = 0;
  int segments_ = 0, small_tail_ = -1, large_tail_ = -1;
  int retries_ = 0;
  double allocated_ = 0, reserved_ = 0, peak_allocated_ = 0, peak_reserved_ = 0;
};

}  // namespace dts

// When one rank computes: stretches of time in order, some of which stand for many that follow each other alike.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace dts {

class BusyTime {
 public:
  struct Stretch {
    double start_s, end_s;
    double before_s;  // compute before it
  };

  void clear() noexcept { stretches_.clear(), patterns_.clear(), computed_s_ = 0, ends_in_pattern_ = false; }
  void add(double start_s, double end_s) {  // not before the end of what is there
    const double before_s = computed_s_;
    computed_s_ += end_s - start_s;  // exact (engine/time_grid.hpp)
    if (!stretches_.empty() && stretches_.back().end_s == start_s && !ends_in_pattern()) {
      stretches_.back().end_s = end_s;
      return;
    }
    ends_in_pattern_ = false;
    Stretch& made = stretches_.emplace_back();
    made.start_s = start_s, made.end_s = end_s, made.before_s = before_s;
  }
  // The last `period_s` seconds, up to the end of the last stretch, come so many times again.
  void repeat(double period_s, double times);
  const std::vector<Stretch>& stretches() const noexcept { return stretches_; }
  bool ends_in_pattern() const noexcept { return ends_in_pattern_; }

  // A place in the list, near which the next question is likely to be: it speeds up answers and changes none.
  struct Place {
    std::size_t begun = 0;
  };
  double computed_until_s(double time_s, Place& place) const;
  double idle_s(double start_s, double end_s, Place& place) const {  // of an interval
    const std::size_t next = begun(start_s, place);
    const bool within = next > 0 && end_s <= stretches_[next - 1].end_s && next_pattern(next - 1) >= next;
    return within ? 0 : idle_after_s(next, start_s, end_s, place);
  }
  double idle_lately_s(double start_s, double end_s) const {  // the same, of one near the end of the list
    if (!stretches_.empty() && start_s >= stretches_.back().start_s && end_s <= stretches_.back().end_s &&
        !ends_in_pattern())
      return 0;
    Place place{stretches_.size()};
    return idle_s(start_s, end_s, place);
  }
  // How often an interval comes again, so much later each time, within a pattern that repeats what it met.
  double again(double start_s, double end_s, double step_s) const;
  // How often an interval may move on by `step_s`, counting the first, while it overlaps with as much compute.
  double alike(double start_s, double end_s, double step_s, Place& place) const;

 private:
  // `next`: stretches that began until the interval does.
  double idle_after_s(std::size_t next, double start_s, double end_s, Place& place) const;

  struct Pattern {
    std::size_t stretch;  // that stands for so many periods of what was before it
    double period_s, in_period_s, times;
  };
  const Pattern* pattern(std::size_t stretch) const;     // null: it is compute throughout
  std::size_t next_pattern(std::size_t stretch) const;   // from there on; else the number of stretches
  double within_s(std::size_t stretch) const;            // compute
  std::size_t begun(double time_s, Place& place) const;  // stretches that began by then

  std::vector<Stretch> stretches_;
  double computed_s_ = 0;
  std::vector<Pattern> patterns_;  // in order
  bool ends_in_pattern_ = false;
};

inline std::size_t BusyTime::begun(double time_s, Place& place) const {
  const Stretch* all = stretches_.data();
  const std::size_t size = stretches_.size();
  std::size_t begun = std::min(place.begun, size);
  while (begun > 0 && all[begun - 1].start_s > time_s) --begun;
  while (begun < size && all[begun].start_s <= time_s) ++begun;
  return place.begun = begun;
}

inline std::size_t BusyTime::next_pattern(std::size_t stretch) const {
  if (patterns_.empty() || patterns_.back().stretch < stretch) return stretches_.size();
  return std::lower_bound(patterns_.begin(), patterns_.end(), stretch,
                          [](const Pattern& p, std::size_t from) { return p.stretch < from; })
      ->stretch;
}

inline const BusyTime::Pattern* BusyTime::pattern(std::size_t stretch) const {
  for (const Pattern& p : patterns_) {
    if (p.stretch == stretch) return &p;
  }
  return nullptr;
}

inline double BusyTime::within_s(std::size_t stretch) const {
  const Pattern* repeated = pattern(stretch);
  return repeated ? repeated->times * repeated->in_period_s : stretches_[stretch].end_s - stretches_[stretch].start_s;
}

}  // namespace dts

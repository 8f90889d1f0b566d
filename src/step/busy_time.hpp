// When one rank computes: stretches of time in order, some of which stand for many that follow each other alike.
#pragma once

#include <cstddef>
#include <vector>

namespace dts {

class BusyTime {
 public:
  struct Stretch {
    double start_s, end_s;
    double before_s;             // compute before it
    double period_s = 0;         // > 0: what was before it comes again and again, with this period
    double in_period_s = 0;      // compute of one period
    double computed_s() const {  // within it
      return period_s > 0 ? (end_s - start_s) / period_s * in_period_s : end_s - start_s;
    }
  };

  void clear() noexcept { stretches_.clear(); }
  void add(double start_s, double end_s) {  // not before the end of what is there
    const bool goes_on = !stretches_.empty() && stretches_.back().end_s == start_s && stretches_.back().period_s == 0;
    goes_on ? static_cast<void>(stretches_.back().end_s = end_s) : stretches_.push_back({start_s, end_s, computed_s()});
  }
  // The last `period_s` seconds, up to the end of the last stretch, come so many times again.
  void repeat(double period_s, double times);
  const std::vector<Stretch>& stretches() const noexcept { return stretches_; }

  // A place in the list, near which the next question is likely to be: it speeds up answers and changes none.
  struct Place {
    std::size_t begun = 0;
  };
  double computed_until_s(double time_s, Place& place) const;
  double idle_s(double start_s, double end_s, Place& place) const;  // of an interval
  // How often an interval may move on by `step_s`, counting the first, while it overlaps with as much compute.
  double alike(double start_s, double end_s, double step_s, Place& place) const;

 private:
  double computed_s() const noexcept {
    return stretches_.empty() ? 0 : stretches_.back().before_s + stretches_.back().computed_s();
  }
  std::size_t begun(double time_s, Place& place) const;  // stretches that began by then

  std::vector<Stretch> stretches_;
};

}  // namespace dts

#include "step/account/busy_time.hpp"

#include <algorithm>
#include <cmath>

namespace dts {

void BusyTime::repeat(double period_s, double times) {
  const double end_s = stretches_.back().end_s;
  Place place{stretches_.size()};
  const double in_period_s = computed_s_ - computed_until_s(end_s - period_s, place);
  if (in_period_s == period_s) {
    stretches_.back().end_s += times * period_s;
  } else {
    stretches_.push_back({end_s, end_s + times * period_s, computed_s_});
    patterns_.push_back({stretches_.size() - 1, period_s, in_period_s, times});
    ends_in_pattern_ = true;
  }
  computed_s_ += times * in_period_s;
}

double BusyTime::computed_until_s(double time_s, Place& place) const {
  const std::size_t count = begun(time_s, place);
  if (count == 0) return 0;
  const Stretch& last = stretches_[count - 1];
  if (time_s >= last.end_s) return last.before_s + within_s(count - 1);
  const Pattern* repeated = pattern(count - 1);
  if (!repeated) return last.before_s + (time_s - last.start_s);
  const double since_s = std::fmod(time_s - last.start_s, repeated->period_s),
               periods = (time_s - last.start_s - since_s) / repeated->period_s;
  Place in_pattern = place;
  const double began_s = last.start_s - repeated->period_s;
  return last.before_s + periods * repeated->in_period_s +
         (computed_until_s(began_s + since_s, in_pattern) - computed_until_s(began_s, in_pattern));
}

// Stretch by stretch, since an interval meets few; where one of them stands for many, by what was computed until then.
double BusyTime::idle_after_s(std::size_t next, double start_s, double end_s, Place& place) const {
  const Stretch* all = stretches_.data();
  const std::size_t size = stretches_.size();
  const std::size_t first = next > 0 ? next - 1 : 0, repeated = next_pattern(first);
  double idle_s = 0, from_s = next > 0 ? std::max(start_s, all[first].end_s) : start_s;
  std::size_t at = next;
  for (; at < size && at < repeated && all[at].start_s < end_s; ++at) {
    idle_s += all[at].start_s - from_s;
    from_s = all[at].end_s;
  }
  const bool meets_pattern = repeated < next || (at == repeated && at < size && all[at].start_s < end_s);
  if (!meets_pattern) return idle_s + std::max(end_s - from_s, 0.0);
  const double before_s = computed_until_s(start_s, place);
  Place ended = place;
  return std::max(end_s - start_s - (computed_until_s(end_s, ended) - before_s), 0.0);
}

double BusyTime::again(double start_s, double end_s, double step_s) const {
  for (const Pattern& p : patterns_) {
    const Stretch& all = stretches_[p.stretch];
    const bool met = start_s >= all.start_s - p.period_s && start_s < all.start_s;
    if (met && p.period_s == step_s) return std::max(0.0, std::floor((all.end_s - end_s) / step_s));
  }
  return 0;
}

double BusyTime::alike(double start_s, double end_s, double step_s, Place& place) const {
  const std::size_t count = begun(start_s, place);
  if (count == 0 || step_s <= 0) return 1;
  const double until_s = stretches_[count - 1].end_s;
  const Pattern* repeated = pattern(count - 1);
  if (end_s > until_s || (repeated && repeated->period_s != step_s)) return 1;
  return std::floor((until_s - end_s) / step_s) + 1;
}

}  // namespace dts

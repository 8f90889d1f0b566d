#include "step/busy_time.hpp"

#include <algorithm>
#include <cmath>

namespace dts {

void BusyTime::repeat(double period_s, double times) {
  const double end_s = stretches_.back().end_s;
  Place place{stretches_.size()};
  const double in_period_s = computed_s() - computed_until_s(end_s - period_s, place);
  if (in_period_s == period_s) {
    stretches_.back().end_s += times * period_s;
  } else {
    stretches_.push_back({end_s, end_s + times * period_s, computed_s(), period_s, in_period_s});
  }
}

std::size_t BusyTime::begun(double time_s, Place& place) const {
  std::size_t& begun = place.begun;
  begun = std::min(begun, stretches_.size());
  while (begun > 0 && stretches_[begun - 1].start_s > time_s) --begun;
  while (begun < stretches_.size() && stretches_[begun].start_s <= time_s) ++begun;
  return begun;
}

double BusyTime::computed_until_s(double time_s, Place& place) const {
  const std::size_t count = begun(time_s, place);
  if (count == 0) return 0;
  const Stretch& last = stretches_[count - 1];
  if (time_s >= last.end_s) return last.before_s + last.computed_s();
  if (last.period_s == 0) return last.before_s + (time_s - last.start_s);
  const double since_s = std::fmod(time_s - last.start_s, last.period_s),
               periods = (time_s - last.start_s - since_s) / last.period_s;
  Place in_pattern = place;
  const double began_s = last.start_s - last.period_s;
  return last.before_s + periods * last.in_period_s +
         (computed_until_s(began_s + since_s, in_pattern) - computed_until_s(began_s, in_pattern));
}

double BusyTime::idle_s(double start_s, double end_s, Place& place) const {
  const std::size_t count = begun(start_s, place);
  const bool within = count > 0 && stretches_[count - 1].end_s > start_s;
  if (within && stretches_[count - 1].period_s == 0 && end_s <= stretches_[count - 1].end_s) return 0;
  if (!within && (count == stretches_.size() || end_s <= stretches_[count].start_s)) return end_s - start_s;
  const double before_s = computed_until_s(start_s, place);
  Place ended = place;
  return std::max(end_s - start_s - (computed_until_s(end_s, ended) - before_s), 0.0);
}

double BusyTime::alike(double start_s, double end_s, double step_s, Place& place) const {
  const std::size_t count = begun(start_s, place);
  if (count == 0 || step_s <= 0) return 1;
  const Stretch& within = stretches_[count - 1];
  if (end_s > within.end_s || (within.period_s > 0 && within.period_s != step_s)) return 1;
  return std::floor((within.end_s - end_s) / step_s) + 1;
}

}  // namespace dts

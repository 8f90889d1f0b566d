#include "step/run/steady_state.hpp"

#include <algorithm>

namespace dts {

std::size_t SteadyState::leap(std::size_t left, std::size_t later) {
  if (done_) return 0;
  ++seen_;
  if (!runner_.settled()) {
    forget();
    return 0;
  }
  std::swap(last_, now_);
  look(later);
  if (came_back()) {
    const std::size_t period = seen_ - kept_at_;
    done_ = true;
    runner_.watch(nullptr);
    if (left >= period) runner_.leap({kept_, left / period, nullptr, nullptr}, pending_, later);
    return left / period * period;
  }
  const Choices &latest = choices_[(watched_ + 1) % 2], &before = choices_[watched_ % 2];
  const std::size_t windows = moves_on() && watched_ >= 2 ? latest.windows_alike(before, left) : 0;
  if (windows > 0) {
    runner_.leap({last_, windows, &latest, &before}, pending_, later);
    look(later);
    kept_.times_s.clear();
    watched_ = 0;
  } else if (kept_.times_s.empty() || seen_ >= keep_next_) {
    keep();
  }
  watch();
  return windows;
}

// What arrives for the window before is there as well, where there is one.
void SteadyState::begin() {
  const auto earlier = static_cast<std::size_t>(later_);
  const bool follows = std::all_of(pending_.begin(), pending_.end(),
                                   [&](const RepeatedOps::Arrival& a) { return a.micro_batch >= later_; });
  if (follows && runner_.settled()) {
    look(0 - earlier);
    keep();
  }
}

void SteadyState::look(std::size_t later) {
  runner_.read(pending_, later, now_);
  runner_.sums(now_);
}

void SteadyState::watch() {
  Choices& next = choices_[watched_ % 2];
  next.clear();
  runner_.watch(&next);
  ++watched_;
}

// A stream that the windows do not use keeps its time, which decides nothing once it has passed.
bool SteadyState::came_back() const {
  if (kept_.times_s.empty() || now_.unknown_passes != kept_.unknown_passes || now_.states != kept_.states) return false;
  const double shift = now_.times_s.front() - kept_.times_s.front();
  for (std::size_t i = 0; i < now_.times_s.size(); ++i) {
    const double now_s = now_.times_s[i], then_s = kept_.times_s[i];
    const bool shifted = now_s - then_s == shift || (now_s == then_s && now_s <= kept_.latest_idle_s(i));
    if (!shifted) return false;
  }
  return runner_.hides_alike(pending_, kept_, now_);
}

// Whether every time moved as it did in the window before.
bool SteadyState::moves_on() {
  const bool known = now_.times_s.size() == last_.times_s.size() && now_.states == last_.states &&
                     now_.unknown_passes == last_.unknown_passes;
  bool same = known && shifts_s_.size() == now_.times_s.size();
  shifts_s_.resize(known ? now_.times_s.size() : 0);
  for (std::size_t i = 0; i < shifts_s_.size(); ++i) {
    const double shift_s = now_.times_s[i] == last_.times_s[i] ? 0 : now_.times_s[i] - last_.times_s[i];
    same = same && shift_s == shifts_s_[i];
    shifts_s_[i] = shift_s;
  }
  return same;
}

void SteadyState::keep() {
  kept_ = now_;
  kept_at_ = seen_;
  while (keep_next_ <= seen_) keep_next_ *= 2;
}

void SteadyState::forget() {
  now_.times_s.clear(), last_.times_s.clear(), kept_.times_s.clear(), shifts_s_.clear();
  watched_ = 0;
  watch();
}

}  // namespace dts

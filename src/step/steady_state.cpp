#include "step/steady_state.hpp"

#include <algorithm>

namespace dts {

bool SteadyState::came_back(const PassRunner& runner, std::size_t later) {
  ++seen_;
  if (!runner.settled()) return false;
  if (!kept_ranks_.empty() && like_kept(runner, later)) return true;
  if (kept_ranks_.empty() || seen_ >= keep_next_) keep(runner, later);
  return false;
}

bool SteadyState::like_kept(const PassRunner& runner, std::size_t later) {
  if (runner.unknown_passes() != kept_unknown_) return false;
  const std::vector<PassRunner::RankTimes>& ranks = runner.ranks();
  shift_s_ = ranks.front().free_s - kept_ranks_.front().free_s;
  // A stream that the windows do not use keeps its time, which decides nothing once it has passed.
  const auto shifted = [&](double now_s, double then_s, double free_s) {
    return now_s - then_s == shift_s_ || (now_s == then_s && now_s <= free_s);
  };
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    const PassRunner::RankTimes &now = ranks[rank], &then = kept_ranks_[rank];
    if (now.state != then.state || now.free_s - then.free_s != shift_s_) return false;
    if (!shifted(now.exchanged_s, then.exchanged_s, then.free_s)) return false;
    if (!shifted(now.sent_s[0], then.sent_s[0], then.free_s) || !shifted(now.sent_s[1], then.sent_s[1], then.free_s))
      return false;
    for (std::size_t i = 0; i < now.leaving_s.size(); ++i) {
      if (!shifted(now.leaving_s[i], then.leaving_s[i], then.free_s)) return false;
    }
  }
  for (std::size_t i = 0; i < ops_.pending.size(); ++i) {
    if (runner.arrival_s(ops_.pending[i], later) - kept_arrivals_s_[i] != shift_s_) return false;
  }
  return true;
}

void SteadyState::keep(const PassRunner& runner, std::size_t later) {
  kept_ranks_ = runner.ranks();
  kept_arrivals_s_.clear();
  for (const RepeatedOps::Arrival& a : ops_.pending) kept_arrivals_s_.push_back(runner.arrival_s(a, later));
  kept_at_ = seen_, kept_unknown_ = runner.unknown_passes();
  while (keep_next_ <= seen_) keep_next_ *= 2;
}

}  // namespace dts

#include "step/steady_state.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace dts {

SteadyState::SteadyState(OrderWindows windows)
    : windows_(std::move(windows)), next_(windows_.first), now_(windows_.first.size(), kBefore), copies_(windows_.first.size() * windows_.count),
      around_(windows_.first.size(), {std::numeric_limits<double>::infinity(), 0}) {}

int SteadyState::window_at(int rank, std::size_t pass) {
  const auto r = static_cast<std::size_t>(rank);
  if (pass == next_[r] && now_[r] < after()) {
    ++now_[r];
    next_[r] += windows_.length[r];
  }
  return now_[r];
}

void SteadyState::add(int window, const IssuedTask& task, double start_s, double end_s) {
  if (window < 0 || window >= after()) return;
  const auto rank = static_cast<std::size_t>(task.info.rank);
  copies(rank, window).push_back({task.info.kind, task.info.stage, task.info.piece, start_s, end_s});
  if (task.info.stream != StreamKind::Compute || window + 3 < after()) return;
  around_[rank].first = std::min(around_[rank].first, start_s);
  around_[rank].second = std::max(around_[rank].second, end_s);
}

void SteadyState::depends(int window, int earlier) noexcept {
  if (window < 0 || earlier == window) return;
  if (earlier > window || (earlier < 0 && window == after())) regular_ = false;
  if (earlier < 0) settled_ = std::max(settled_, window + 1);
  if (earlier >= 0) reach_ = std::max(reach_, window - earlier);
}

double SteadyState::window_s() const {
  const int compared = reach_ + 2;  // of these each must be a copy of the one before
  if (!regular_ || after() < compared + 1 + settled_) return -1;
  double shift_s = -1;
  for (std::size_t rank = 0; rank < windows_.first.size(); ++rank) {
    for (int window = after() - compared; window < after(); ++window) {
      const std::vector<Copy>&now = copies(rank, window), &before = copies(rank, window - 1);
      if (now.size() != before.size()) return -1;
      for (std::size_t i = 0; i < now.size(); ++i) {
        if (shift_s < 0) shift_s = now[i].end_s - before[i].end_s;
        const bool same = now[i].kind == before[i].kind && now[i].stage == before[i].stage && now[i].piece == before[i].piece;
        if (!same || now[i].end_s - before[i].end_s != shift_s || now[i].start_s - before[i].start_s != shift_s) return -1;
      }
    }
  }
  return shift_s;
}

}  // namespace dts

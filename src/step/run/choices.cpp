#include "step/run/choices.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace dts {

namespace {

constexpr double kForever = std::numeric_limits<double>::infinity();

// Windows for which a lead keeps its sign; a lead of 0 is one. Leads and what they move by are exact
// (engine/time_grid.hpp); a quotient may be rounded.
double windows_until_it_turns(double lead_s, double moves_s) {
  if (lead_s >= 0 ? moves_s >= 0 : moves_s <= 0) return kForever;
  const double windows = std::floor(lead_s / -moves_s);
  const double then_s = lead_s + windows * moves_s;
  const bool kept = lead_s >= 0 ? then_s >= 0 : then_s < 0;
  return kept ? windows : windows - 1;
}

double windows_alike(double lead_s, double before_s) {
  return (lead_s >= 0) == (before_s >= 0) ? windows_until_it_turns(lead_s, lead_s - before_s) : 0;
}

}  // namespace

std::size_t Choices::windows_alike(const Choices& before, std::size_t most) const {
  if (leads_ != before.leads_ || starts_.size() != before.starts_.size()) return 0;
  auto windows = static_cast<double>(most);
  for (std::size_t i = 0; i < leads_ && windows > 0; ++i) {
    windows = std::min(windows, dts::windows_alike(leads_s_[i], before.leads_s_[i]));
  }
  for (std::size_t i = 0; i < starts_.size() && windows > 0; ++i) {
    if (starts_[i].record != before.starts_[i].record || starts_[i].record == kIssued) return 0;
    windows = std::min(windows, dts::windows_alike(starts_[i].ahead_s, before.starts_[i].ahead_s));
  }
  return static_cast<std::size_t>(windows);
}

std::vector<std::vector<std::size_t>> Choices::where_waits_change(const Choices& before, std::size_t ranks) const {
  std::vector<std::vector<std::size_t>> found(ranks);
  std::vector<bool> changes(ranks, false);
  bool any = false;
  for (std::size_t i = 0; i < starts_.size(); ++i) {
    if (waits_longer_s(before, i) != 0) any = changes[static_cast<std::size_t>(starts_[i].rank)] = true;
  }
  for (std::size_t i = 0; any && i < starts_.size(); ++i) {
    const auto rank = static_cast<std::size_t>(starts_[i].rank);
    if (changes[rank]) found[rank].push_back(i);
  }
  return found;
}

double Choices::waits_longer_s(const Choices& before, std::size_t start) const {
  const double ahead_s = starts_[start].ahead_s;
  return ahead_s >= 0 ? 0 : before.starts_[start].ahead_s - ahead_s;
}

}  // namespace dts

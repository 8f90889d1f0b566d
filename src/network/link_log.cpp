#include "network/link_log.hpp"

#include <algorithm>
#include <cmath>

namespace dts {

LinkLog::LinkLog(std::size_t links, int intervals, bool pairs)
    : bytes_(links, 0.0), intervals_(2 * static_cast<std::size_t>(intervals)), pairs_(pairs) {
  over_time_.assign(links * intervals_, 0.0);
}

void LinkLog::add_pair(int from, int to, double bytes) {
  if (!pairs_) return;
  pair_bytes_[static_cast<std::uint64_t>(static_cast<std::uint32_t>(from)) << 32 | static_cast<std::uint32_t>(to)] +=
      bytes;
}

void LinkLog::reach(double time_s) {
  while (time_s > width_s_ * static_cast<double>(intervals_)) {
    for (std::size_t link = 0; link < bytes_.size(); ++link) {
      for (std::size_t i = 0; i < intervals_ / 2; ++i) cell(link, i) = cell(link, 2 * i) + cell(link, 2 * i + 1);
      for (std::size_t i = intervals_ / 2; i < intervals_; ++i) cell(link, i) = 0;
    }
    width_s_ *= 2;
  }
}

void LinkLog::add_span(int link, double start_s, double end_s, double rate_Bps) {
  const auto first = static_cast<std::size_t>(start_s / width_s_);
  for (std::size_t i = first; i < intervals_; ++i) {
    const double from_s = std::max(start_s, static_cast<double>(i) * width_s_);
    const double to_s = std::min(end_s, static_cast<double>(i + 1) * width_s_);
    if (to_s > from_s) cell(static_cast<std::size_t>(link), i) += rate_Bps * (to_s - from_s);
    if (to_s >= end_s) return;
  }
}

std::vector<PairBytes> LinkLog::pair_bytes() const {
  std::vector<PairBytes> result;
  result.reserve(pair_bytes_.size());
  for (const auto& [key, bytes] : pair_bytes_) {
    result.push_back({static_cast<int>(key >> 32), static_cast<int>(key & 0xFFFFFFFFu), bytes});
  }
  std::sort(result.begin(), result.end(),
            [](const PairBytes& a, const PairBytes& b) { return a.from != b.from ? a.from < b.from : a.to < b.to; });
  return result;
}

std::vector<double> LinkLog::bytes_over_time(double end_s, std::size_t& columns) const {
  columns = std::min(intervals_, static_cast<std::size_t>(std::ceil(end_s / width_s_)));
  std::vector<double> result;
  result.reserve(bytes_.size() * columns);
  for (std::size_t link = 0; link < bytes_.size(); ++link) {
    const auto row = over_time_.begin() + static_cast<std::ptrdiff_t>(link * intervals_);
    result.insert(result.end(), row, row + static_cast<std::ptrdiff_t>(columns));
  }
  return result;
}

}  // namespace dts

// What went over the links: bytes per link, bytes per pair of ranks, and on request bytes per link over time, in equal
// intervals that double in length whenever the run outgrows them, so that memory is known before the end is.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

namespace dts {

struct PairBytes {
  int from = 0, to = 0;
  double bytes = 0;
};

class LinkLog {
 public:
  LinkLog(std::size_t links, int intervals, bool pairs);

  bool follows_time() const noexcept { return intervals_ > 0; }
  void add_pair(int from, int to, double bytes);
  void add_bytes(int link, double bytes) { bytes_[static_cast<std::size_t>(link)] += bytes; }
  void add_span(int link, double start_s, double end_s, double rate_Bps);
  void reach(double time_s);  // before spans that end then are added

  const std::vector<double>& link_bytes() const noexcept { return bytes_; }
  std::vector<PairBytes> pair_bytes() const;  // by sender and receiver
  // links x used intervals, row-major; the last may reach beyond the end.
  std::vector<double> bytes_over_time(double end_s, std::size_t& columns) const;
  double interval_s() const noexcept { return width_s_; }

 private:
  double& cell(std::size_t link, std::size_t interval) { return over_time_[link * intervals_ + interval]; }

  std::vector<double> bytes_, over_time_;
  std::size_t intervals_;
  bool pairs_;
  double width_s_ = 1e-9;
  std::unordered_map<std::uint64_t, double> pair_bytes_;
};

}  // namespace dts

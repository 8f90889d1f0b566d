// Finds when a schedule repeats: what later operations depend on is, at the end of one window, what it was at the end
// of an earlier one, shifted in time. From then on windows repeat with that period, whatever the slowest loop through
// the pipeline is (the cyclicity of a max-plus system, Baccelli et al., Synchronization and Linearity, 1992, §3.7).
#pragma once

#include <cstddef>
#include <vector>

#include "step/pass_runner.hpp"

namespace dts {

class SteadyState {
 public:
  explicit SteadyState(const RepeatedOps& ops) : ops_(ops) {}

  // At the end of every further window, one after the other; whether the state has come back. `later`: micro-batches
  // since the window that stands for them.
  bool came_back(const PassRunner& runner, std::size_t later);
  std::size_t windows() const noexcept { return seen_ - kept_at_; }            // of one period
  double seconds() const noexcept { return shift_s_; }                         // of one period
  double since_s(std::size_t rank) const { return kept_ranks_[rank].free_s; }  // its compute repeats from then on

 private:
  bool like_kept(const PassRunner& runner, std::size_t later);
  void keep(const PassRunner& runner, std::size_t later);

  const RepeatedOps& ops_;
  std::vector<PassRunner::RankTimes> kept_ranks_;
  std::vector<double> kept_arrivals_s_;
  std::size_t seen_ = 0, kept_at_ = 0, keep_next_ = 1;  // windows; the state is kept at powers of two (Brent 1980)
  std::size_t kept_unknown_ = 0;
  double shift_s_ = 0;
};

}  // namespace dts

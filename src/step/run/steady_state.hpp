// Finds windows of a schedule whose times need no execution. Two cases:
// - what later operations depend on is, after some windows, what it was before them, all of it shifted by one time: the
//   windows come again with that period, whatever the slowest loop through the pipeline is (the cyclicity of a max-plus
//   system, Baccelli et al., Synchronization and Linearity, 1992, §3.7);
// - from one window to the next every time moves on as it did from the one before, some by more than others, as where
//   a queue grows before a slow stage: so it goes on until one of the choices between times changes.
// Then the run leaps over them.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "step/run/pass_runner.hpp"

namespace dts {

class SteadyState {
 public:
  // `pending`: what is on its way at the end of the window that stands for others; `later`: micro-batches between two
  // windows.
  SteadyState(const PassRunner::Arrivals& pending, int later, PassRunner& runner)
      : pending_(pending), later_(later), runner_(runner) {}
  ~SteadyState() { runner_.watch(nullptr); }
  SteadyState(const SteadyState&) = delete;
  SteadyState& operator=(const SteadyState&) = delete;

  // Before the window that stands for others.
  void begin();
  // At the end of every window that ran; how many of the `left` windows the run has leapt over, after which
  // `later` (micro-batches since the window that stands for all) is as before.
  std::size_t leap(std::size_t left, std::size_t later);

 private:
  bool came_back() const;
  bool moves_on();
  void look(std::size_t later);
  void watch();
  void keep();
  void forget();

  const PassRunner::Arrivals& pending_;
  int later_;
  PassRunner& runner_;
  RunMoment now_, last_, kept_;
  std::vector<double> shifts_s_;                        // from the window before the last to the last
  std::size_t seen_ = 0, kept_at_ = 0, keep_next_ = 1;  // windows; kept at powers of two (Brent 1980)
  std::array<Choices, 2> choices_;
  std::size_t watched_ = 0;  // windows in a row whose choices are known, that which runs included
  bool done_ = false;        // what is left is less than a period
};

}  // namespace dts

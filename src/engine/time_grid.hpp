// Times of a timeline are multiples of 2^-40 s, 0.9 ps. Sums and differences of such numbers are exact in a double up
// to 2^12 s, so they depend on no order: a step may be summed class by class instead of task by task, and a schedule
// that repeats may be skipped through (step/run/step_run.hpp), with the same bits. Beyond 2^12 s they are rounded as
// usual.
#pragma once

namespace dts {

inline constexpr double kExactTimes_s = 0x1p12;

inline double on_grid(double seconds) noexcept {
  constexpr double kShift = 0x1.8p12;  // the last bit of a double of this size is worth 2^-40
  return (seconds + kShift) - kShift;
}

}  // namespace dts

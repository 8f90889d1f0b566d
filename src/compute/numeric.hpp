// Small arithmetic shared by the cost formulas: they must return a finite time for any positive finite input.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

namespace dts {

// The largest double in place of infinity or NaN (inputs near the limits of the type).
inline double saturate(double x) noexcept {
  constexpr double kMax = std::numeric_limits<double>::max();
  return x < kMax ? x : kMax;
}

// (a^p + b^p)^(1/p) for a, b >= 0, scaled so that the powers neither overflow nor vanish.
inline double p_norm(double a, double b, double p) noexcept {
  const double high = std::max(a, b), low = std::min(a, b);
  return high > 0 ? high * std::pow(1 + std::pow(low / high, p), 1 / p) : 0;
}

// Pieces of size `size` needed to cover `extent`.
inline double pieces(double extent, double size) noexcept { return std::ceil(extent / size); }

}  // namespace dts

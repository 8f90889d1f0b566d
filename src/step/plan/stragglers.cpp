#include "step/plan/stragglers.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "error.hpp"

namespace dts {

namespace {

std::uint64_t mixed(std::uint64_t x) noexcept {  // the finaliser of SplitMix64
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

std::uint64_t drawn_bits(const StragglerSpec& spec, std::int64_t step, std::size_t group) noexcept {
  return mixed(mixed(mixed(static_cast<std::uint64_t>(spec.seed)) ^ static_cast<std::uint64_t>(step)) ^ group);
}

double unit_draw(std::uint64_t bits) noexcept {
  return (static_cast<double>(bits >> 11) + 0.5) * 0x1p-53;
}  // in (0, 1)

// Quantile of the standard normal, relative error 1.15e-9 (Acklam 2003, "An algorithm for computing the inverse normal
// cumulative distribution function").
double normal_quantile(double p) noexcept {
  constexpr double a[] = {-3.969683028665376e+01, 2.209460984245205e+02,  -2.759285104469687e+02,
                          1.383577518672690e+02,  -3.066479806614716e+01, 2.506628277459239e+00};
  constexpr double b[] = {-5.447609879822406e+01, 1.615858368580409e+02, -1.556989798598866e+02, 6.680131188771972e+01,
                          -1.328068155288572e+01};
  constexpr double c[] = {-7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e+00,
                          -2.549732539343734e+00, 4.374664141464968e+00,  2.938163982698783e+00};
  constexpr double d[] = {7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00, 3.754408661907416e+00};
  if (p > 0.5) return -normal_quantile(1 - p);
  if (p < 0.02425) {
    const double q = std::sqrt(-2 * std::log(p));
    return (((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5]) /
           ((((d[0] * q + d[1]) * q + d[2]) * q + d[3]) * q + 1);
  }
  const double q = p - 0.5, r = q * q;
  return (((((a[0] * r + a[1]) * r + a[2]) * r + a[3]) * r + a[4]) * r + a[5]) * q /
         (((((b[0] * r + b[1]) * r + b[2]) * r + b[3]) * r + b[4]) * r + 1);
}

constexpr double kBeyondThreeSigma = 0.0013498980316300957;  // of a normal, on one side

double drawn_factor(const StragglerSpec& spec, double u) noexcept {
  switch (spec.kind) {
    case StragglerKind::Uniform: return spec.low + (spec.high - spec.low) * u;
    case StragglerKind::Normal:
      return 1 + spec.sigma * normal_quantile(kBeyondThreeSigma + u * (1 - 2 * kBeyondThreeSigma));
    case StragglerKind::LogNormal: return std::exp(spec.sigma * normal_quantile(u));
    default: return 1;
  }
}

// The groups with the smallest draws are slow; ties, next to impossible, by position.
std::vector<bool> slow_groups(const StragglerSpec& spec, std::size_t groups, std::int64_t step) {
  const auto slow = static_cast<std::ptrdiff_t>(std::llround(spec.fraction * static_cast<double>(groups)));
  std::vector<std::uint64_t> draws(groups);
  for (std::size_t g = 0; g < groups; ++g) draws[g] = drawn_bits(spec, step, g);
  std::vector<std::size_t> order(groups);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::partial_sort(order.begin(), order.begin() + slow, order.end(),
                    [&](std::size_t x, std::size_t y) { return draws[x] != draws[y] ? draws[x] < draws[y] : x < y; });
  std::vector<bool> is_slow(groups, false);
  for (std::ptrdiff_t i = 0; i < slow; ++i) is_slow[order[static_cast<std::size_t>(i)]] = true;
  return is_slow;
}

}  // namespace

void check_stragglers(const StragglerSpec& spec, int world) {
  Checker check;
  check.at_least("stragglers.group", spec.group, 1);
  switch (spec.kind) {
    case StragglerKind::Ranks:
      check.require(spec.ranks.size() == spec.factors.size(), "stragglers.factors", std::to_string(spec.factors.size()),
                    "one per rank (" + std::to_string(spec.ranks.size()) + ")");
      for (int rank : spec.ranks) {
        if (!check.require(rank >= 0 && rank < world, "stragglers.ranks", std::to_string(rank),
                           "ranks from 0 to " + std::to_string(world - 1))) {
          break;
        }
      }
      for (double factor : spec.factors) {
        if (!check.positive("stragglers.factors", factor)) break;
      }
      break;
    case StragglerKind::Fraction:
      check.require(spec.fraction >= 0 && spec.fraction <= 1, "stragglers.fraction", number_text(spec.fraction),
                    "a share in [0, 1]");
      check.positive("stragglers.factor", spec.factor);
      break;
    case StragglerKind::Uniform:
      check.positive("stragglers.low", spec.low);
      check.require(std::isfinite(spec.high) && spec.high >= spec.low, "stragglers.high", number_text(spec.high),
                    "a finite number >= low");
      break;
    case StragglerKind::Normal:
      check.require(spec.sigma >= 0 && spec.sigma <= 0.33, "stragglers.sigma", number_text(spec.sigma),
                    "a number in [0, 0.33]", "lognormal takes wider spreads");
      break;
    case StragglerKind::LogNormal:
      check.require(spec.sigma >= 0 && spec.sigma <= 5, "stragglers.sigma", number_text(spec.sigma),
                    "a number in [0, 5]");
      break;
  }
  check.throw_if_any();
}

std::vector<double> slowdown_of(const StragglerSpec& spec, int world, std::int64_t step) {
  const auto ranks = static_cast<std::size_t>(world), group = static_cast<std::size_t>(spec.group);
  std::vector<double> slowdown(ranks, 1);
  if (spec.kind == StragglerKind::Ranks) {
    for (std::size_t i = 0; i < spec.ranks.size(); ++i)
      slowdown[static_cast<std::size_t>(spec.ranks[i])] = spec.factors[i];
    return slowdown;
  }
  const std::size_t groups = (ranks + group - 1) / group;
  const std::vector<bool> slow =
      spec.kind == StragglerKind::Fraction ? slow_groups(spec, groups, step) : std::vector<bool>{};
  for (std::size_t g = 0; g < groups; ++g) {
    double factor = slow.empty() ? drawn_factor(spec, unit_draw(drawn_bits(spec, step, g))) : slow[g] ? spec.factor : 1;
    std::fill(slowdown.begin() + static_cast<std::ptrdiff_t>(g * group),
              slowdown.begin() + static_cast<std::ptrdiff_t>(std::min(ranks, (g + 1) * group)), factor);
  }
  return slowdown;
}

}  // namespace dts

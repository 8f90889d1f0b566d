// How ranks differ by chance: factors by which their kernels take longer, drawn per rank (or per group of neighbouring
// ranks, such as a node) and step. A draw depends on the seed, the step and the group alone: counters through
// SplitMix64 (Steele, Lea & Flood 2014), so it is the same for any number of threads, steps and ranks, on every
// platform.
#pragma once

#include <cstdint>
#include <vector>

namespace dts {

enum class StragglerKind {
  Ranks,      // stated factors of some ranks; the others are at full speed
  Fraction,   // a share of the groups, rounded to whole ones, is `factor` slower; which ones is drawn
  Uniform,    // evenly between `low` and `high`
  Normal,     // around 1 with standard deviation `sigma`, cut at three of them
  LogNormal,  // exp(sigma z): median 1
};

struct StragglerSpec {
  StragglerKind kind = StragglerKind::Ranks;
  std::vector<int> ranks;       // Ranks
  std::vector<double> factors;  // Ranks, one each
  double fraction = 0, factor = 1;
  double low = 1, high = 1;
  double sigma = 0;
  int group = 1;  // neighbouring ranks that share a draw
  std::int64_t seed = 0;
};

// Throws ConfigError. Factors must be positive and finite; `world`: ranks of the job.
void check_stragglers(const StragglerSpec& spec, int world);

// One factor per rank for step 0, 1, ...
std::vector<double> slowdown_of(const StragglerSpec& spec, int world, std::int64_t step);

}  // namespace dts

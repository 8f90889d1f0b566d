#include "parallel/expert_load.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>

#include "parallel/strategy.hpp"

namespace dts {
namespace {

constexpr double kLargestLoad = 0.8;  // of the tokens: NVIDIA aiconfigurator, collector/helper.py

// splitmix64 (Steele et al. 2014): the same order on every platform, unlike std::shuffle.
std::uint64_t next_random(std::uint64_t& state) noexcept {
  std::uint64_t z = state += 0x9e3779b97f4a7c15ULL;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

void deal(std::vector<double>& loads, int seed) noexcept {
  auto state = static_cast<std::uint64_t>(seed);
  for (std::size_t i = loads.size(); i > 1; --i) std::swap(loads[i - 1], loads[next_random(state) % i]);
}

double power_law(double exponent, double quantile, double largest) noexcept {
  if (largest <= 1) return 1;
  const double e = 1 - exponent;
  if (std::abs(e) < 1e-9) return std::pow(largest, quantile);
  return std::pow((std::pow(largest, e) - 1) * quantile + 1, 1 / e);
}

// Scales to a sum of `total`; what exceeds `cap` goes to the others in proportion, or evenly if they have nothing.
void share_out(std::vector<double>& loads, double total, double cap) {
  const double even = total / static_cast<double>(loads.size());
  std::vector<char> full(loads.size(), 0);
  for (bool settled = false; !settled;) {
    double open = 0, left = total, count = 0;
    for (std::size_t i = 0; i < loads.size(); ++i) full[i] ? left -= cap : (open += loads[i], ++count);
    if (count == 0) return;
    settled = true;
    for (std::size_t i = 0; i < loads.size(); ++i) {
      if (full[i]) continue;
      loads[i] = open > 0 ? loads[i] / open * left : left / count;
      if (loads[i] <= std::max(cap, even) * (1 + 1e-12)) continue;
      loads[i] = cap, full[i] = 1, settled = false;
    }
  }
}

}  // namespace

std::vector<double> expert_loads(const ExpertLoad& load, int experts, double top_k, double tokens) {
  std::vector<double> loads(static_cast<std::size_t>(experts), 1);
  for (int i = 0; i < experts; ++i) {
    double& value = loads[static_cast<std::size_t>(i)];
    if (load.kind == LoadKind::Zipf) value = std::pow(i + 1, -load.exponent);
    if (load.kind == LoadKind::PowerLaw) value = power_law(load.exponent, (i + 0.5) / experts, kLargestLoad * tokens);
    if (load.kind == LoadKind::Histogram) value = load.histogram[static_cast<std::size_t>(i)];
  }
  if (load.kind == LoadKind::Zipf || load.kind == LoadKind::PowerLaw) deal(loads, load.seed);
  if (load.kind != LoadKind::Balanced) share_out(loads, experts, experts / top_k);
  return loads;
}

RoutedLoad routed_load(const Routing& routing, int experts, double top_k, int ep, double tokens) {
  const double rows = tokens * top_k / experts;  // balanced, of one expert from one sender
  const bool limited = routing.capacity_factor > 0;
  const double capacity = limited ? std::ceil(rows * routing.capacity_factor) / rows : 0;
  RoutedLoad result;
  if (limited && routing.pad_to_capacity) {
    result.kept = result.fullest = capacity;
    return result;
  }
  if (routing.load.kind == LoadKind::Balanced) return result;
  if (routing.load.kind == LoadKind::Uniform) {
    const double mean = tokens * top_k;  // rows of one rank: as many as it sends
    const double fullest = 1 + std::sqrt(2 * std::log(ep) * (1 - top_k / experts) / mean);
    result.fullest = limited ? std::min(fullest, capacity) : fullest;
    return result;
  }
  std::vector<double> loads = expert_loads(routing.load, experts, top_k, tokens * ep);
  if (limited) {
    for (double& load : loads) load = std::min(load, capacity);
  }
  result.kept = std::accumulate(loads.begin(), loads.end(), 0.0) / experts;
  const std::ptrdiff_t local = experts / ep;
  result.fullest = -1;
  for (auto first = loads.begin(); first != loads.end(); first += local) {
    const double mean = std::accumulate(first, first + local, 0.0) / static_cast<double>(local);
    if (mean <= result.fullest) continue;
    result.fullest = mean;
    result.experts.assign(first, first + local);
  }
  return result;
}

void check_routing(Checker& check, const Strategy& s, double experts) {
  const ExpertLoad& load = s.expert_load;
  check.non_negative("strategy.capacity_factor", s.capacity_factor);
  check.non_negative("strategy.expert_load.exponent", load.exponent);
  check.at_least("strategy.moe_max_nodes", s.moe_max_nodes, 0);
  check.require(!s.pad_to_capacity || s.capacity_factor > 0, [&] {
    return Violation{"strategy.pad_to_capacity", "true", "a capacity_factor above 0", "use capacity_factor=1.0, say"};
  });
  check.require(!(s.overlap_shared_experts && s.overlap_moe_1f1b), [&] {
    return Violation{"strategy.overlap_shared_experts", "true",
                     "false when overlap_moe_1f1b already hides the exchange", ""};
  });
  const bool recomputes = s.recompute == Recompute::Full;
  const bool plain = s.moe_dispatcher == Dispatcher::Framework && load.kind == LoadKind::Balanced &&
                     s.capacity_factor == 0 && s.moe_max_nodes == 0 && !s.overlap_shared_experts && !s.overlap_moe_1f1b;
  check.require(experts > 0 || plain, [&] {
    return Violation{"strategy", "options for experts", "none for a model without experts",
                     "leave out moe_dispatcher, expert_load, capacity_factor, moe_max_nodes and the expert overlaps"};
  });
  check.require(s.ep > 1 || !s.overlap_shared_experts, [&] {
    return Violation{"strategy.overlap_shared_experts", "true",
                     "false without expert parallelism, which exchanges nothing", ""};
  });
  const bool pairs = s.schedule == PipelineSchedule::OneFOneB && s.custom_order.empty() && (s.pp == 1 || s.vpp > 1);
  check.require(!s.overlap_moe_1f1b || (s.ep > 1 && !recomputes && pairs), [&] {
    return Violation{"strategy.overlap_moe_1f1b", "true",
                     "false unless ep > 1, schedule 1f1b, vpp > 1 where pp > 1, and recompute is not full", ""};
  });
  if (load.kind != LoadKind::Histogram) return;
  double sum = 0;
  bool counts = true;
  for (double rows : load.histogram) counts &= std::isfinite(rows) && rows >= 0, sum += rows;
  check.require(counts && sum > 0 && std::isfinite(sum), [&] {
    return Violation{"strategy.expert_load.histogram", number_text(sum) + " rows",
                     "non-negative rows per expert, not all 0", ""};
  });
  check.require(experts == 0 || static_cast<double>(load.histogram.size()) == experts, [&] {
    return Violation{"strategy.expert_load.histogram", std::to_string(load.histogram.size()) + " experts",
                     "the model's " + number_text(experts), ""};
  });
}

}  // namespace dts

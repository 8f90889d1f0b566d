// What each task costs on ranks that differ: on slower ranks, on other devices, over degraded links. The same program
// is priced once per variant (step/plan/variants.hpp); a unit, a lane and a transfer each know theirs.
#pragma once

#include <cstdint>
#include <vector>

#include "step/plan/rank_classes.hpp"
#include "step/tasks/step_program.hpp"

namespace dts {

// Of one member of a space on every pipeline rank: which variant prices it, how much longer its own work takes.
struct RankPrice {
  std::uint32_t variant = 0;
  double slowdown = 1;
};

// Pipeline ranks that one exchanges with: the next and the previous around the ring, and the one that holds the other
// end's stage, for gradients that both hold.
enum class Neighbour { Next, Previous, Mirror };
inline constexpr Neighbour kNeighbours[] = {Neighbour::Next, Neighbour::Previous, Neighbour::Mirror};
inline std::size_t neighbour_of(std::size_t rank, Neighbour to, std::size_t pp) noexcept {
  return to == Neighbour::Mirror ? pp - 1 - rank : (rank + (to == Neighbour::Next ? 1 : pp - 1)) % pp;
}

struct RankPrices {
  std::size_t pp = 1, units = 1, lanes = 1;
  // Row-major: [pipeline rank][member]; transfers [pipeline rank][neighbour][unit].
  std::vector<RankPrice> unit;
  std::vector<std::uint32_t> lane, transfer;

  explicit RankPrices(std::size_t pp_ranks, const RankView* view = nullptr);  // none: one unit and one lane

  RankPrice& of_unit(std::size_t rank, std::size_t u) { return unit[rank * units + u]; }
  const RankPrice& of_unit(std::size_t rank, std::size_t u) const { return unit[rank * units + u]; }
  std::uint32_t& of_lane(std::size_t rank, std::size_t l) { return lane[rank * lanes + l]; }
  std::uint32_t of_lane(std::size_t rank, std::size_t l) const { return lane[rank * lanes + l]; }
  std::uint32_t& of_transfer(std::size_t rank, Neighbour to, std::size_t u) {
    return transfer[(3 * rank + static_cast<std::size_t>(to)) * units + u];
  }
  std::uint32_t of_transfer(std::size_t rank, Neighbour to, std::size_t u) const {
    return transfer[(3 * rank + static_cast<std::size_t>(to)) * units + u];
  }

  // The coarsest partition that these prices allow; `each_unit`, `each_lane`: of classes with one member.
  RankClasses classes(const RankView& view, bool each_unit = false, bool each_lane = false) const;
};

// A unit is as slow as its slowest member. `slowdown`: per rank.
void slow_down(RankPrices& prices, const RankView& view, const std::vector<double>& slowdown);

// Executes a step for every class. `variants`: the program under each variant. One unit and one lane that no variant or
// slowdown touches take the shorter way of engine/timeline.hpp.
SpreadEnd run_step(const std::vector<StepProgram>& variants, StagePlacement placement, const RankPrices& prices,
                   const RankClasses& classes, const std::function<void(TaskId, const Instances&)>& visit);

}  // namespace dts

#include "step/plan/rank_prices.hpp"

#include <algorithm>

#include "engine/time_grid.hpp"

namespace dts {

RankPrices::RankPrices(std::size_t pp_ranks, const RankView* view)
    : pp(pp_ranks), units(view ? view->units.size() : 1), lanes(view ? view->lanes.size() : 1), unit(pp * units),
      lane(pp * lanes), transfer(3 * pp * units) {}

RankClasses RankPrices::classes(const RankView& view, bool each_unit, bool each_lane) const {
  std::vector<std::vector<double>> unit_keys(units), lane_keys(lanes);
  for (std::size_t rank = 0; rank < pp; ++rank) {
    for (std::size_t u = 0; u < units; ++u) {
      const RankPrice& price = of_unit(rank, u);
      unit_keys[u].insert(unit_keys[u].end(), {price.slowdown, static_cast<double>(price.variant)});
      for (Neighbour to : kNeighbours) unit_keys[u].push_back(of_transfer(rank, to, u));
    }
    for (std::size_t l = 0; l < lanes; ++l) lane_keys[l].push_back(of_lane(rank, l));
  }
  for (std::size_t u = 0; each_unit && u < units; ++u) unit_keys[u].push_back(static_cast<double>(u));
  for (std::size_t l = 0; each_lane && l < lanes; ++l) lane_keys[l].push_back(static_cast<double>(l));
  return RankClasses::coarsest(view, colours_of(unit_keys), colours_of(lane_keys));
}

void slow_down(RankPrices& prices, const RankView& view, const std::vector<double>& slowdown) {
  for (std::size_t rank = 0; rank < prices.pp; ++rank) {
    for (std::size_t u = 0; u < prices.units; ++u) {
      double slowest = 0;
      for (std::uint32_t place : view.units[u]) {
        slowest = std::max(slowest, slowdown[static_cast<std::size_t>(view.rank(place, static_cast<int>(rank)))]);
      }
      prices.of_unit(rank, u).slowdown = slowest;
    }
  }
}

namespace {

class Pricer {
 public:
  Pricer(const std::vector<StepProgram>& variants, StagePlacement placement, const RankPrices& prices,
         const RankClasses& classes)
      : variants_(variants), placement_(placement), prices_(prices), classes_(classes) {}

  void operator()(TaskId task, double* seconds) const {
    const TaskInfo& info = variants_.front().tasks[task];
    const auto rank = static_cast<std::size_t>(info.rank);
    switch (space_of(info.kind)) {
      case Space::World: seconds[0] = duration_s(0, task); return;
      case Space::Lane:
        for (std::uint32_t l = 0; l < classes_.spread.lanes; ++l) {
          seconds[l] = duration_s(prices_.of_lane(rank, classes_.first_lane[l]), task);
        }
        return;
      case Space::Unit: break;
    }
    const bool own = info.stream == StreamKind::Compute || is_host_copy(info.stream);  // needs no other rank
    const Neighbour to = own ? Neighbour::Mirror : goes_to(info);
    for (std::uint32_t u = 0; u < classes_.spread.units; ++u) {
      const std::uint32_t unit = classes_.first_unit[u];
      if (own) {
        const RankPrice& price = prices_.of_unit(rank, unit);
        seconds[u] =
            on_grid(duration_s(price.variant, task) + (price.slowdown - 1) * variants_[price.variant].own_s[task]);
      } else {
        seconds[u] = duration_s(prices_.of_transfer(rank, to, unit), task);
      }
    }
  }

 private:
  double duration_s(std::uint32_t variant, TaskId task) const { return variants_[variant].program.duration_s(task); }

  Neighbour goes_to(const TaskInfo& info) const {
    if (info.kind != TaskKind::PipelineSend) return Neighbour::Mirror;
    const int stage =
        info.stream == StreamKind::SendForward ? placement_.next(info.stage) : placement_.previous(info.stage);
    return placement_.rank_of(stage) == (info.rank + 1) % placement_.pp ? Neighbour::Next : Neighbour::Previous;
  }

  const std::vector<StepProgram>& variants_;
  StagePlacement placement_;
  const RankPrices& prices_;
  const RankClasses& classes_;
};

bool is_plain(const RankPrices& prices) {
  const auto base = [](std::uint32_t variant) { return variant == 0; };
  return prices.units == 1 && prices.lanes == 1 && std::all_of(prices.lane.begin(), prices.lane.end(), base) &&
         std::all_of(prices.transfer.begin(), prices.transfer.end(), base) &&
         std::all_of(prices.unit.begin(), prices.unit.end(),
                     [](const RankPrice& p) { return p.variant == 0 && p.slowdown == 1; });
}

}  // namespace

SpreadEnd run_step(const std::vector<StepProgram>& variants, StagePlacement placement, const RankPrices& prices,
                   const RankClasses& classes, const std::function<void(TaskId, const Instances&)>& visit) {
  const StepProgram& step = variants.front();
  if (is_plain(prices)) {
    const Timeline t = execute(step.program);
    for (TaskId task = 0; task < step.tasks.size(); ++task) {
      visit(task, {&t.start_s[task], &t.end_s[task], step.program.duration_of(task), &t.cause[task], 1});
    }
    return {t.makespan_s, t.last};
  }
  std::vector<Space> spaces;
  spaces.reserve(step.tasks.size());
  for (const TaskInfo& info : step.tasks) spaces.push_back(space_of(info.kind));
  return execute(step.program, spaces, classes.spread, Pricer(variants, placement, prices, classes), visit);
}

}  // namespace dts

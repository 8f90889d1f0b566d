#include "step/plan/variants.hpp"

#include <map>
#include <utility>

namespace dts {

namespace {

// Axes whose collectives run inside a pass.
constexpr Axis kInside[] = {Axis::TP, Axis::CP, Axis::EP, Axis::ETP, Axis::CP_HEADS, Axis::CP_SEQUENCE};

AxisKinds everywhere(NodeKinds kinds) {
  AxisKinds all{};
  all.fill(kinds);
  return all;
}

class VariantPlanner {
 public:
  VariantPlanner(const Job& job, const RankGrid& grid, const RankView* view, RankPrices& prices, PriceBook& book)
      : job_(job), grid_(grid), view_(view), prices_(prices), book_(book) {
    variant_of(0, kOneKind);
  }

  Variants plan() && {
    if (view_ && job_.network.node_kinds() > 1) {
      for (Axis axis : kInside) touched_[axis] = kinds_touched(axis);
      for (Axis axis : {Axis::DP_CP, Axis::EDP}) touched_[axis] = kinds_touched(axis);
      for (std::size_t rank = 0; rank < prices_.pp; ++rank) {
        for (std::size_t u = 0; u < prices_.units; ++u) price_unit(rank, u);
        for (std::size_t l = 0; l < prices_.lanes; ++l) price_lane(rank, l);
        for (std::size_t u = 0; u < prices_.units; ++u) price_transfers(rank, u);
      }
    }
    for (PlannedStep& step : out_.planned) {
      step.plan.order = out_.planned.front().plan.order;  // every rank follows one order, whatever its own times
      out_.steps.push_back(build_folded(step.plan));
    }
    return std::move(out_);
  }

 private:
  // Per rank, the kinds of nodes in its group.
  std::vector<NodeKinds> kinds_touched(Axis axis) const {
    std::vector<NodeKinds> touched(static_cast<std::size_t>(grid_.world()), 0);
    for (const std::vector<int>& group : grid_.groups(axis)) {
      NodeKinds kinds = 0;
      for (int rank : group) kinds |= kind_bit(rank);
      for (int rank : group) touched[static_cast<std::size_t>(rank)] = kinds;
    }
    return touched;
  }

  NodeKinds kind_bit(int rank) const { return NodeKinds{1} << job_.network.node_kind(rank); }

  NodeKinds union_of(const std::vector<std::uint32_t>& places, std::size_t stage, Axis axis) const {
    NodeKinds kinds = 0;
    for (std::uint32_t place : places) {
      kinds |= touched_.at(axis)[static_cast<std::size_t>(view_->rank(place, static_cast<int>(stage)))];
    }
    return kinds;
  }

  NodeKinds own_kinds(std::size_t stage, std::size_t unit) const {
    NodeKinds kinds = 0;
    for (std::uint32_t place : view_->units[unit]) kinds |= kind_bit(view_->rank(place, static_cast<int>(stage)));
    return kinds;
  }

  std::uint32_t variant_of(int device, const AxisKinds& kinds) {
    const auto [entry, is_new] = known_.try_emplace({device, kinds}, static_cast<std::uint32_t>(out_.planned.size()));
    if (is_new) {
      const Job job{job_.model,   job_.device_of(device), job_.network, job_.strategy,
                    job_.profile, job_.seq_len,           {},           kinds,
                    job_.host};
      out_.planned.push_back(plan_step(job, grid_, book_));
    }
    return entry->second;
  }

  double stage_s(std::uint32_t variant, std::size_t rank) const {
    const StepPlan& plan = out_.planned[variant].plan;
    double total_s = 0;
    for (int chunk = 0; chunk < plan.placement().chunks; ++chunk) {
      const auto stage = static_cast<std::size_t>(plan.placement().stage_of(static_cast<int>(rank), chunk));
      total_s += plan.stages[stage].forward_s() + plan.stages[stage].backward_s();
    }
    return total_s;
  }

  void price_unit(std::size_t rank, std::size_t unit) {
    AxisKinds kinds = kOneKind;
    for (Axis axis : kInside) kinds[static_cast<std::size_t>(axis)] = union_of(view_->units[unit], rank, axis);
    const NodeKinds devices = own_kinds(rank, unit);
    double slowest_s = -1;
    for (int kind = 0; kind < job_.network.node_kinds(); ++kind) {
      if (!(devices >> kind & 1)) continue;
      const std::uint32_t variant = variant_of(kind, kinds);
      const double seconds = stage_s(variant, rank);
      if (seconds > slowest_s) slowest_s = seconds, prices_.of_unit(rank, unit).variant = variant;
    }
  }

  void price_lane(std::size_t rank, std::size_t lane) {
    const std::vector<std::uint32_t>& places = view_->lanes[lane];
    prices_.of_lane(rank, lane) =
        variant_of(0, everywhere(union_of(places, rank, Axis::DP_CP) | union_of(places, rank, Axis::EDP)));
  }

  void price_transfers(std::size_t rank, std::size_t unit) {
    for (Neighbour to : kNeighbours) {
      const NodeKinds kinds = own_kinds(rank, unit) | own_kinds(neighbour_of(rank, to, prices_.pp), unit);
      prices_.of_transfer(rank, to, unit) = variant_of(0, everywhere(kinds));
    }
  }

  const Job& job_;
  const RankGrid& grid_;
  const RankView* view_;
  RankPrices& prices_;
  PriceBook& book_;
  Variants out_;
  std::map<std::pair<int, AxisKinds>, std::uint32_t> known_;
  std::map<Axis, std::vector<NodeKinds>> touched_;
};

}  // namespace

std::vector<const StepPlan*> Variants::plans() const {
  std::vector<const StepPlan*> all;
  all.reserve(planned.size());
  for (const PlannedStep& step : planned) all.push_back(&step.plan);
  return all;
}

std::vector<const std::vector<TaskInfo>*> Variants::pass_classes() const {
  std::vector<const std::vector<TaskInfo>*> all;
  all.reserve(steps.size());
  for (const StepProgram& step : steps) all.push_back(&step.pass_classes);
  return all;
}

Variants plan_variants(const Job& job, const RankGrid& grid, const RankView* view, RankPrices& prices,
                       PriceBook& book) {
  return VariantPlanner(job, grid, view, prices, book).plan();
}

}  // namespace dts

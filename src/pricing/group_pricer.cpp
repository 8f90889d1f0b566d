#include "pricing/group_pricer.hpp"

#include <algorithm>
#include <set>
#include <tuple>

namespace dts {

namespace {

std::size_t at(Axis axis) { return static_cast<std::size_t>(axis); }

}  // namespace

GroupPricer::GroupPricer(const CommunicationModel& model, const RankGrid& grid) : model_(model), grid_(grid) {
  for (std::size_t a = 0; a < kAxisCount; ++a) {
    const Axis axis = static_cast<Axis>(a);
    if (grid.size(axis) < 2) continue;
    std::set<std::tuple<int, int, int>> seen;
    for (std::vector<int>& group : grid.groups(axis)) {
      const GroupSpan span = model.span(group);
      if (seen.insert({span.ranks, span.ranks_per_domain, span.domains}).second) {
        representatives_[a].push_back(std::move(group));
      }
    }
  }
}

double GroupPricer::seconds(const CollectiveCall& call) const {
  double slowest = 0;
  for (const std::vector<int>& group : representatives_[at(call.axis)]) {
    slowest = std::max(slowest, seconds(call.kind, call.bytes, group));
  }
  return slowest;
}

double GroupPricer::seconds(CollectiveKind kind, double bytes, const std::vector<int>& ranks) const {
  return ranks.size() < 2 || bytes <= 0 ? 0 : model_.collective(kind, bytes, ranks).time_s;
}

}  // namespace dts

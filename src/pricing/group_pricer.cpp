#include "pricing/group_pricer.hpp"

#include <algorithm>

namespace dts {

namespace {

std::size_t at(Axis axis) { return static_cast<std::size_t>(axis); }

// Parts of a gradient group that are the whole of it, or its shards again: the plan asks for those instead.
bool repeats(const RankGrid& grid, Axis axis) {
  switch (axis) {
    case Axis::DP_SHARD: return grid.size(axis) == grid.size(Axis::DP_CP);
    case Axis::EDP_SHARD: return grid.size(axis) == grid.size(Axis::EDP);
    case Axis::DP_RESHARD: return grid.size(axis) == grid.size(Axis::DP_SHARD);
    case Axis::EDP_RESHARD: return grid.size(axis) == grid.size(Axis::EDP_SHARD);
    default: return false;
  }
}

bool alike(const GroupSpan& a, const GroupSpan& b) {
  return a.ranks == b.ranks && a.ranks_per_domain == b.ranks_per_domain && a.domains == b.domains &&
         a.stride == b.stride && a.nics_alone == b.nics_alone;
}

}  // namespace

GroupPricer::GroupPricer(const Interconnect& network, const RankGrid& grid, const AxisKinds& kinds)
    : network_(network), grid_(grid), kinds_(kinds) {
  for (std::size_t a = 0; a < kAxisCount; ++a) {
    const Axis axis = static_cast<Axis>(a);
    if (grid.size(axis) < 2 || repeats(grid, axis)) continue;
    for (std::vector<int>& ranks : grid.groups_apart(axis, network.period())) {
      RankGroup group = network.group(std::move(ranks));
      group.kinds = kinds[a];
      const auto same = [&](const RankGroup& known) { return alike(known.span, group.span); };
      if (std::none_of(representatives_[a].begin(), representatives_[a].end(), same)) {
        representatives_[a].push_back(std::move(group));
      }
    }
  }
  if (grid.size(Axis::PP) > 1) pipelines_ = grid.groups_apart(Axis::PP, network.period());
}

CallPrice GroupPricer::price(const CollectiveCall& call) const {
  if (call.bytes <= 0) return {};
  const auto [known, is_new] = known_.try_emplace(call);
  if (is_new) known->second = slowest(call);
  return known->second;
}

CallPrice GroupPricer::slowest(const CollectiveCall& call) const {
  CallPrice slowest;
  const double bytes = call.bytes * call.load;
  for (const RankGroup& group : representatives_[at(call.axis)]) {
    CallPrice price;
    if (call.kind == CollectiveKind::SendRecv) {
      price = to_next(bytes, group.ranks, group.kinds);
    } else {
      const CollectiveCost cost = call.copies.deduplicated() ? network_.exchange(bytes, call.copies, group)
                                                             : network_.cost(call.kind, bytes, group);
      price = {cost.time_s, cost.sms, cost.transfer_s};
    }
    if (price.seconds > slowest.seconds) slowest = price;
  }
  return slowest;
}

// Every member sends to the next one at once; the slowest pair decides.
CallPrice GroupPricer::to_next(double bytes, const std::vector<int>& ranks, NodeKinds kinds) const {
  CallPrice slowest;
  std::vector<GroupSpan> seen;
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    const RankGroup both = pair(ranks[i], ranks[(i + 1) % ranks.size()], kinds);
    if (std::any_of(seen.begin(), seen.end(), [&](const GroupSpan& span) { return alike(span, both.span); })) continue;
    seen.push_back(both.span);
    const CollectiveCost cost = network_.cost(CollectiveKind::SendRecv, bytes, both);
    if (cost.time_s > slowest.seconds) slowest = {cost.time_s, cost.sms, cost.transfer_s};
  }
  return slowest;
}

bool GroupPricer::near(int a, int b) const {
  const auto [known, is_new] = near_.try_emplace(std::minmax({a, b}), false);
  if (is_new) known->second = network_.group({a, b}).span.domains == 1;
  return known->second;
}

bool GroupPricer::within_domain(Axis axis) const noexcept {
  const std::vector<RankGroup>& groups = representatives_[at(axis)];
  return std::all_of(groups.begin(), groups.end(), [](const RankGroup& group) { return group.span.domains == 1; });
}

RankGroup GroupPricer::pair(int a, int b, NodeKinds kinds) const {
  RankGroup both = network_.group({a, b});
  both.kinds = kinds;
  return both;
}

double GroupPricer::among_s(CollectiveKind kind, double bytes, const std::vector<int>& ranks) const {
  return ranks.size() < 2 || bytes <= 0 ? 0 : network_.cost(kind, bytes, network_.group(ranks)).time_s;
}

double GroupPricer::between_stages_s(CollectiveKind kind, double bytes, int a, int b) const {
  return bytes <= 0 ? 0 : network_.cost(kind, bytes, pair(a, b, kinds_[at(Axis::PP)])).time_s;
}

double GroupPricer::send_s(double bytes, const RankGroup& both) const {
  if (!network_.uniform()) return network_.cost(CollectiveKind::SendRecv, bytes, both).time_s;
  for (const Sent& known : sent_) {
    if (known.bytes == bytes && known.kinds == both.kinds && alike(known.span, both.span)) return known.seconds;
  }
  sent_.push_back({both.span, both.kinds, bytes, network_.cost(CollectiveKind::SendRecv, bytes, both).time_s});
  return sent_.back().seconds;
}

double GroupPricer::slowest_hop_s(double bytes, std::size_t from, std::size_t to) const {
  if (bytes <= 0) return 0;
  const auto [hop, is_new] = hops_.try_emplace({bytes, from, to}, 0);
  if (!is_new) return hop->second;
  std::vector<GroupSpan> seen;
  double& slowest = hop->second;
  for (const std::vector<int>& ranks : pipelines_) {
    const RankGroup both = pair(ranks[from], ranks[to], kinds_[at(Axis::PP)]);
    if (std::any_of(seen.begin(), seen.end(), [&](const GroupSpan& span) { return alike(span, both.span); })) continue;
    seen.push_back(both.span);
    slowest = std::max(slowest, send_s(bytes, both));
    if (both.span.domains > 1 && network_.uniform()) break;  // nothing is farther than another domain
  }
  return slowest;
}

}  // namespace dts

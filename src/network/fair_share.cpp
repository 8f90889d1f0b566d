#include "network/fair_share.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace dts {

namespace {

// Ties within rounding go to the link with fewer flows, and to a link whose flows are all in the set: both keep later
// sets small. Rates deviate from exact ones by less than this.
constexpr double kTie = 1e-10;

constexpr double kLeast = 1e-15;
constexpr double kInfinite = std::numeric_limits<double>::infinity();

}  // namespace

FairShare::FairShare(std::vector<double> capacity_Bps) : links_(capacity_Bps.size()) {
  for (std::size_t i = 0; i < links_.size(); ++i) links_[i].capacity_Bps = capacity_Bps[i];
}

std::uint32_t FairShare::take_hops(std::uint32_t count) {
  if (count < free_hops_.size() && !free_hops_[count].empty()) {
    const std::uint32_t first = free_hops_[count].back();
    free_hops_[count].pop_back();
    return first;
  }
  hops_.resize(hops_.size() + count);
  return static_cast<std::uint32_t>(hops_.size()) - count;
}

FairShare::FlowId FairShare::add(const int* links, std::size_t count) {
  FlowId id = static_cast<FlowId>(flows_.size());
  if (free_flows_.empty()) {
    flows_.emplace_back();
  } else {
    id = free_flows_.back();
    free_flows_.pop_back();
  }
  const auto hops = static_cast<std::uint32_t>(count);
  Flow& flow = flows_[id];
  flow.first_hop = hops > 0 ? take_hops(hops) : 0;
  flow.hops = hops;
  flow.bound_by = kNone;
  flow.mark = 0;
  flow.rate_Bps = hops > 0 ? 0 : kInfinite;
  flow.on_links = hops > 0;
  for (std::uint32_t i = 0; i < hops; ++i) {
    const std::uint32_t at = flow.first_hop + i, link = static_cast<std::uint32_t>(links[i]);
    LinkState& state = links_[link];
    hops_[at] = {id, link, kNone, state.head};
    if (state.head != kNone) hops_[state.head].before = at;
    state.head = at;
    ++state.count;
  }
  if (hops > 0) added_.push_back(id);
  return id;
}

void FairShare::leave(FlowId id) {
  Flow& flow = flows_[id];
  if (!flow.on_links) return;
  flow.on_links = false;
  if (flow.bound_by != kNone) level_Bps_ = std::min(level_Bps_, flow.rate_Bps * (1 - 4 * kTie));
  for (std::uint32_t at = flow.first_hop; at < flow.first_hop + flow.hops; ++at) {
    const Hop& hop = hops_[at];
    LinkState& link = links_[hop.link];
    (hop.before == kNone ? link.head : hops_[hop.before].after) = hop.after;
    if (hop.after != kNone) hops_[hop.after].before = hop.before;
    --link.count;
    link.binds -= flow.bound_by == hop.link;
    link.used_Bps = link.count == 0 ? 0 : link.used_Bps - flow.rate_Bps;  // an empty link forgets rounding
    if (link.binds > 0) dirty_.push_back(hop.link);
  }
}

void FairShare::release(FlowId id) {
  leave(id);
  const Flow& flow = flows_[id];
  if (flow.hops > 0) {
    if (free_hops_.size() <= flow.hops) free_hops_.resize(flow.hops + 1);
    free_hops_[flow.hops].push_back(flow.first_hop);
  }
  free_flows_.push_back(id);
}

void FairShare::take_flow(FlowId id) {
  Flow& flow = flows_[id];
  if (flow.mark == epoch_ || !flow.on_links || below_level(flow)) return;
  flow.mark = epoch_;
  flow.next_bound = kNone;
  set_.push_back(id);
  for (std::uint32_t at = flow.first_hop; at < flow.first_hop + flow.hops; ++at) {
    const std::uint32_t id_of_link = hops_[at].link;
    LinkState& link = links_[id_of_link];
    if (link.seen != epoch_) {
      link.seen = epoch_;
      link.open = 0;
      link.left_Bps = link.capacity_Bps - link.used_Bps;
      touched_.push_back(id_of_link);
    }
    ++link.open;
    link.left_Bps += flow.rate_Bps;
    if (link.binds > 0 && link.whole != epoch_) to_take_.push_back(id_of_link);
  }
}

void FairShare::take_link(std::uint32_t id) {
  LinkState& link = links_[id];
  if (link.whole == epoch_) return;
  link.whole = epoch_;
  for (std::uint32_t at = link.head; at != kNone; at = hops_[at].after) take_flow(hops_[at].flow);
}

// No link of a new flow fills below its capacity over its flows; none of one that left was full below its rate.
void FairShare::lower_level() {
  for (FlowId id : added_) {
    const Flow& flow = flows_[id];
    for (std::uint32_t at = flow.first_hop; flow.on_links && at < flow.first_hop + flow.hops; ++at) {
      const LinkState& link = links_[hops_[at].link];
      level_Bps_ = std::min(level_Bps_, link.capacity_Bps / link.count * (1 - 4 * kTie));
    }
  }
}

// The set that a change can reach: new flows and all flows of freed, binding or wrongly left out links.
void FairShare::gather() {
  ++epoch_;
  set_.clear();
  touched_.clear();
  to_take_.clear();
  for (FlowId flow : added_) take_flow(flow);
  for (std::uint32_t link : dirty_) {
    if (links_[link].binds > 0) take_link(link);
  }
  for (std::uint32_t link : widen_) take_link(link);
  while (!to_take_.empty()) {
    const std::uint32_t link = to_take_.back();
    to_take_.pop_back();
    take_link(link);
  }
  flows_solved_ += set_.size();
}

// Rounding may leave less than nothing, but no flow may stand still for ever.
double FairShare::share_Bps(const LinkState& link) noexcept {
  return std::max(link.left_Bps, link.capacity_Bps * kLeast) / link.open;
}

void FairShare::push(std::uint32_t id) {
  const LinkState& link = links_[id];
  const bool whole = link.open == link.count;
  const double lean = 1 + kTie * (whole ? 1 - 1 / (1.0 + link.count) : 1);
  heap_.push_back({share_Bps(link) * lean, id});
  std::push_heap(heap_.begin(), heap_.end(), [](const Candidate& a, const Candidate& b) {
    return a.share_Bps != b.share_Bps ? a.share_Bps > b.share_Bps : a.link > b.link;
  });
}

void FairShare::fix(FlowId id, std::uint32_t bound_by, double rate_Bps) {
  Flow& flow = flows_[id];
  flow.next_Bps = rate_Bps;
  flow.next_bound = bound_by;
  for (std::uint32_t at = flow.first_hop; at < flow.first_hop + flow.hops; ++at) {
    LinkState& link = links_[hops_[at].link];
    --link.open;
    link.left_Bps -= rate_Bps;
  }
}

// One flow that meets nobody it could slow down, the usual case: its rate is that of its narrowest link.
bool FairShare::solve_alone() {
  if (set_.size() != 1) return false;
  Flow& flow = flows_[set_[0]];
  double rate = kInfinite;
  for (std::uint32_t at = flow.first_hop; at < flow.first_hop + flow.hops; ++at) {
    const LinkState& link = links_[hops_[at].link];
    const double left = link.count == 1 ? link.capacity_Bps : link.left_Bps * (1 + kTie);
    if (left >= rate) continue;
    rate = left;
    flow.next_bound = hops_[at].link;
  }
  flow.next_Bps = rate;
  const LinkState& tightest = links_[flow.next_bound];
  if (tightest.count > 1 && tightest.whole != epoch_) widen_.push_back(flow.next_bound);
  return true;
}

// Progressive filling of the set. A share only grows while other links are fixed, so a stale entry is pushed again.
void FairShare::fill() {
  if (solve_alone()) return;
  heap_.clear();
  for (std::uint32_t link : touched_) push(link);
  const auto later = [](const Candidate& a, const Candidate& b) {
    return a.share_Bps != b.share_Bps ? a.share_Bps > b.share_Bps : a.link > b.link;
  };
  std::size_t left = set_.size();
  while (left > 0) {
    std::pop_heap(heap_.begin(), heap_.end(), later);
    const Candidate top = heap_.back();
    heap_.pop_back();
    LinkState& link = links_[top.link];
    if (link.open == 0) continue;
    const double share = share_Bps(link);
    if (share * (1 - 2 * kTie) > top.share_Bps) {
      push(top.link);
      continue;
    }
    bool whole = true;
    for (std::uint32_t at = link.head; at != kNone; at = hops_[at].after) {
      const FlowId id = hops_[at].flow;
      if (flows_[id].mark != epoch_) whole = whole && below_level(flows_[id]);
      else if (flows_[id].next_bound == kNone) fix(id, top.link, share), --left;
    }
    if (!whole) widen_.push_back(top.link);
  }
}

void FairShare::commit() {
  for (FlowId id : set_) {
    Flow& flow = flows_[id];
    const double change = flow.next_Bps - flow.rate_Bps;
    const bool moved = std::abs(change) > 2 * kTie * flow.rate_Bps;
    if (moved) changed_.push_back(id);
    for (std::uint32_t at = flow.first_hop; at < flow.first_hop + flow.hops; ++at) {
      LinkState& link = links_[hops_[at].link];
      if (moved) link.used_Bps += change;
      link.binds += flow.next_bound == hops_[at].link;
      link.binds -= flow.bound_by == hops_[at].link;
    }
    if (moved) flow.rate_Bps = flow.next_Bps;
    flow.bound_by = flow.next_bound;
  }
}

const std::vector<FairShare::FlowId>& FairShare::solve() {
  changed_.clear();
  if (added_.empty() && dirty_.empty()) {
    level_Bps_ = kInfinite;
    return changed_;
  }
  widen_.clear();
  lower_level();
  // A link outside the set that turns out to bind a flow inside couples its other flows: take it in and solve again.
  for (std::size_t known = 0;; known = widen_.size()) {
    gather();
    fill();
    if (widen_.size() == known) break;
  }
  commit();
  added_.clear();
  dirty_.clear();
  level_Bps_ = kInfinite;
  return changed_;
}

}  // namespace dts

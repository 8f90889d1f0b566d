#include "comm/token_exchange.hpp"

#include <algorithm>
#include <cmath>

#include "comm/fabric.hpp"
#include "comm/fabric_rates.hpp"

namespace dts {
namespace {

// Probability that none of `chosen` of `experts` falls on `own` of them.
double missed(double experts, double own, double chosen) noexcept {
  double share = 1;
  for (double j = 0; j < chosen && share > 0; ++j) share *= std::max(experts - own - j, 0.0) / (experts - j);
  return share;
}

}  // namespace

double distinct_groups(double groups, double domains, const TokenCopies& copies) noexcept {
  const double limit = copies.max_domains > 0 ? std::min<double>(copies.max_domains, domains) : domains;
  const double reachable = copies.experts * limit / domains;
  const double chosen = std::min(copies.top_k, reachable);
  return groups * limit / domains * (1 - missed(reachable, copies.experts / groups, chosen));
}

ExchangeBytes exchange_bytes(double bytes, const TokenCopies& copies, const GroupSpan& span) noexcept {
  const double rows = bytes / copies.top_k, domains = span.domains;
  const double met = distinct_groups(domains, domains, copies);
  return {rows * (met - met / domains),
          span.ranks_per_domain > 1 ? rows * distinct_groups(span.ranks, domains, copies) : 0};
}

CollectiveCost token_exchange(const ClusterSpec& cluster, double bytes, const TokenCopies& copies,
                              const GroupSpan& span) {
  CollectiveCost cost;
  if (span.ranks <= 1) return cost;
  const ScaleUpSpec& up = cluster.node.scale_up;
  if (up.kind == ScaleUpKind::Torus) {  // no switch to fan out over: one row per rank, as an all-to-all
    const double rows = bytes / copies.top_k * distinct_groups(span.ranks, span.domains, copies);
    return fabric_collective(cluster, CollectiveKind::AllToAll, rows, span);
  }
  const ExchangeBytes moved = exchange_bytes(bytes, copies, span);
  const GroupRates r = rates_of(cluster, span);
  const ScaleOutSpec& out = cluster.scale_out;
  const auto link_s = [](double link_bytes, double Bps, double ramp) {
    return link_bytes > 0 ? link_bytes / Bps + ramp * std::sqrt(link_bytes) : 0;
  };
  const double inside_s = link_s(moved.scale_up, r.p2p_Bps, up.p2p_ramp);
  const double nic_s = link_s(moved.nic, r.nic_rank_Bps * out.ring_efficiency, out.p2p_ramp);
  const double remote = r.domains - 1, bulk_s = std::max(inside_s, nic_s);
  const double nic_bytes_s = moved.nic > 0 ? moved.nic / (r.nic_rank_Bps * out.ring_efficiency) : 0;
  cost.transfer_s = nic_s >= inside_s ? nic_bytes_s : moved.scale_up / r.p2p_Bps;
  cost.time_s = up.p2p_launch_s + up.p2p_peer_s * (r.members - 1) + bulk_s;
  if (remote > 0) cost.time_s += out.hop_s + out.p2p_peer_s * (remote - 1);
  cost.algorithm = remote > 0 ? "hierarchical" : "deduplicated";
  cost.bound = bulk_s < cost.time_s / 2 ? "latency" : nic_s >= inside_s ? "nic" : "scale-up";
  cost.sent_bytes_per_rank = moved.nic + moved.scale_up;
  cost.sms = copies.sms;
  return cost;
}

}  // namespace dts

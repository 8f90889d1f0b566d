#include "comm/fabric.hpp"

#include <algorithm>
#include <cmath>

#include "comm/fabric_branches.hpp"

namespace dts {

Branches branches_of(const ClusterSpec& cluster, CollectiveKind kind, const GroupSpan& span) noexcept {
  if (span.ranks <= 1) return {};
  if (span.domains > 1) return branches_across(cluster, kind, span);
  if (cluster.node.scale_up.kind == ScaleUpKind::Torus) return branches_in_torus(cluster, kind, span);
  return branches_in_domain(cluster, kind, span);
}

CollectiveCost fabric_collective(const ClusterSpec& cluster, CollectiveKind kind, double bytes, const GroupSpan& span) {
  const double moved = kind == CollectiveKind::Barrier ? 0 : bytes;
  const double root = std::sqrt(moved);
  CollectiveCost cost;
  const Branch* fastest = nullptr;
  const Branches branches = branches_of(cluster, kind, span);
  for (const Branch& b : branches) {
    const double time_s = b.time_s(moved, root);
    if (fastest && time_s >= cost.time_s) continue;
    cost.time_s = time_s;
    fastest = &b;
  }
  if (!fastest) return cost;
  cost.transfer_s = std::min(fastest->s_per_byte * moved, cost.time_s);
  cost.algorithm = fastest->algorithm;
  cost.protocol = fastest->protocol;
  cost.bound = fastest->s_per_byte * moved >= cost.time_s / 2 ? fastest->limit : "latency";
  cost.sent_bytes_per_rank = fastest->sent_share * moved;
  cost.sms = fastest->sms;
  return cost;
}

}  // namespace dts

// Bucket algorithm over the axes of a torus at once (JAX scaling book, "sharding"): all-gather bytes / rate + hops,
// twice for an all-reduce; an all-to-all loads the bisection of the longest axis.
#include "comm/fabric_branches.hpp"
#include "comm/fabric_rates.hpp"

namespace dts {

Branches branches_in_torus(const ClusterSpec& cluster, CollectiveKind kind, const GroupSpan& span) noexcept {
  const ScaleUpSpec& s = cluster.node.scale_up;
  const GroupRates r = rates_of(cluster, span);
  const TorusPart part = torus_part(s, slice_devices(cluster), span);
  const double share = (r.ranks - 1) / r.ranks, pass_s = s.hop_s * part.hops;
  Branch b{"torus", "", s.launch_s + pass_s, 0, share / r.ring_Bps, "scale-up", share, s.ring_sms, 0, kNoEnd};
  switch (kind) {
    case CollectiveKind::AllReduce:
    case CollectiveKind::Barrier:
      b.startup_s += pass_s;
      b.s_per_byte *= 2;
      b.sent_share *= 2;
      break;
    case CollectiveKind::AllGather:
    case CollectiveKind::ReduceScatter: break;
    case CollectiveKind::Broadcast:
    case CollectiveKind::Reduce:
      b.s_per_byte = 1 / r.ring_Bps;
      b.sent_share = 1;
      break;
    case CollectiveKind::Gather:
    case CollectiveKind::Scatter: b.s_per_byte = share / r.p2p_Bps; break;
    case CollectiveKind::AllToAll: b.s_per_byte = part.alltoall_s_per_byte / s.p2p_efficiency; break;
    case CollectiveKind::SendRecv:
      b = {"torus", "", s.launch_s + s.hop_s, 0, 1 / r.pair_Bps, "scale-up", 1, s.ring_sms, 0, kNoEnd};
      break;
  }
  Branches branches;
  branches.add(b);
  return branches;
}

}  // namespace dts

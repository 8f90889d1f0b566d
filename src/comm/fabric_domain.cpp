#include <cmath>

#include "comm/fabric_branches.hpp"
#include "comm/fabric_rates.hpp"

namespace dts {
namespace {

// `steps` neighbour exchanges of bytes / ranks, and a local copy worth `copy` of them.
Branch ring(const ScaleUpSpec& s, const GroupRates& r, double steps, double copy) noexcept {
  return {"ring",
          s.launch_s + s.hop_s * steps,
          s.ring_ramp * std::pow(steps, s.ring_ramp_growth) / std::sqrt(r.ranks),
          (steps + copy) / r.ranks / r.ring_Bps,
          "scale-up",
          steps / r.ranks,
          s.ring_sms};
}

// Root to the end of a ring, in chunks: every link carries the whole buffer, the pipeline is an all-gather's.
Branch chain(const ScaleUpSpec& s, const GroupRates& r) noexcept {
  Branch b = ring(s, r, r.ranks - 1, 0);
  b.algorithm = "chain";
  b.s_per_byte = 1 / r.ring_Bps;
  b.sent_share = 1;
  return b;
}

// Every member's buffer goes up to the switch once and the sum comes back (plus the shard it wrote for the others).
Branch nvls(const ScaleUpSpec& s, const GroupRates& r) noexcept {
  return {"nvls",     s.nvls_startup_s, s.nvls_ramp, 1 / (s.nvls_efficiency * s.device_Bps),
          "scale-up", 1 + 1 / r.ranks,  s.nvls_sms};
}

// Sends to `peers` of the members, `share` of the buffer in all, at `rate_Bps`.
Branch sends(const ScaleUpSpec& s, const char* name, double peers, double share, double copy,
             double rate_Bps) noexcept {
  return {name,      s.p2p_launch_s + s.p2p_peer_s * peers, s.p2p_ramp, (share + copy) / rate_Bps, "scale-up", share,
          s.ring_sms};
}

}  // namespace

Branches branches_in_domain(const ClusterSpec& cluster, CollectiveKind kind, const GroupSpan& span) noexcept {
  const ScaleUpSpec& s = cluster.node.scale_up;
  const GroupRates r = rates_of(cluster, span);
  const double peers = r.ranks - 1;
  Branches branches;
  switch (kind) {
    case CollectiveKind::AllReduce:
    case CollectiveKind::Barrier:
      branches.add(ring(s, r, 2 * peers, s.all_reduce_copy));
      if (s.nvls_min_ranks > 0 && span.ranks >= s.nvls_min_ranks) branches.add(nvls(s, r));
      break;
    case CollectiveKind::AllGather:
    case CollectiveKind::ReduceScatter:
      branches.add(ring(s, r, peers, s.gather_copy));
      break;
    case CollectiveKind::Broadcast:
    case CollectiveKind::Reduce:
      branches.add(chain(s, r));
      break;
    case CollectiveKind::Gather:
    case CollectiveKind::Scatter:
      branches.add(sends(s, "direct", peers, peers / r.ranks, 0, r.p2p_Bps));
      break;
    case CollectiveKind::AllToAll:
      branches.add(sends(s, "pairwise", peers, peers / r.ranks, s.p2p_copy / r.ranks, r.p2p_Bps));
      break;
    case CollectiveKind::SendRecv:
      branches.add(sends(s, "direct", 1, 1, 0, r.pair_Bps));
      break;
  }
  return branches;
}

// Bucket algorithm over the axes at once (JAX scaling book, "sharding"): all-gather bytes / rate + hops, twice for an
// all-reduce; an all-to-all loads the bisection of the longest axis.
Branches branches_in_torus(const ClusterSpec& cluster, CollectiveKind kind, const GroupSpan& span) noexcept {
  const ScaleUpSpec& s = cluster.node.scale_up;
  const GroupRates r = rates_of(cluster, span);
  const TorusPart part = torus_part(s, slice_devices(cluster), span);
  const double share = (r.ranks - 1) / r.ranks, pass_s = s.hop_s * part.hops;
  const Branch gather{"torus", s.launch_s + pass_s, 0, share / r.ring_Bps, "scale-up", share, s.ring_sms};
  Branch b = gather;
  switch (kind) {
    case CollectiveKind::AllReduce:
    case CollectiveKind::Barrier:
      b.startup_s += pass_s;
      b.s_per_byte *= 2;
      b.sent_share *= 2;
      break;
    case CollectiveKind::AllGather:
    case CollectiveKind::ReduceScatter:
      break;
    case CollectiveKind::Broadcast:
    case CollectiveKind::Reduce:
      b.s_per_byte = 1 / r.ring_Bps;
      b.sent_share = 1;
      break;
    case CollectiveKind::Gather:
    case CollectiveKind::Scatter:
      b.s_per_byte = share / r.p2p_Bps;
      break;
    case CollectiveKind::AllToAll:
      b.s_per_byte = part.alltoall_s_per_byte / s.p2p_efficiency;
      break;
    case CollectiveKind::SendRecv:
      b = {"torus", s.launch_s + s.hop_s, 0, 1 / r.pair_Bps, "scale-up", 1, s.ring_sms};
      break;
  }
  Branches branches;
  branches.add(b);
  return branches;
}

}  // namespace dts

#include <algorithm>
#include <cmath>

#include "comm/fabric_branches.hpp"
#include "comm/fabric_rates.hpp"

namespace dts {
namespace {

struct Domain {
  const ScaleUpSpec& s;
  GroupRates r;

  // `steps` neighbour exchanges of bytes / ranks, and a local copy worth `copy` of them: the protocols of NCCL. The
  // two that carry flags start sooner and move less (src/graph/tuning.cc); LL reads and writes in place.
  void add_rings(Branches& branches, double steps, double copy) const noexcept {
    Branch b{"ring", "LL", s.launch_s + s.hop_s * steps, 0, 0, "scale-up", steps / r.ranks, s.ring_sms, 0, kNoEnd};
    // What a group of a mesh or a bus owns of the ring rate limits every protocol alike.
    const double owned = r.ring_Bps / s.ring_efficiency;
    if (s.ll_efficiency > 0) {
      b.s_per_byte = steps / r.ranks / (owned * s.ll_efficiency);
      branches.add(b);
    }
    if (s.ll128_efficiency > 0) {
      Branch ll128 = b;
      ll128.protocol = "LL128";
      ll128.startup_s += s.ll128_startup_s;
      ll128.s_per_byte = (steps + copy) / r.ranks / (owned * s.ll128_efficiency);
      branches.add(ll128);
    }
    b.protocol = "Simple";
    b.startup_s += simple_start_s(s, steps);
    b.ramp = s.ring_ramp * std::pow(steps, s.ring_ramp_growth) / std::sqrt(r.ranks);
    b.s_per_byte = (steps + copy) / r.ranks / r.ring_Bps;
    branches.add(b);
  }

  // Root to the end of a ring, in chunks: every link carries the whole buffer, the pipeline is an all-gather's.
  void add_chains(Branches& branches) const noexcept {
    Branches rings;
    add_rings(rings, r.ranks - 1, 0);
    for (Branch b : rings) {
      b.algorithm = "chain";
      b.s_per_byte *= r.ranks / (r.ranks - 1);
      b.sent_share = 1;
      branches.add(b);
    }
  }

  // Every member's buffer goes up to the switch once and the sum comes back (plus the shard it wrote for the others).
  void add_nvls(Branches& branches) const noexcept {
    if (s.nvls_min_ranks <= 0 || r.ranks < s.nvls_min_ranks) return;
    branches.add({"nvls", "Simple", s.nvls_startup_s, s.nvls_ramp, 1 / (s.nvls_efficiency * s.device_Bps), "scale-up",
                  1 + 1 / r.ranks, s.nvls_sms, 0, kNoEnd});
  }

  // All members read `reads` buffers of the others at once.
  void add_one_shot(Branches& branches, double reads) const noexcept {
    if (s.one_shot_launch_s <= 0) return;
    const double owned = r.ring_Bps / s.ring_efficiency;
    branches.add({"one-shot", "LL", s.one_shot_launch_s + s.one_shot_peer_s * (r.ranks - 1), 0,
                  reads / (owned * s.one_shot_efficiency), "scale-up", reads, s.ring_sms, 0, kNoEnd});
  }

  // Sends to `peers` of the members, `share` of the buffer in all, at `rate_Bps`.
  Branch sends(const char* name, double peers, double share, double copy, double rate_Bps) const noexcept {
    return {name,
            "Simple",
            s.p2p_launch_s + s.p2p_peer_s * peers,
            s.p2p_ramp,
            (share + copy) / rate_Bps,
            "scale-up",
            share,
            s.ring_sms,
            0,
            kNoEnd};
  }

  // Every member sends to its next one. A stream starts with its share of the communicator's channels and gets more,
  // doubling, once a channel would carry more than a part (NCCL src/enqueue.cc, calcP2pChannelCount): sizes between
  // the two take the time of a full part.
  void add_streams(Branches& branches) const noexcept {
    Branch full = sends("direct", 1, 1, 0, r.pair_Bps);
    double channels = 1;
    while (channels * 2 * r.ranks <= s.p2p_channels) channels *= 2;
    const double few_Bps = channels * s.p2p_channel_Bps;
    if (s.p2p_channels > 0 && few_Bps < r.pair_Bps) {
      Branch few = full;
      few.s_per_byte = 1 / few_Bps;
      branches.add(few);
      full.floor_s = full.startup_s + s.p2p_part_bytes / s.p2p_channel_Bps;
    }
    branches.add(full);
  }
};

}  // namespace

Branches branches_in_domain(const ClusterSpec& cluster, CollectiveKind kind, const GroupSpan& span) noexcept {
  const ScaleUpSpec& s = cluster.node.scale_up;
  const Domain d{s, rates_of(cluster, span)};
  const double ranks = d.r.ranks, peers = ranks - 1;
  Branches branches;
  switch (kind) {
    case CollectiveKind::AllReduce:
    case CollectiveKind::Barrier:
      d.add_rings(branches, 2 * peers, s.all_reduce_copy);
      d.add_nvls(branches);
      d.add_one_shot(branches, peers);
      break;
    case CollectiveKind::AllGather:
    case CollectiveKind::ReduceScatter:
      d.add_rings(branches, peers, s.gather_copy);
      d.add_one_shot(branches, peers / ranks);
      break;
    case CollectiveKind::Broadcast:
    case CollectiveKind::Reduce: d.add_chains(branches); break;
    case CollectiveKind::Gather:
    case CollectiveKind::Scatter: branches.add(d.sends("direct", peers, peers / ranks, 0, d.r.p2p_Bps)); break;
    case CollectiveKind::AllToAll:
      branches.add(d.sends("pairwise", peers, peers / ranks, s.p2p_copy / ranks, d.r.p2p_Bps));
      break;
    case CollectiveKind::SendRecv: d.add_streams(branches); break;
  }
  return branches;
}

}  // namespace dts

#include <algorithm>
#include <cmath>

#include "comm/fabric_branches.hpp"
#include "comm/fabric_rates.hpp"

namespace dts {
namespace {

// Share of the ring rate that a tree's chain of members reaches (NCCL src/graph/tuning.cc, "0.92"), all-reduce: each
// link carries the buffer up and down.
constexpr double kTreeShare = 0.92;

struct Across {
  const ScaleUpSpec& up;
  const ScaleOutSpec& out;
  GroupRates r;

  // Flags travel with the data, so the low-latency protocol fills half of a link at most.
  double low_latency_Bps() const noexcept { return std::min(out.low_latency_Bps, r.nic_Bps * out.ring_efficiency / 2); }
  // Turns a low-latency branch into the bulk one: a pipeline to start and to fill, at full rate.
  Branch bulk(Branch b, const char* algorithm, double inside_s_per_byte, double nic_s_per_byte) const noexcept {
    b.algorithm = algorithm;
    b.startup_s += out.level_startup_s * r.levels;
    // Depth of the pipeline: the members of every level and the hop to the next.
    b.ramp = out.ramp * std::sqrt(r.levels * (r.members + 1));
    b.s_per_byte = std::max(inside_s_per_byte, nic_s_per_byte);
    b.limit = inside_s_per_byte > nic_s_per_byte ? "scale-up" : "nic";
    return b;
  }
  double inside(double steps, double copy) const noexcept {
    return r.members > 1 ? (steps + copy) / r.ranks / r.ring_Bps : 0;
  }

  // `passes` times around all ranks, moving `steps` shards of bytes / ranks.
  void add_rings(Branches& branches, double passes, double steps, double copy) const noexcept {
    const double ring_s = up.hop_s * (r.ranks - r.domains) + out.hop_s * (r.domains - 1);
    const Branch ll{
        "ring-ll",  up.launch_s + passes * ring_s, 0, steps / r.ranks / low_latency_Bps(), "nic", steps / r.ranks,
        up.ring_sms};
    branches.add(ll);
    branches.add(bulk(ll, "ring", inside(steps, copy), steps / r.ranks / (r.nic_Bps * out.ring_efficiency)));
  }

  // Chains inside the domains, a double binary tree between them: up and down again.
  void add_trees(Branches& branches) const noexcept {
    const double up_s = up.hop_s * (r.members - 1) + out.hop_s * r.levels;
    const Branch ll{"tree-ll", up.launch_s + 2 * up_s, 0, 2 / low_latency_Bps(), "nic", 2, up.ring_sms};
    branches.add(ll);
    // Of two domains each sends the buffer once; from three on an inner node of one tree is a leaf of the other.
    const double nic = r.domains == 2 ? 1 / (r.nic_Bps * out.tree_efficiency)
                                      : 2 * (r.ranks - 1) / r.ranks / (r.nic_Bps * out.ring_efficiency);
    if (up.nvls_min_ranks > 0 && r.members >= up.nvls_min_ranks) {
      Branch b = bulk(ll, "nvls-tree", 1 / (up.nvls_tree_efficiency * up.device_Bps), nic);
      b.sms = up.nvls_sms;
      branches.add(b);
    } else {
      branches.add(bulk(ll, "tree", r.members > 1 ? 2 / (kTreeShare * r.ring_Bps) : 0, nic));
    }
  }

  // Sends to `near` members and `far` ranks elsewhere; the shares of the buffer that leave by either way.
  Branch sends(const char* name, double near, double far, double near_s_per_byte, double far_share,
               double efficiency) const noexcept {
    const double nic = far_share / (r.nic_rank_Bps * efficiency);
    const double share = far_share + near / r.ranks;
    return {name,
            up.p2p_launch_s + up.p2p_peer_s * near + out.hop_s + out.p2p_peer_s * (far - 1),
            out.p2p_ramp,
            std::max(near_s_per_byte, nic),
            nic >= near_s_per_byte ? "nic" : "scale-up",
            share,
            up.ring_sms};
  }
};

}  // namespace

Branches branches_across(const ClusterSpec& cluster, CollectiveKind kind, const GroupSpan& span) noexcept {
  const Across a{cluster.node.scale_up, cluster.scale_out, rates_of(cluster, span)};
  const GroupRates& r = a.r;
  const double n = r.ranks, near = r.members - 1, far = n - r.members;
  const auto near_s_per_byte = [&](double copy) { return near > 0 ? (near + copy) / n / r.p2p_Bps : 0; };
  Branches branches;
  switch (kind) {
    case CollectiveKind::AllReduce:
    case CollectiveKind::Barrier:
      a.add_trees(branches);
      a.add_rings(branches, 2, 2 * (n - 1), a.up.all_reduce_copy);
      break;
    case CollectiveKind::AllGather:
    case CollectiveKind::ReduceScatter:
      a.add_rings(branches, 1, n - 1, a.up.gather_copy);
      break;
    case CollectiveKind::Broadcast:
    case CollectiveKind::Reduce:
      a.add_rings(branches, 1, n, 0);
      break;
    case CollectiveKind::Gather:
    case CollectiveKind::Scatter:
      branches.add(a.sends("direct", near, far, near_s_per_byte(0), far / n, a.out.p2p_efficiency));
      break;
    case CollectiveKind::AllToAll:
      branches.add(a.sends("pairwise", near, far, near_s_per_byte(a.up.p2p_copy), far / n, a.out.p2p_efficiency));
      break;
    case CollectiveKind::SendRecv:
      branches.add(a.sends("direct", 0, 1, 0, 1, a.out.sendrecv_efficiency));
      break;
  }
  return branches;
}

}  // namespace dts

#include <algorithm>
#include <cmath>

#include "comm/fabric_branches.hpp"
#include "comm/fabric_rates.hpp"

namespace dts {
namespace {

// Share of the ring rate that a tree's chain of members reaches (NCCL src/graph/tuning.cc, "0.92"), all-reduce: each
// link carries the buffer up and down.
constexpr double kTreeShare = 0.92;
// PAT (parallel aggregated trees), one member per domain: share of the ring rate, and what each rank's block costs
// (NCCL src/graph/tuning.cc: "0.75", "2.8 us").
constexpr double kPatShare = 0.75, kPatBlock_s = 2.8e-6;

// A network hop of a ring costs more than one of a tree: it receives, reduces and sends in one step of the kernel.
// Smallest messages, ring over tree: InfiniBand 1.45 (HGX B200), GPUDirect-TCPXO 1.3 (a3-megagpu).
constexpr double kRingHop = 1.35;
constexpr double kNicSms = 4;  // multiprocessors that feed one rank's share of the NICs

struct Across {
  const ScaleUpSpec& up;
  const ScaleOutSpec& out;
  GroupRates r;

  // A low-latency start at the rate of each protocol: LL fills half of a link at most (flags beside the data), LL128
  // 120 of 128 bytes.
  void add_flagged(Branches& branches, Branch ll, double moved) const noexcept {
    ll.protocol = "LL";
    ll.limit = "nic";
    ll.s_per_byte = moved / std::min(out.low_latency_Bps, r.nic_Bps * out.ring_efficiency / 2);
    branches.add(ll);
    if (out.ll128_Bps <= 0) return;
    ll.protocol = "LL128";
    ll.startup_s += out.ll128_startup_s * r.levels;
    ll.s_per_byte = moved / std::min(out.ll128_Bps, r.nic_Bps * out.ring_efficiency * 120 / 128);
    branches.add(ll);
  }
  // Turns a low-latency branch into the bulk one: pipelines to start at once, that of the network and that of the
  // `steps` inside the domains (0: the switch's), and to fill, at full rate.
  Branch bulk(Branch b, const char* algorithm, double steps, double inside_s_per_byte,
              double nic_s_per_byte) const noexcept {
    b.algorithm = algorithm;
    const double inside_s = steps > 0 ? simple_start_s(up, steps) : 0;
    b.startup_s += std::max(out.level_startup_s * r.levels, inside_s);
    // Depth of the pipeline: the members of every level and the hop to the next.
    b.ramp = out.ramp * std::sqrt(r.levels * (r.members + 1));
    b.ramp_root = std::sqrt(out.ramp_bytes);
    b.s_per_byte = std::max(inside_s_per_byte, nic_s_per_byte);
    b.limit = inside_s_per_byte > nic_s_per_byte ? "scale-up" : "nic";
    return b;
  }
  // A NIC is fed by a few channels, a multiprocessor each (Megatron-Core docs, nccl_ub: 1 to 4 for groups that only
  // leave their domain); with neighbours inside, the ring's channels at most.
  double network_sms() const noexcept { return std::min(up.ring_sms, kNicSms * std::max(r.members, 1.0)); }
  double inside(double steps, double copy) const noexcept {
    return r.members > 1 ? (steps + copy) / r.ranks / r.ring_Bps : 0;
  }

  // `passes` times around all ranks, moving `steps` shards of bytes / ranks.
  void add_rings(Branches& branches, double passes, double steps, double copy) const noexcept {
    const double near = r.ranks - r.domains, ring_s = up.hop_s * near + kRingHop * out.hop_s * (r.domains - 1);
    const double share = steps / r.ranks;
    const Branch start{"ring", "Simple", up.launch_s + passes * ring_s, 0, 0, "nic", share, network_sms(), 0, kNoEnd};
    add_flagged(branches, start, share);
    branches.add(bulk(start, "ring", passes * near, inside(steps, copy), share / (r.nic_Bps * out.ring_efficiency)));
  }

  // Blocks aggregate in log2(domains) rounds instead of going around: all-gather and reduce-scatter of one member per
  // domain, where NCCL offers it.
  void add_pat(Branches& branches) const noexcept {
    if (r.members > 1) return;
    const double share = (r.ranks - 1) / r.ranks;
    branches.add({"pat", "Simple",
                  up.launch_s + out.level_startup_s + out.hop_s * std::ceil(r.levels) + kPatBlock_s * r.ranks, out.ramp,
                  share / (kPatShare * r.nic_Bps * out.ring_efficiency), "nic", share, network_sms(), 0, kNoEnd});
  }

  // Chains inside the domains, a double binary tree between them: up and down again.
  void add_trees(Branches& branches) const noexcept {
    const double up_s = up.hop_s * (r.members - 1) + out.hop_s * r.levels;
    const Branch start{"tree", "Simple", up.launch_s + 2 * up_s, 0, 0, "nic", 2, network_sms(), 0, kNoEnd};
    add_flagged(branches, start, 2);
    // Of two domains each sends the buffer once; from three on an inner node of one tree is a leaf of the other.
    // Without reduction in the switch NCCL's tuner rates a tree of two below their ring (0.92 / 2 of the NICs' rate
    // against n / 2 / (n - 1)), so that large buffers go around it (src/graph/tuning.cc).
    const double nic = r.domains == 2 && switched() ? 1 / (r.nic_Bps * out.tree_efficiency)
                                                    : 2 * (r.ranks - 1) / r.ranks / (r.nic_Bps * out.ring_efficiency);
    if (switched()) {
      Branch b = bulk(start, "nvls-tree", 0, nvls_s_per_byte(), nic);
      b.sms = up.nvls_sms;
      branches.add(b);
    } else {
      branches.add(bulk(start, "tree", 2 * (r.members - 1), r.members > 1 ? 2 / (kTreeShare * r.ring_Bps) : 0, nic));
    }
  }
  bool switched() const noexcept { return up.nvls_min_ranks > 0 && r.members >= up.nvls_min_ranks; }
  double nvls_s_per_byte() const noexcept { return 1 / (up.nvls_tree_efficiency * up.device_Bps); }

  // The network's switches reduce (CollNet, SHARP): the buffer leaves a domain once and comes back once, at any number
  // of domains.
  void add_sharp(Branches& branches) const noexcept {
    if (out.sharp_efficiency <= 0) return;
    const double inside_s = switched() ? nvls_s_per_byte() : r.members > 1 ? 2 / (kTreeShare * r.ring_Bps) : 0;
    const double nic_s = 1 / (r.nic_Bps * out.sharp_efficiency);
    branches.add({"sharp", "Simple", up.launch_s + 2 * up.hop_s * (r.members - 1) + out.sharp_startup_s,
                  out.ramp * std::sqrt(r.members + 1), std::max(inside_s, nic_s), inside_s > nic_s ? "scale-up" : "nic",
                  1, network_sms(), 0, kNoEnd});
  }

  // Sends to `near` members and `far` ranks elsewhere; the shares of the buffer that leave by either way.
  Branch sends(const char* name, double near, double far, double near_s_per_byte, double far_share,
               double efficiency) const noexcept {
    const double nic = far_share / (r.nic_rank_Bps * efficiency);
    const double share = far_share + near / r.ranks;
    return {name,
            "Simple",
            up.p2p_launch_s + up.p2p_peer_s * near + out.hop_s + out.p2p_peer_s * (far - 1),
            out.p2p_ramp,
            std::max(near_s_per_byte, nic),
            nic >= near_s_per_byte ? "nic" : "scale-up",
            share,
            network_sms(),
            0,
            kNoEnd};
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
      a.add_sharp(branches);
      break;
    case CollectiveKind::AllGather:
    case CollectiveKind::ReduceScatter:
      a.add_rings(branches, 1, n - 1, a.up.gather_copy);
      a.add_pat(branches);
      break;
    case CollectiveKind::Broadcast:
    case CollectiveKind::Reduce: a.add_rings(branches, 1, n, 0); break;
    case CollectiveKind::Gather:
    case CollectiveKind::Scatter:
      branches.add(a.sends("direct", near, far, near_s_per_byte(0), far / n, a.out.p2p_efficiency));
      break;
    case CollectiveKind::AllToAll:
      branches.add(a.sends("pairwise", near, far, near_s_per_byte(a.up.p2p_copy), far / n, a.out.p2p_efficiency));
      break;
    case CollectiveKind::SendRecv: branches.add(a.sends("direct", 0, 1, 0, 1, a.out.sendrecv_efficiency)); break;
  }
  return branches;
}

}  // namespace dts

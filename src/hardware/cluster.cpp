#include "hardware/cluster.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "error.hpp"

namespace dts {
namespace {

void check_share(Checker& check, const std::string& where, double value) {
  check.require(value > 0 && value <= 1, where, number_text(value), "a share in (0, 1]",
                "efficiencies are relative to the datasheet rate");
}

void check_at_most_one(Checker& check, const std::string& where, double share) {
  check.require(!(share > 1), where, number_text(share), "a share in [0, 1]", "0 for none");
}

void check_torus(Checker& check, const ScaleUpSpec& s, int domain) {
  const std::string at = "cluster.node.scale_up.";
  check.require(s.torus_axes >= 1 && s.torus_axes <= 3, at + "torus_axes", std::to_string(s.torus_axes), "1, 2 or 3");
  check.at_least(at + "torus_wrap", s.torus_wrap, 1);
  const auto& shape = s.torus_shape;
  if (std::all_of(shape.begin(), shape.end(), [](int x) { return x == 0; })) return;
  long long devices = 1;
  bool legal = true;
  for (int axis = 0; axis < 3; ++axis) {
    const int length = shape[static_cast<std::size_t>(axis)];
    legal = legal && (axis < s.torus_axes ? length >= 1 : length <= 1) && length >= 0;
    devices = std::min<long long>(devices * std::max(length, 1), 1LL << 31);
  }
  const std::string text = std::to_string(shape[0]) + "x" + std::to_string(shape[1]) + "x" + std::to_string(shape[2]);
  check.require(legal && devices == domain, at + "torus_shape", text,
                "torus_axes lengths >= 1 whose product is the " + std::to_string(domain) + " devices of the slice",
                "use 0, 0, 0 for an even shape");
}

void check_scale_up(Checker& check, const ClusterSpec& c) {
  const ScaleUpSpec& s = c.node.scale_up;
  const std::string at = "cluster.node.scale_up.";
  check.positive(at + "device_Bps", s.device_Bps);
  const int domain = s.domain_devices;
  if (check.at_least(at + "domain_devices", domain, 0) && domain > 0 && c.node.devices > 0) {
    check.require(domain % c.node.devices == 0 || c.node.devices % domain == 0, at + "domain_devices",
                  std::to_string(domain),
                  "a multiple or a divisor of the node's " + std::to_string(c.node.devices) + " devices",
                  "use 0 for one domain per node");
  }
  const std::pair<const char*, double> costs[] = {
      {"launch_s", s.launch_s},
      {"hop_s", s.hop_s},
      {"ring_ramp", s.ring_ramp},
      {"ring_ramp_growth", s.ring_ramp_growth},
      {"all_reduce_copy", s.all_reduce_copy},
      {"gather_copy", s.gather_copy},
      {"ring_sms", s.ring_sms},
      {"nvls_startup_s", s.nvls_startup_s},
      {"nvls_ramp", s.nvls_ramp},
      {"nvls_sms", s.nvls_sms},
      {"p2p_launch_s", s.p2p_launch_s},
      {"p2p_peer_s", s.p2p_peer_s},
      {"p2p_ramp", s.p2p_ramp},
      {"p2p_copy", s.p2p_copy},
      {"simple_startup_s", s.simple_startup_s},
      {"simple_hop_s", s.simple_hop_s},
      {"ll_efficiency", s.ll_efficiency},
      {"ll128_startup_s", s.ll128_startup_s},
      {"ll128_efficiency", s.ll128_efficiency},
      {"one_shot_launch_s", s.one_shot_launch_s},
      {"one_shot_peer_s", s.one_shot_peer_s},
      {"p2p_channel_Bps", s.p2p_channel_Bps},
  };
  for (const auto& [name, value] : costs) check.non_negative(at + name, value);
  check_share(check, at + "ring_efficiency", s.ring_efficiency);
  check_share(check, at + "p2p_efficiency", s.p2p_efficiency);
  check_share(check, at + "sendrecv_efficiency", s.sendrecv_efficiency);
  check.require(std::abs(s.group_exponent) <= 1, at + "group_exponent", number_text(s.group_exponent),
                "a number in [-1, 1]", "0 for a switch, 1 for a full mesh");
  check.at_least(at + "nvls_min_ranks", s.nvls_min_ranks, 0);
  check.at_least(at + "ring_devices", s.ring_devices, 0);
  check_at_most_one(check, at + "ll_efficiency", s.ll_efficiency);
  check_at_most_one(check, at + "ll128_efficiency", s.ll128_efficiency);
  if (s.one_shot_launch_s > 0) check_share(check, at + "one_shot_efficiency", s.one_shot_efficiency);
  check.at_least(at + "p2p_channels", s.p2p_channels, 0);
  if (s.p2p_channels > 0) {
    check.positive(at + "p2p_channel_Bps", s.p2p_channel_Bps);
    check.positive(at + "p2p_part_bytes", s.p2p_part_bytes);
  }
  if (s.nvls_min_ranks > 0) {
    check_share(check, at + "nvls_efficiency", s.nvls_efficiency);
    check_share(check, at + "nvls_tree_efficiency", s.nvls_tree_efficiency);
  }
  if (s.kind == ScaleUpKind::Torus) check_torus(check, s, slice_devices(c));
}

void check_scale_out(Checker& check, const ScaleOutSpec& s) {
  const std::string at = "cluster.scale_out.";
  check.positive(at + "low_latency_Bps", s.low_latency_Bps);
  const std::pair<const char*, double> costs[] = {
      {"hop_s", s.hop_s},
      {"level_startup_s", s.level_startup_s},
      {"ramp", s.ramp},
      {"p2p_peer_s", s.p2p_peer_s},
      {"p2p_ramp", s.p2p_ramp},
      {"ramp_bytes", s.ramp_bytes},
      {"ll128_startup_s", s.ll128_startup_s},
      {"ll128_Bps", s.ll128_Bps},
      {"group_nics", s.group_nics},
      {"sharp_efficiency", s.sharp_efficiency},
      {"sharp_startup_s", s.sharp_startup_s},
  };
  for (const auto& [name, value] : costs) check.non_negative(at + name, value);
  check_at_most_one(check, at + "sharp_efficiency", s.sharp_efficiency);
  check_share(check, at + "ring_efficiency", s.ring_efficiency);
  check_share(check, at + "tree_efficiency", s.tree_efficiency);
  check_share(check, at + "p2p_efficiency", s.p2p_efficiency);
  check_share(check, at + "sendrecv_efficiency", s.sendrecv_efficiency);
}

void check_others(Checker& check, const ClusterSpec& c) {
  check.require(c.others.size() < kMaxNodeKinds, "cluster.others", std::to_string(c.others.size()),
                "at most " + std::to_string(kMaxNodeKinds - 1) + " other kinds of nodes");
  std::vector<int> taken;
  for (std::size_t i = 0; i < c.others.size(); ++i) {
    const OtherNodes& other = c.others[i];
    const std::string at = "cluster.others[" + std::to_string(i) + "]";
    check.require(other.node.devices == c.node.devices, at + ".node.devices", std::to_string(other.node.devices),
                  "the " + std::to_string(c.node.devices) + " of the cluster's node");
    ClusterSpec alone{c.name, other.node, c.nodes, c.scale_out, {}};
    check.require(domain_devices(alone) == domain_devices(c), at + ".node.scale_up.domain_devices",
                  std::to_string(domain_devices(alone)),
                  "the " + std::to_string(domain_devices(c)) + " of the cluster's node");
    for (int position : other.at) {
      if (!check.require(position >= 0 && position < c.nodes, at + ".at", std::to_string(position),
                         "positions from 0 to " + std::to_string(c.nodes - 1))) {
        break;
      }
    }
    taken.insert(taken.end(), other.at.begin(), other.at.end());
    check_cluster(alone);
  }
  std::sort(taken.begin(), taken.end());
  const auto twice = std::adjacent_find(taken.begin(), taken.end());
  check.require(twice == taken.end(), "cluster.others",
                twice == taken.end() ? "" : "node " + std::to_string(*twice) + " twice", "one kind for each position");
}

}  // namespace

int domain_devices(const ClusterSpec& c) noexcept {
  const int node = c.node.devices, whole = c.node.scale_up.domain_devices > 0 ? c.node.scale_up.domain_devices : node;
  const long long all = device_count(c);
  if (whole <= node || all <= whole || all % whole == 0) return whole;
  for (int segment = whole - whole % node; 2 * segment >= whole; segment -= node) {
    if (all % segment == 0) return segment;
  }
  return whole;
}

void check_cluster(const ClusterSpec& c) {
  Checker check;
  bool counted = check.at_least("cluster.nodes", c.nodes, 1);
  counted &= check.at_least("cluster.node.devices", c.node.devices, 1);
  if (counted) {
    check.require(device_count(c) < (1LL << 31), "cluster.nodes", std::to_string(c.nodes),
                  "fewer than 2^31 devices altogether", "lower nodes or node.devices");
  }
  check_scale_up(check, c);
  if (counted && device_count(c) > domain_devices(c)) {
    const std::string mend = "devices beyond one scale-up domain are joined by NICs";
    check.require(std::isfinite(c.node.nics) && c.node.nics > 0, "cluster.node.nics", number_text(c.node.nics),
                  "a finite number > 0", mend);
    check.require(std::isfinite(c.node.nic_Bps) && c.node.nic_Bps > 0, "cluster.node.nic_Bps",
                  number_text(c.node.nic_Bps), "a finite number > 0", mend);
    check_scale_out(check, c.scale_out);
  } else {
    check.non_negative("cluster.node.nics", c.node.nics);
    check.non_negative("cluster.node.nic_Bps", c.node.nic_Bps);
  }
  check.non_negative("cluster.node.host_bytes", c.node.host_bytes);
  check.non_negative("cluster.node.host_Bps", c.node.host_Bps);
  check.non_negative("cluster.node.host_memory_Bps", c.node.host_memory_Bps);
  if (counted) check_others(check, c);
  check.throw_if_any();
}

}  // namespace dts

// Constants of the two fabric levels: inside a scale-up domain (NVLink, xGMI, ICI, PCIe) and beyond it (NICs). Every
// branch of a collective costs `startup + ramp * sqrt(bytes) + bytes / rate` (comm/fabric.hpp); these are the
// constants in it. Efficiencies are shares of a datasheet rate, so a profile serves every device of its generation.
// Values and sources: catalog/fabrics.yaml, fitted to nccl-tests over many systems; the defaults here are nvlink4 and
// infiniband. Left out: topology above the NICs (leaf, spine, tapering), which network/ prices.
#pragma once

#include <array>
#include <string>

namespace dts {

enum class ScaleUpKind {
  Flat,   // any two devices of the domain reach each other directly (NVSwitch, xGMI, PCIe)
  Torus,  // neighbour links along axes (ICI, NeuronLink): a group owns the axes it spans
};

struct ScaleUpSpec {
  std::string name = "nvlink4";
  ScaleUpKind kind = ScaleUpKind::Flat;
  int domain_devices = 0;     // devices in one domain; 0 = the node's devices
  double device_Bps = 450e9;  // datasheet, per device and direction

  // Ring (and chain), protocol Simple: launch_s + simple_startup_s + (hop_s + simple_hop_s) * steps
  //                   + ring_ramp * sqrt(bytes / ranks) * steps^ring_ramp_growth
  //                   + bytes / ranks * (steps + copy) / (ring_efficiency * device_Bps)
  double launch_s = 4.48e-6;          // kernel start and first flag exchange
  double hop_s = 836e-9;              // one low-latency step between neighbours
  double ring_efficiency = 0.881;     // asymptotic ring rate / device_Bps
  double ring_ramp = 3.92e-9;         // s per sqrt(byte): filling the chunk pipeline
  double ring_ramp_growth = 0.5;      // exponent of the number of steps in that fill
  double all_reduce_copy = 0.38;      // local copy, in steps
  double gather_copy = 0.533;         // the same for all-gather and reduce-scatter
  double ring_sms = 24;               // streaming multiprocessors a ring kernel holds
  double simple_startup_s = 5.74e-6;  // what Simple costs more than the protocols with flags: its fences and buffers
  double simple_hop_s = 162e-9;       // the same per step

  // The protocols that send flags with the data. LL: launch_s + hop_s * steps + bytes / ranks * steps / (ll_efficiency
  // * device_Bps). LL128: the same with ll128_startup_s, ll128_efficiency and the local copy. 0 = not used.
  double ll_efficiency = 0.0147;
  double ll128_startup_s = 1.42e-6;
  double ll128_efficiency = 0.39;

  // One-shot kernels (symmetric memory): every member reads all others at once; one_shot_launch_s + one_shot_peer_s *
  // peers + bytes * reads / (one_shot_efficiency * device_Bps); reads = peers for all-reduce, peers / ranks else.
  double one_shot_launch_s = 0;  // 0 = buffers are not registered, no such kernel
  double one_shot_peer_s = 0;
  double one_shot_efficiency = 0.6;

  // Reduction in the switch (NVLS), all-reduce only: nvls_startup_s + nvls_ramp * sqrt(bytes)
  //                   + bytes / (nvls_efficiency * device_Bps)
  int nvls_min_ranks = 5;  // smallest group for which the library chooses it; 0 = no such hardware
  double nvls_startup_s = 58e-6;
  double nvls_ramp = 2.53e-9;  // s per sqrt(byte)
  double nvls_efficiency = 0.5991;
  double nvls_tree_efficiency = 0.59;  // the same across domains, as the leaf of a tree
  double nvls_sms = 16;

  // Point to point and all-to-all: p2p_launch_s + p2p_peer_s * peers + p2p_ramp * sqrt(bytes)
  //                   + bytes / ranks * (peers + p2p_copy) / (p2p_efficiency * device_Bps)
  double p2p_launch_s = 6.56e-6;
  double p2p_peer_s = 564e-9;
  double p2p_ramp = 4e-9;            // s per sqrt(byte)
  double p2p_efficiency = 0.765;     // all-to-all over every link
  double p2p_copy = 0.04;            // local copy, in peers
  double sendrecv_efficiency = 0.7;  // one stream between two devices
  int p2p_channels = 0;              // channels of a communicator's point-to-point kernels; 0 = no limit modelled
  double p2p_channel_Bps = 0;        // rate of one of them
  double p2p_part_bytes = 16777216;  // above this much per channel a stream gets more of them

  // Flat: the rate of a device inside a group is ((members - 1) / (domain - 1))^group_exponent of that in the full
  // domain: 0 a switch, 1 a full mesh (only links between members), below 0 a shared bus (fewer members, more each).
  double group_exponent = 0;

  int torus_axes = 0;                // Torus: 1, 2 or 3 axes, each with device_Bps / torus_axes both ways together
  std::array<int, 3> torus_shape{};  // devices per axis; all 0 = the slice factored as evenly as possible
  int torus_wrap = 4;                // shortest full axis that is closed to a ring

  int ring_devices = 0;  // devices of a domain per NIC that the rings and trees of a group drive; 0 = all NICs
};

struct ScaleOutSpec {
  std::string name = "infiniband";
  double hop_s = 5.7e-6;              // alpha: one low-latency hop between domains, one way
  double low_latency_Bps = 8.8e9;     // rate of protocol LL per group; an all-reduce moves its data twice
  double ll128_startup_s = 18.6e-6;   // protocol LL128: start per doubling of the domains
  double ll128_Bps = 26.6e9;          // its rate per group; 0 = not used
  double level_startup_s = 37e-6;     // bulk protocol: start of the pipeline per doubling of the domains
  double ramp = 4.9e-9;               // s per sqrt(byte), times the root of the depth log2(domains) * (members + 1)
  double ramp_bytes = 1.5e9;          // above it chunks are as large as they get and the ramp does not grow
  double ring_efficiency = 0.87;      // ring over all NICs of the group / their datasheet rate
  double group_nics = 0;              // NICs of a domain that one group's rings and trees use at most; 0 = all
  double tree_efficiency = 0.96;      // two domains whose switches reduce: each sends it once
  double p2p_peer_s = 2.6e-6;         // all-to-all: cost of one remote peer
  double p2p_ramp = 13e-9;            // s per sqrt(byte)
  double p2p_efficiency = 0.74;       // all-to-all over the NICs
  double sendrecv_efficiency = 0.72;  // one stream over one NIC share
  double sharp_efficiency = 0;        // reduction in the switches (SHARP): rate / NIC rate; 0 = no such hardware
  double sharp_startup_s = 0;         // its start: one pass through the switch tree
};

}  // namespace dts

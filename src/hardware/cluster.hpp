// Node and cluster: devices joined by a scale-up fabric inside a domain (NVLink, xGMI, ICI, PCIe) and by NICs beyond
// it. The constants of both fabrics are fitted per generation and fabric class, never per system (hardware/fabric.hpp).
#pragma once

#include <string>
#include <vector>

#include "hardware/device.hpp"
#include "hardware/fabric.hpp"

namespace dts {

struct NodeSpec {
  std::string name = "generic-node";
  DeviceSpec device;
  int devices = 8;
  ScaleUpSpec scale_up;
  double nics = 8;        // NICs of the node
  double nic_Bps = 50e9;  // one NIC, per direction
  double host_bytes = 2e12;
  double host_Bps = 55e9;          // device to host memory, per device and direction
  double host_memory_Bps = 600e9;  // of the node's host memory
};

// Nodes of another kind at some positions: other devices, or degraded links.
struct OtherNodes {
  NodeSpec node;
  std::vector<int> at;  // positions, 0 to nodes - 1
};

struct ClusterSpec {
  std::string name = "generic-cluster";
  NodeSpec node;
  int nodes = 1;
  ScaleOutSpec scale_out;
  std::vector<OtherNodes> others;  // as many devices a node, in domains of the same size
};
inline constexpr std::size_t kMaxNodeKinds = 32;

inline long long device_count(const ClusterSpec& c) noexcept {
  return static_cast<long long>(c.nodes) * c.node.devices;
}
// Devices that reach each other without a NIC: the node, or several nodes of one rack-scale domain. Nodes that fill no
// whole domains stand in equal segments of them, as block schedulers place jobs (Slurm --segment: 16 of an NVL72 rack's
// 18 trays), where segments of half a domain or more divide the cluster.
int domain_devices(const ClusterSpec& c) noexcept;

// Devices of one domain that the cluster has: a torus slice may be smaller than the pod.
inline int slice_devices(const ClusterSpec& c) noexcept {
  return device_count(c) < domain_devices(c) ? static_cast<int>(device_count(c)) : domain_devices(c);
}

// Throws ConfigError naming every field that is not physical. Prices assume a checked cluster. The device itself is
// checked by check_device (hardware/device.hpp).
void check_cluster(const ClusterSpec& cluster);

}  // namespace dts

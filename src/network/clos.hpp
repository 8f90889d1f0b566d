// The links of a cluster: a scale-up port per device, a cable per NIC, and above the NICs leaf and spine switches, all
// in both directions. Which of them a stream between two devices takes, and what is left of each after faults.
//
//   fat tree         the NICs of a node share a leaf with those of `nodes_per_leaf` nodes
//   rail optimized   a leaf per NIC position: nodes meet on a leaf rail by rail
//
// A node with fewer NICs than devices gives neighbours one together; with more, every device several as one.
// Left out: more than two levels of switches, the PCIe tree of a node, latencies (prices have them).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "comm/span.hpp"
#include "hardware/cluster.hpp"
#include "network/paths.hpp"

namespace dts {

struct CableShare {
  std::string cable;  // "nic 3.0", "leaf 2 - spine 1", "port 12"; both directions
  double share = 1;   // of its rate that is left; 0: dead
  double time_s = 0;  // from then on
};

struct ClosOptions {
  bool rail_optimized = false;
  int nodes_per_leaf = 0;       // 0: leaves of 64 ports, half of them down
  int spines = 0;               // 0: one that stands for all, as if traffic were spread evenly
  double oversubscription = 1;  // bandwidth below a leaf / above it
  PathRouting routing = PathRouting::Shortest;
  std::uint64_t seed = 0;  // of the ECMP hash
  std::vector<CableShare> cables;
};

struct LinkPart {
  std::uint32_t link = 0;
  double part = 1;  // of the stream: adaptive routing sprays over the spines
};

class Clos {
 public:
  // Throws ConfigError naming every illegal option and unknown cable.
  Clos(const ClusterSpec& cluster, ClosOptions options);

  const ClusterSpec& cluster() const noexcept { return cluster_; }
  const ClosOptions& options() const noexcept { return options_; }
  std::size_t size() const noexcept { return capacity_Bps_.size(); }
  double capacity_Bps(std::size_t link) const noexcept { return capacity_Bps_[link]; }  // as built
  double left_Bps(std::size_t link) const noexcept { return capacity_Bps_[link] * share_[link]; }
  std::string name(std::size_t link) const;  // "nic 3.0 up"
  bool is_nic(std::size_t link) const noexcept { return link >= first_nic_ && link < first_uplink_; }
  bool is_port(std::size_t link) const noexcept { return link < first_nic_; }

  // Links from one device to another; ends of dead cables are avoided. Throws InfeasibleError where nothing is left.
  void route(int from, int to, std::vector<LinkPart>& path) const;

  // What `options.cables` say from `time_s` on. True where a cable died or came back: routes change.
  bool set_time(double time_s);
  const std::vector<double>& change_times_s() const noexcept { return change_times_s_; }  // after 0, ascending

  int nics_per_node() const noexcept { return nics_; }
  int nic_of(int device) const noexcept;  // over the cluster
  int leaf_of(int nic) const noexcept;
  int leaves() const noexcept { return leaves_; }
  int spines() const noexcept { return spines_; }

 private:
  std::size_t uplink(int leaf, int spine) const noexcept {
    return first_uplink_ +
           2 * (static_cast<std::size_t>(leaf) * static_cast<std::size_t>(spines_) + static_cast<std::size_t>(spine));
  }
  void check() const;
  std::size_t find(const std::string& cable) const;  // its first link; size() where there is none
  void climb(int from_leaf, int to_leaf, int from_nic, int to_nic, std::vector<LinkPart>& path) const;
  [[noreturn]] void cut_off(const std::string& what, int from, int to) const;

  ClusterSpec cluster_;
  ClosOptions options_;
  int nics_ = 0, per_leaf_ = 1, leaves_ = 1, spines_ = 1;
  std::size_t first_nic_ = 0, first_uplink_ = 0;
  std::vector<double> capacity_Bps_, share_;
  std::vector<std::size_t> cable_;  // first link of options.cables
  std::vector<double> change_times_s_;
};

}  // namespace dts

#include "memory/communicator_bytes.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace dts {

namespace {

double power_of_two_from(double count) { return std::exp2(std::ceil(std::log2(std::max(count, 1.0)))); }

class Sizes {
 public:
  Sizes(const CommunicationLibrary& library, const ClusterSpec& cluster, const GroupSpan& span)
      : lib_(library), node_(cluster.node), up_(cluster.node.scale_up), span_(span), domain_(domain_devices(cluster)) {}

  // Both ends of one direction between neighbours of a domain, of which a rank has one each where it has both.
  double near() const { return whole(lib_.simple_bytes + lib_.ll_bytes + lib_.ll128_bytes) + lib_.granularity_bytes; }
  double far() const { return whole(lib_.simple_bytes + lib_.ll128_bytes); }  // one end of one direction

  double channels() const {
    if (span_.domains == 1) return domain_channels();
    const double nics = std::floor(node_.nics / node_.devices * span_.ranks_per_domain);
    const double doubled = 2 * std::max(nics, 1.0);
    return up_.nvls_min_ranks > 0 && doubled < 16 ? 2 * doubled : doubled;
  }
  double point_to_point_channels() const {
    return span_.domains == 1 && up_.p2p_channels > 0 ? up_.p2p_channels : power_of_two_from(channels());
  }
  // Of one peer in the domain: all, behind a switch; a pair where the network limits them.
  double channels_of_peer() const {
    const double nic_Bps = node_.nic_Bps * std::max(node_.nics / node_.devices, 1.0);
    const double network = std::max(2.0, std::ceil(nic_Bps / std::max(lib_.point_to_point_Bps, 1.0)));
    const double wanted = span_.domains > 1 ? power_of_two_from(network) : switched() ? point_to_point_channels() : 2;
    return std::min(wanted, point_to_point_channels());
  }

  double ring() const {
    const double exits = span_.domains > 1 ? 1.0 / span_.ranks_per_domain : 0;  // channels that leave here, of all
    return channels() * ((1 - exits) * near() + exits * 2 * far());
  }
  double tree() const {
    const double inside = span_.ranks_per_domain > 2 ? near() : 0;  // of two, the ring's neighbours are the same
    const double neighbours = 2.0 * (span_.domains - 1) / span_.domains;
    return channels() * (inside + neighbours * 2 * far() / span_.ranks_per_domain);
  }
  double in_switch() const {
    if (up_.nvls_min_ranks <= 0 || span_.ranks_per_domain < 2) return 0;
    return whole(up_.nvls_sms * 2 * lib_.switch_buffer_bytes * span_.ranks_per_domain);
  }
  double pool() const {
    const double chunk = span_.domains > 1 ? lib_.network_chunk_bytes
                         : switched()      ? lib_.switch_chunk_bytes
                                           : lib_.local_chunk_bytes;
    return whole(point_to_point_channels() * lib_.shared_steps * chunk);
  }

 private:
  // The rings that the links hold, each doubled twice (graph/search.cc, connect.cc); those of faster generations than
  // Ampere are counted in the fabric's constants. Links too slow for one (PCIe): a ring, doubled.
  double domain_channels() const {
    const double rings = std::floor(lib_.link_share * up_.device_Bps / std::max(lib_.ring_Bps, 1.0));
    return std::min(up_.ring_sms, rings >= 1 ? 4 * rings : 2);
  }
  double whole(double bytes) const { return std::ceil(bytes / lib_.granularity_bytes) * lib_.granularity_bytes; }
  bool switched() const { return up_.kind == ScaleUpKind::Flat && up_.group_exponent == 0 && domain_ > 1; }

  const CommunicationLibrary& lib_;
  const NodeSpec& node_;
  const ScaleUpSpec& up_;
  const GroupSpan& span_;
  int domain_;
};

}  // namespace

void add_algorithm(Communicator& communicator, const char* algorithm) {
  const auto is = [&](const char* name) { return std::strcmp(algorithm, name) == 0; };
  communicator.ring |= is("ring") || is("chain") || is("pat") || is("sharp");
  communicator.tree |= is("tree") || is("nvls-tree");
  communicator.in_switch |= is("nvls") || is("nvls-tree");
}

double communicator_bytes(const CommunicationLibrary& library, const ClusterSpec& cluster, const Communicator& asked) {
  if (asked.span.ranks < 2 || library.granularity_bytes <= 0) return 0;
  const Sizes sizes(library, cluster, asked.span);
  const bool all = !library.connects_on_use;
  double bytes = asked.near_peers * sizes.channels_of_peer() * sizes.near();
  if (asked.ring || all) bytes += sizes.ring();
  if (asked.tree || all) bytes += sizes.tree();
  if (asked.in_switch || all) bytes += sizes.in_switch();
  const bool far = asked.far_peers > 0;
  return bytes + sizes.pool() * ((far || library.pool_of_sends) + far);
}

}  // namespace dts

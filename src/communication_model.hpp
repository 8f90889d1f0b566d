// What a collective among a group of ranks costs on a topology: time, algorithm, what bounds it, and the bytes it puts
// on every pair and link. Algorithms are the classic ones (comm/classic.hpp), each priced on the routed links
// (comm/schedule_cost.hpp); AUTO takes the fastest. Immutable, so one model may serve several threads.
// Left out: other groups that use the links at the same time, protocol effects of a vendor library.
#pragma once

#include <vector>

#include "comm/classic.hpp"
#include "comm/schedule_cost.hpp"
#include "hardware/topology.hpp"

namespace dts {

struct CollectiveOptions {
  Algorithm algorithm = Algorithm::Auto;
  int root = -1;   // of broadcast, reduce, gather, scatter: a rank; -1 = the group's first
  int chunks = 0;  // of the pipelined algorithms; 0 = the fastest number
};

struct CollectiveTraffic {
  Algorithm algorithm = Algorithm::Auto;
  std::vector<double> link_bytes;  // per link id of the topology
  std::vector<double> pair_bytes;  // device_count x device_count, row = sender
};

// How a collective would be carried out: what a message-by-message run needs to know.
struct CollectivePlan {
  Algorithm algorithm = Algorithm::Auto;
  int chunks = 1;
  std::vector<int> members, dims;  // in schedule order, root first; comm/classic.hpp
};

inline constexpr double kMaxSends = 1 << 22;       // of one schedule
inline constexpr int kMaxMatrixDevices = 1 << 13;  // pair_bytes stays below 512 MiB

class CommunicationModel {
 public:
  // `reduce_s_per_byte`: time a rank needs to combine one received byte with its own (gamma).
  explicit CommunicationModel(Topology topology, double reduce_s_per_byte = 0);

  // `bytes` by the convention of comm/collective.hpp. send/recv: ranks = {source, destination}. One rank costs nothing.
  CollectiveCost collective(CollectiveKind kind, double bytes, const std::vector<int>& ranks,
                            const CollectiveOptions& options = {}) const;
  CollectiveTraffic traffic(CollectiveKind kind, double bytes, const std::vector<int>& ranks,
                            const CollectiveOptions& options = {}) const;

  CollectivePlan plan(CollectiveKind kind, double bytes, const std::vector<int>& ranks,
                      const CollectiveOptions& options = {}) const;

  CommunicationModel with_links(const std::vector<Link>& changed) const;
  const Topology& topology() const noexcept { return topology_; }
  double reduce_s_per_byte() const noexcept { return reduce_s_per_byte_; }

 private:
  struct Priced {
    Algorithm algorithm = Algorithm::Auto;
    std::vector<int> dims;
    Schedule schedule;
    ScheduleCost cost;
  };
  Priced price(CollectiveKind kind, double bytes, const std::vector<int>& members, const CollectiveOptions& options,
               Router& router) const;
  std::string bound_of(const ScheduleCost& cost) const;

  Topology topology_;
  double reduce_s_per_byte_ = 0;
};

}  // namespace dts

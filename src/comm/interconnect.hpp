// What the step program asks of a network: how long a collective takes on a group of ranks, and which bytes it moves
// between pairs. Two networks answer: the structural model of real fabrics (comm/fabric.hpp) and the link-level model
// with classic algorithms (communication_model.hpp).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "comm/collective.hpp"
#include "comm/token_exchange.hpp"
#include "communication_model.hpp"
#include "hardware/cluster.hpp"

namespace dts {

// Kinds of nodes (hardware/cluster.hpp) as bits: 1 for the cluster's node alone.
using NodeKinds = std::uint32_t;

struct RankGroup {
  std::vector<int> ranks;
  GroupSpan span;       // groups of equal span on nodes of the same kinds cost the same
  NodeKinds kinds = 1;  // of the nodes it touches; the slowest decides
};

class Interconnect {
 public:
  virtual ~Interconnect() = default;
  virtual int device_count() const = 0;
  virtual bool uniform() const = 0;         // whether cost depends on a group's span and kinds alone
  virtual int period() const { return 0; }  // groups shifted by so many ranks have the same span; 0: not known
  virtual int node_kinds() const { return 1; }
  virtual int node_kind(int) const { return 0; }                  // of a rank
  virtual const ClusterSpec* cluster() const { return nullptr; }  // null: a network of links
  // `ranks` come back as the devices they stand on.
  virtual RankGroup group(std::vector<int> ranks) const = 0;
  virtual CollectiveCost cost(CollectiveKind kind, double bytes, const RankGroup& group) const = 0;
  // Tokens to their experts, each row sent once per domain and rank (comm/token_exchange.hpp).
  virtual CollectiveCost exchange(double bytes, const TokenCopies& copies, const RankGroup& group) const = 0;
  // Adds `times` such collectives to a row-major matrix of bytes from rank to rank.
  virtual void add_traffic(CollectiveKind kind, double bytes, double times, const RankGroup& group,
                           std::vector<double>& matrix) const = 0;
  virtual void add_exchange_traffic(double bytes, const TokenCopies& copies, double times, const RankGroup& group,
                                    std::vector<double>& matrix) const = 0;
};

// `alone`: groups are priced as if no sibling used the NICs that they share with it. Throws ConfigError.
std::unique_ptr<Interconnect> make_interconnect(ClusterSpec cluster, bool alone = false);
std::unique_ptr<Interconnect> make_interconnect(CommunicationModel model);
// The network with rank r on device device_of[r]; it must outlive the result. Throws ConfigError unless a permutation.
std::unique_ptr<Interconnect> place_on(const Interconnect& network, std::vector<int> device_of);

}  // namespace dts

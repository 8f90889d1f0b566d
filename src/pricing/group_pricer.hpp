// Collectives of a layout: which ranks form the groups of an axis, and what the network asks for them. Remembers what
// it priced: not for several threads at once.
#pragma once

#include <array>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "comm/interconnect.hpp"
#include "parallel/local_op.hpp"
#include "parallel/rank_grid.hpp"

namespace dts {

struct CallPrice {
  double seconds = 0;
  double sms = 0;         // multiprocessors its kernel holds meanwhile
  double transfer_s = 0;  // of the seconds (comm/collective.hpp)
};

// What tells ranks apart whose groups lie alike: the kinds of nodes that their group of each axis touches.
using AxisKinds = std::array<NodeKinds, kAxisCount>;
inline constexpr AxisKinds kOneKind{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

class GroupPricer {
 public:
  GroupPricer(const Interconnect& network, const RankGrid& grid, const AxisKinds& kinds = kOneKind);

  CallPrice price(const CollectiveCall& call) const;
  double seconds(const CollectiveCall& call) const { return price(call).seconds; }
  double among_s(CollectiveKind kind, double bytes, const std::vector<int>& ranks) const;  // any ranks
  double between_stages_s(CollectiveKind kind, double bytes, int a, int b) const;          // two ranks of one pipeline
  // A transfer between two ranks of every pipeline; the slowest pipeline decides.
  double slowest_hop_s(double bytes, std::size_t from, std::size_t to) const;
  bool near(int a, int b) const;                 // two ranks lie in one scale-up domain
  bool within_domain(Axis axis) const noexcept;  // every group of the axis lies in one scale-up domain
  const RankGrid& grid() const noexcept { return grid_; }
  // One group of the axis for each way in which they lie; none of a single rank, nor of parts that are the whole.
  const std::vector<RankGroup>& groups_of(Axis axis) const noexcept {
    return representatives_[static_cast<std::size_t>(axis)];
  }

 private:
  struct Sent {  // between two ranks
    GroupSpan span;
    NodeKinds kinds;
    double bytes, seconds;
  };
  CallPrice slowest(const CollectiveCall& call) const;
  double send_s(double bytes, const RankGroup& both) const;
  CallPrice to_next(double bytes, const std::vector<int>& ranks, NodeKinds kinds) const;
  RankGroup pair(int a, int b, NodeKinds kinds) const;

  const Interconnect& network_;
  RankGrid grid_;
  AxisKinds kinds_;
  // Groups of one axis may lie differently on the nodes; the slowest decides, so each distinct span is priced.
  std::array<std::vector<RankGroup>, kAxisCount> representatives_;
  std::vector<std::vector<int>> pipelines_;            // one for each way to lie
  mutable std::map<CollectiveCall, CallPrice> known_;  // calls repeat from op to op, and from strategy to strategy
  mutable std::vector<Sent> sent_;
  mutable std::map<std::tuple<double, std::size_t, std::size_t>, double> hops_;  // bytes, from, to
  mutable std::map<std::pair<int, int>, bool> near_;
};

}  // namespace dts

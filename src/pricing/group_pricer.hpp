// Collectives of a layout: which ranks form the groups of an axis, and what the network asks for them.
#pragma once

#include <array>
#include <vector>

#include "comm/interconnect.hpp"
#include "parallel/local_op.hpp"
#include "parallel/rank_grid.hpp"

namespace dts {

class GroupPricer {
 public:
  GroupPricer(const Interconnect& network, const RankGrid& grid);

  struct Cost {
    double time_s = 0, sms = 0;
  };
  Cost cost(const CollectiveCall& call) const;  // of the slowest group
  double seconds(const CollectiveCall& call) const { return cost(call).time_s; }
  double seconds(CollectiveKind kind, double bytes, const std::vector<int>& ranks) const;
  // A transfer between two members of each group; the slowest group decides.
  double slowest_hop_s(double bytes, const std::vector<std::vector<int>>& groups, std::size_t from, std::size_t to) const;
  const RankGrid& grid() const noexcept { return grid_; }

 private:
  const Interconnect& network_;
  const RankGrid& grid_;
  // Groups of one axis may lie differently on the nodes; the slowest decides, so each distinct span is priced.
  std::array<std::vector<RankGroup>, kAxisCount> representatives_;
};

}  // namespace dts

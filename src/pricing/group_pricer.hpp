// Collectives of a layout: which ranks form the group of an axis, and what the communication model asks for it.
#pragma once

#include <array>
#include <vector>

#include "communication_model.hpp"
#include "parallel/local_op.hpp"
#include "parallel/rank_grid.hpp"

namespace dts {

class GroupPricer {
 public:
  GroupPricer(const CommunicationModel& model, const RankGrid& grid);

  double seconds(const CollectiveCall& call) const;
  double seconds(CollectiveKind kind, double bytes, const std::vector<int>& ranks) const;
  const RankGrid& grid() const noexcept { return grid_; }

 private:
  const CommunicationModel& model_;
  const RankGrid& grid_;
  // Groups of one axis may lie differently on the nodes; the slowest decides, so each distinct span is priced.
  std::array<std::vector<std::vector<int>>, kAxisCount> representatives_;
};

}  // namespace dts

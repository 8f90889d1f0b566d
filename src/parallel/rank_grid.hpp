// Ranks and their groups. Dense axes (tp, cp, dp, pp) factor the world; experts re-factor the ranks of each pipeline
// stage as (etp, ep, edp), in the same order (Megatron-LM's parallel_state, which knows this for pp last only). Rank 0
// is device 0; the first axis of `rank_order` varies fastest.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "error.hpp"
#include "parallel/strategy.hpp"

namespace dts {

// DP_CP is the gradient group: context-parallel ranks hold the same weights, so gradients are reduced over both.
// It and EDP are cut into neighbours that shard states (_SHARD), the ranks across those that hold the same shard
// (_REPLICA), and neighbours among which FSDP keeps parameters between forward and backward (_RESHARD).
// CP_HEADS and CP_SEQUENCE factor cp: neighbours that exchange heads, and the ranks across them that share a sequence.
enum class Axis {
  TP,
  CP,
  DP,
  PP,
  EP,
  ETP,
  EDP,
  DP_CP,
  CP_HEADS,
  CP_SEQUENCE,
  DP_SHARD,
  DP_REPLICA,
  DP_RESHARD,
  EDP_SHARD,
  EDP_REPLICA,
  EDP_RESHARD
};
inline constexpr std::size_t kAxisCount = 16;
const char* name_of(Axis axis) noexcept;

class RankGrid {
 public:
  explicit RankGrid(const Strategy& strategy);  // throws ConfigError, see check_grid

  int world() const noexcept { return world_; }
  // Groups that shard states: the whole gradient group, or its parts between replicas.
  Axis shard_axis(bool expert) const noexcept {
    if (size(Axis::DP_REPLICA) == 1) return expert ? Axis::EDP : Axis::DP_CP;
    return expert ? Axis::EDP_SHARD : Axis::DP_SHARD;
  }
  int size(Axis axis) const noexcept { return size_[static_cast<std::size_t>(axis)]; }
  int coordinate(int rank, Axis axis) const noexcept;
  // Ranks that differ from `rank` only along the axis, in axis order.
  std::vector<int> group(int rank, Axis axis) const;
  // Every group of the axis, ordered by its first rank.
  std::vector<std::vector<int>> groups(Axis axis) const;
  // The same without groups that are an earlier one shifted by a multiple of `period` ranks; period 0: all.
  std::vector<std::vector<int>> groups_apart(Axis axis, int period) const;

 private:
  std::vector<Axis> beside(Axis axis) const;
  std::vector<int> gradient_group(int rank) const;
  // The part of a gradient group that holds its member at `index`.
  std::vector<int> part(const std::vector<int>& whole, int index, Axis axis) const;
  // Expert axes count the ranks of one stage; these convert between a rank and its place in its stage.
  int place_of(int rank, Axis axis) const noexcept;
  int rank_at(int place, int like, Axis axis) const noexcept;

  int world_ = 1;
  std::array<int, kAxisCount> size_{};
  std::array<int, kAxisCount> stride_{};
};

// Degrees >= 1, at most kMaxRanks ranks, experts that fit, a known order: what any grid needs.
inline constexpr long long kMaxRanks = 1LL << 24;
void check_grid(Checker& check, const Strategy& strategy);

// The axes of an order such as "tp-cp-ep-dp-pp"; empty if it is not a permutation of those five.
std::vector<Axis> parse_rank_order(const std::string& order);

}  // namespace dts

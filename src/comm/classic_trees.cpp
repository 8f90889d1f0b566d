// Rooted patterns: binomial trees, chains and the double binary tree. Written as broadcast or scatter from member 0;
// reduce and gather are the same sends backwards.
#include <algorithm>
#include <utility>

#include "comm/classic_parts.hpp"

namespace dts {

Schedule binomial_broadcast(int n, double bytes) {
  Schedule schedule;
  for (int reached = 1; reached < n; reached *= 2) {
    Round round;
    for (int i = 0; i < reached && i + reached < n; ++i) round.sends.push_back({i, i + reached, bytes, false});
    schedule.push_back(std::move(round));
  }
  return schedule;
}

// Member i hands on the blocks of the members behind it, the farthest and largest part first.
Schedule binomial_scatter(int n, double block) {
  Schedule schedule;
  for (int distance = 1 << log2_ceil(n) >> 1; distance >= 1; distance /= 2) {
    Round round;
    for (int i = 0; i + distance < n; i += 2 * distance) {
      round.sends.push_back({i, i + distance, block * std::min(distance, n - i - distance), false});
    }
    schedule.push_back(std::move(round));
  }
  return schedule;
}

Schedule chain_broadcast(int n, double bytes) {
  Round round;
  round.stages = n - 1;
  for (int i = 0; i + 1 < n; ++i) round.sends.push_back({i, i + 1, bytes, false});
  return {round};
}

Schedule direct_broadcast(int n, double bytes) {
  Round round;
  for (int i = 1; i < n; ++i) round.sends.push_back({0, i, bytes, false});
  return {round};
}

namespace {

// In-order binary tree over 0 .. n-1 rooted at 0: odd members are leaves, each other member's children lie around it.
int in_order_parent(int member, int n) {
  const int lowest = member & -member, up = (member ^ lowest) | (lowest << 1);
  return up < n ? up : member ^ lowest;
}

// A second tree in which the leaves of the first are the inner members: mirrored for even n, shifted for odd n.
int second_tree_member(int member, int n) { return n % 2 == 0 ? n - 1 - member : (member + 1) % n; }

struct DoubleTree {
  std::vector<std::pair<int, int>> edges;  // parent, child; of the first tree and of the second in turn
  int depth = 0;                           // edges from a root to its farthest leaf
  int second_root = 0;
};

DoubleTree double_tree(int n) {
  DoubleTree trees;
  trees.second_root = second_tree_member(0, n);
  for (int member = 1; member < n; ++member) {
    const int parent = in_order_parent(member, n);
    trees.edges.emplace_back(parent, member);
    trees.edges.emplace_back(second_tree_member(parent, n), second_tree_member(member, n));
    int depth = 0;
    for (int at = member; at != 0; at = in_order_parent(at, n)) ++depth;
    trees.depth = std::max(trees.depth, depth);
  }
  return trees;
}

}  // namespace

// The second root first gets its half from member 0, one stage more.
Schedule double_tree_broadcast(int n, double bytes) {
  const DoubleTree trees = double_tree(n);
  Round round;
  round.stages = trees.depth + 1;
  for (std::size_t i = 0; i < trees.edges.size(); ++i) {
    const auto& [parent, child] = trees.edges[i];
    if (child != 0) round.sends.push_back({parent, child, bytes / 2, false, static_cast<int>(i % 2)});
  }
  round.sends.push_back({0, trees.second_root, bytes / 2, false, 1});
  return {round};
}

// Chunks are reduced towards both roots and, as they arrive, broadcast down again.
Schedule double_tree_all_reduce(int n, double bytes) {
  const DoubleTree trees = double_tree(n);
  Round round;
  round.stages = 2 * trees.depth;
  for (std::size_t i = 0; i < trees.edges.size(); ++i) {
    const auto& [parent, child] = trees.edges[i];
    const int lane = static_cast<int>(i % 2);
    round.sends.push_back({child, parent, bytes / 2, true, lane});
    round.sends.push_back({parent, child, bytes / 2, false, lane});
  }
  return {round};
}

}  // namespace dts

#include "hardware/routing.hpp"

#include <algorithm>
#include <cstdlib>

namespace dts {

namespace {
constexpr std::size_t kMaxCachedEntries = std::size_t{1} << 25;  // search trees kept: 128 MiB
}

const std::vector<int>& Router::route(int from, int to) {
  path_.clear();
  if (from == to) return path_;
  if (!topology_.parent().empty()) {
    tree_route(from, to);
    return path_;
  }
  const TopologySpec& spec = topology_.spec();
  if (!topology_.has_hubs() || spec.kind == TopologyKind::RailOptimized) {
    topology_.grid().dims.empty() ? search_route(from, to) : grid_route(from, to);
    return path_;
  }
  const int from_node = from / spec.devices_per_node, to_node = to / spec.devices_per_node;
  const int from_hub = topology_.node_vertex(from_node), to_hub = topology_.node_vertex(to_node);
  step(from, from_hub);
  if (from_node != to_node) {
    topology_.grid().dims.empty() ? search_route(from_hub, to_hub) : grid_route(from_node, to_node);
  }
  step(to_hub, to);
  return path_;
}

void Router::grid_route(int from_node, int to_node) {
  const Grid& grid = topology_.grid();
  const std::size_t dimensions = grid.dims.size();
  int at = from_node, stride = 1;
  for (std::size_t d = dimensions; d-- > 0;) {
    const int size = grid.dims[d], x = from_node / stride % size;
    int offset = to_node / stride % size - x;
    if (grid.wraps && 2 * std::abs(offset) > size) offset += offset > 0 ? -size : size;
    if (grid.wraps && 2 * std::abs(offset) == size) offset = x % 2 == 0 ? size / 2 : -size / 2;
    const std::vector<int>& next = offset > 0 ? grid.up : grid.down;
    const int direction = offset > 0 ? 1 : -1;
    for (int here = x; offset != 0; offset -= direction) {
      path_.push_back(next[static_cast<std::size_t>(at) * dimensions + d]);
      const int there = here + direction;
      const int wrapped = there == size ? 0 : there < 0 ? size - 1 : there;
      at += (wrapped - here) * stride;
      here = wrapped;
    }
    stride *= size;
  }
}

void Router::tree_route(int from, int to) {
  const std::vector<int>& parent = topology_.parent();
  const auto up = [&](int v) { return parent[static_cast<std::size_t>(v)]; };
  const auto depth = [&](int v) {
    int d = 0;
    for (; up(v) >= 0; v = up(v)) ++d;
    return d;
  };
  int from_depth = depth(from), to_depth = depth(to);
  down_.clear();
  while (from != to) {
    if (from_depth >= to_depth) {
      step(from, up(from));
      from = up(from);
      --from_depth;
    } else {
      down_.push_back(topology_.find_link(up(to), to));
      to = up(to);
      --to_depth;
    }
  }
  path_.insert(path_.end(), down_.rbegin(), down_.rend());
}

void Router::search_route(int from, int to) {
  if (const int direct = topology_.find_link(from, to); direct >= 0) {
    path_.push_back(direct);
    return;
  }
  // Over one vertex in between the search would find the lowest: no need for a tree.
  for (int id = topology_.first_link(from); id < topology_.first_link(from + 1); ++id) {
    const int second = topology_.find_link(topology_.links()[static_cast<std::size_t>(id)].to, to);
    if (second < 0) continue;
    path_.insert(path_.end(), {id, second});
    return;
  }
  if (topology_.spec().spines > 1 && spine_route(from, to)) return;
  const std::vector<int>& arrived_by = search(from);
  const std::size_t start = path_.size();
  for (int v = to; v != from; v = topology_.links()[static_cast<std::size_t>(path_.back())].from) {
    path_.push_back(arrived_by[static_cast<std::size_t>(v)]);
  }
  std::reverse(path_.begin() + static_cast<std::ptrdiff_t>(start), path_.end());
}

// Up to the receiver's spine and down, the leaves being the switches next to both ends.
bool Router::spine_route(int from, int to) {
  const TopologySpec& spec = topology_.spec();
  const int spine = topology_.vertex_count() - spec.spines + to % spec.spines;
  for (int up = topology_.first_link(from); up < topology_.first_link(from + 1); ++up) {
    const int leaf = topology_.links()[static_cast<std::size_t>(up)].to, climb = topology_.find_link(leaf, spine);
    if (climb < 0) continue;
    for (int down = topology_.first_link(spine); down < topology_.first_link(spine + 1); ++down) {
      const int last = topology_.find_link(topology_.links()[static_cast<std::size_t>(down)].to, to);
      if (last < 0) continue;
      path_.insert(path_.end(), {up, climb, down, last});
      return true;
    }
  }
  return false;
}

const std::vector<int>& Router::search(int from) {
  const auto vertices = static_cast<std::size_t>(topology_.vertex_count());
  if ((arrived_by_.size() + 1) * vertices > kMaxCachedEntries) arrived_by_.clear();
  std::vector<int>& arrived_by = arrived_by_[from];
  if (!arrived_by.empty()) return arrived_by;
  arrived_by.assign(vertices, -1);
  std::vector<int> queue{from};
  for (std::size_t head = 0; head < queue.size(); ++head) {
    for (int id = topology_.first_link(queue[head]); id < topology_.first_link(queue[head] + 1); ++id) {
      const int v = topology_.links()[static_cast<std::size_t>(id)].to;
      if (v == from || arrived_by[static_cast<std::size_t>(v)] >= 0) continue;
      arrived_by[static_cast<std::size_t>(v)] = id;
      queue.push_back(v);
    }
  }
  return arrived_by;
}

}  // namespace dts

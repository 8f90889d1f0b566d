#include "network/paths.hpp"

#include <algorithm>

#include "error.hpp"

namespace dts {

namespace {

constexpr std::size_t kMaxTableEntries = std::size_t{1} << 25;  // hop counts kept: 64 MiB
constexpr std::size_t kMaxKnownLinks = std::size_t{1} << 22;    // links of paths kept: 16 MiB

// SplitMix64: spreads the bits of what a switch would hash.
std::uint64_t mixed(std::uint64_t x) noexcept {
  x += 0x9E3779B97F4A7C15ull;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

std::uint64_t pair_key(int from, int to) noexcept {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(from)) << 32 | static_cast<std::uint32_t>(to);
}

}  // namespace

std::string name_of(PathRouting routing) {
  switch (routing) {
    case PathRouting::Shortest: return "shortest";
    case PathRouting::Ecmp: return "ecmp";
    case PathRouting::RailAligned: return "rail_aligned";
    case PathRouting::Adaptive: return "adaptive";
  }
  return "unknown";
}

void check_paths(const Topology& topology, const PathOptions& options) {
  Checker check;
  const bool rails = topology.spec().kind == TopologyKind::RailOptimized && topology.spec().devices_per_node > 1;
  check.require(options.routing != PathRouting::RailAligned || rails, "routing", name_of(options.routing),
                "shortest, ecmp or adaptive: only RAIL_OPTIMIZED with several devices per node has rails");
  for (std::size_t i = 0; i < options.dead_links.size() && check.violations().size() < 20; ++i) {
    const auto [a, b] = options.dead_links[i];
    check.require(topology.find_link(a, b) >= 0 || topology.find_link(b, a) >= 0,
                  "dead_links[" + std::to_string(i) + "]", std::to_string(a) + " - " + std::to_string(b),
                  "the ends of a link of the topology", "topology_links() lists them");
  }
  check.throw_if_any();
}

PathFinder::PathFinder(const Topology& topology, PathOptions options)
    : topology_(topology), options_(std::move(options)), router_(topology) {
  if (!options_.dead_links.empty()) dead_.assign(topology_.links().size(), false);
  for (const auto& [a, b] : options_.dead_links) {
    for (int link : {topology_.find_link(a, b), topology_.find_link(b, a)}) {
      if (link >= 0) dead_[static_cast<std::size_t>(link)] = true;
    }
  }
}

Path PathFinder::find(int from, int to, const Load& load) {
  const bool keeps = options_.routing != PathRouting::Adaptive;
  const std::uint64_t key = pair_key(from, to);
  if (keeps) {
    if (const auto at = known_.find(key); at != known_.end()) {
      return {arena_.data() + at->second.first, at->second.count, at->second.latency_s};
    }
  }
  path_.clear();
  const int via = options_.routing == PathRouting::RailAligned ? neighbour_on_rail(from, to) : -1;
  if (via >= 0) walk(from, via, load, path_);
  walk(via >= 0 ? via : from, to, load, path_);
  double latency_s = 0;
  for (int link : path_) latency_s += topology_.links()[static_cast<std::size_t>(link)].rate.latency_s;
  if (!keeps) return {path_.data(), path_.size(), latency_s};
  if (arena_.size() + path_.size() > kMaxKnownLinks) {
    known_.clear();
    arena_.clear();
  }
  const Known fresh{arena_.size(), path_.size(), latency_s};
  arena_.insert(arena_.end(), path_.begin(), path_.end());
  known_.emplace(key, fresh);
  return {arena_.data() + fresh.first, fresh.count, latency_s};
}

// The device of the sender's node on the receiver's rail; -1 where the sender is on it or both share a node.
int PathFinder::neighbour_on_rail(int from, int to) const {
  const int rails = topology_.spec().devices_per_node;
  if (from / rails == to / rails || from % rails == to % rails) return -1;
  const int via = from / rails * rails + to % rails;
  const int hub = topology_.node_vertex(from / rails);
  const int in = topology_.find_link(from, hub), out = topology_.find_link(hub, via);
  return dead(in) || dead(out) ? -1 : via;
}

void PathFinder::walk(int from, int to, const Load& load, std::vector<int>& path) {
  if (from == to) return;
  const bool one_way = options_.routing == PathRouting::Shortest || options_.routing == PathRouting::RailAligned;
  if (one_way) {
    const std::vector<int>& route = router_.route(from, to);
    if (std::none_of(route.begin(), route.end(), [this](int link) { return dead(link); })) {
      path.insert(path.end(), route.begin(), route.end());
      return;
    }
  }
  const std::vector<std::uint16_t>& hops = hops_to(to);
  if (hops[static_cast<std::size_t>(from)] == kFar) fail(from, to);
  std::uint64_t draw = mixed(pair_key(from, to) ^ mixed(options_.seed));
  for (int at = from; at != to; at = topology_.links()[static_cast<std::size_t>(path.back())].to) {
    const int next = next_link(at, to, hops, draw, load);
    if (next < 0) fail(from, to);
    path.push_back(next);
    draw = mixed(draw);
  }
}

int PathFinder::next_link(int at, int to, const std::vector<std::uint16_t>& hops, std::uint64_t draw,
                          const Load& load) const {
  const int left = at == to ? 0 : hops[static_cast<std::size_t>(at)];
  int chosen = -1;
  std::uint64_t seen = 0;
  double least = 0;
  for (int id = topology_.first_link(at); id < topology_.first_link(at + 1); ++id) {
    const Link& link = topology_.links()[static_cast<std::size_t>(id)];
    if (dead(id) || hops[static_cast<std::size_t>(link.to)] + 1 != left) continue;
    ++seen;
    if (options_.routing == PathRouting::Adaptive) {
      const double now = load(id);
      if (chosen < 0 || now < least) chosen = id, least = now;
    } else if (chosen < 0 || (options_.routing == PathRouting::Ecmp && mixed(draw + seen) % seen == 0)) {
      chosen = id;  // each of the `seen` links so far is kept with the same chance
    }
  }
  return chosen;
}

const std::vector<std::uint16_t>& PathFinder::hops_to(int to) {
  const auto vertices = static_cast<std::size_t>(topology_.vertex_count());
  if (into_first_.empty()) {
    into_first_.assign(vertices + 1, 0);
    for (const Link& link : topology_.links()) ++into_first_[static_cast<std::size_t>(link.to) + 1];
    for (std::size_t v = 1; v <= vertices; ++v) into_first_[v] += into_first_[v - 1];
    into_.resize(topology_.links().size());
    std::vector<int> at(into_first_.begin(), into_first_.end() - 1);
    for (std::size_t id = 0; id < topology_.links().size(); ++id) {
      into_[static_cast<std::size_t>(at[static_cast<std::size_t>(topology_.links()[id].to)]++)] = static_cast<int>(id);
    }
  }
  if (const auto at = hops_to_.find(to); at != hops_to_.end()) return at->second;
  if ((hops_to_.size() + 1) * vertices > kMaxTableEntries) hops_to_.clear();
  std::vector<std::uint16_t>& hops = hops_to_[to];
  hops.assign(vertices, static_cast<std::uint16_t>(kFar));
  hops[static_cast<std::size_t>(to)] = 0;
  std::vector<int> queue{to};
  for (std::size_t head = 0; head < queue.size(); ++head) {
    const auto v = static_cast<std::size_t>(queue[head]);
    for (int i = into_first_[v]; i < into_first_[v + 1]; ++i) {
      const int id = into_[static_cast<std::size_t>(i)], from = topology_.links()[static_cast<std::size_t>(id)].from;
      if (dead(id) || hops[static_cast<std::size_t>(from)] != kFar) continue;
      hops[static_cast<std::size_t>(from)] = static_cast<std::uint16_t>(std::min(hops[v] + 1, kFar - 1));
      queue.push_back(from);
    }
  }
  return hops;
}

void PathFinder::fail(int from, int to) const {
  throw InfeasibleError(
      std::vector<Violation>{{"dead_links", std::to_string(options_.dead_links.size()) + " dead links",
                              "a path from " + topology_.vertex_name(from) + " to " + topology_.vertex_name(to),
                              "leave a link between them alive, or keep these ranks from sending to each other"}});
}

}  // namespace dts

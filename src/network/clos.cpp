#include "network/clos.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "error.hpp"

namespace dts {

namespace {

constexpr int kPortsDown = 32;  // of a leaf switch with 64 (NVIDIA DGX SuperPOD reference architecture)
constexpr double kMostLinks = 1 << 22;

// SplitMix64: spreads the bits of what a switch would hash.
std::uint64_t mixed(std::uint64_t x) noexcept {
  x += 0x9E3779B97F4A7C15ull;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

}  // namespace

Clos::Clos(const ClusterSpec& cluster, ClosOptions options) : cluster_(cluster), options_(std::move(options)) {
  check_cluster(cluster_);
  const NodeSpec& node = cluster_.node;
  const auto devices = static_cast<std::size_t>(device_count(cluster_));
  const bool networked = device_count(cluster_) > domain_devices(cluster_);
  nics_ = networked ? nic_ports(node) : 0;
  check();
  const int down = std::max(1, options_.rail_optimized ? kPortsDown : kPortsDown / std::max(nics_, 1));
  per_leaf_ = std::min(options_.nodes_per_leaf > 0 ? options_.nodes_per_leaf : down, cluster_.nodes);
  spines_ = std::max(options_.spines, 1);
  const int pods = (cluster_.nodes + per_leaf_ - 1) / per_leaf_;
  leaves_ = networked ? pods * (options_.rail_optimized ? nics_ : 1) : 0;
  capacity_Bps_.assign(2 * devices, node.scale_up.device_Bps);
  first_nic_ = capacity_Bps_.size();
  const double nic_Bps = networked ? node.nics * node.nic_Bps / nics_ : 0;
  capacity_Bps_.resize(first_nic_ + 2 * static_cast<std::size_t>(cluster_.nodes) * static_cast<std::size_t>(nics_),
                       nic_Bps);
  first_uplink_ = capacity_Bps_.size();
  const int below = per_leaf_ * (options_.rail_optimized ? 1 : nics_);
  const std::size_t uplinks = pods > 1 || (options_.rail_optimized && nics_ > 1)
                                  ? 2 * static_cast<std::size_t>(leaves_) * static_cast<std::size_t>(spines_)
                                  : 0;
  capacity_Bps_.resize(first_uplink_ + uplinks, nic_Bps * below / options_.oversubscription / spines_);
  share_.assign(capacity_Bps_.size(), 1.0);

  Checker checker;
  for (std::size_t i = 0; i < options_.cables.size() && checker.violations().size() < 20; ++i) {
    const CableShare& c = options_.cables[i];
    cable_.push_back(find(c.cable));
    checker.require(
        cable_.back() < size(), "cables", "'" + c.cable.substr(0, 60) + "'",
        leaves_ > 0 ? "a cable such as 'nic 0.0', 'port 0' or 'leaf 0 - spine 0'" : "a cable such as 'port 0'",
        "this cluster has nodes 0 to " + std::to_string(cluster_.nodes - 1) + ", " + std::to_string(nics_) +
            " NICs a node, " + std::to_string(leaves_) + " leaves, " + std::to_string(uplinks > 0 ? spines_ : 0) +
            " spines");
    checker.require(std::isfinite(c.share) && c.share >= 0 && c.share <= 1, "share of " + c.cable.substr(0, 60),
                    number_text(c.share), "a number from 0 to 1");
    checker.non_negative("time of " + c.cable.substr(0, 60), c.time_s);
    if (c.time_s > 0) change_times_s_.push_back(c.time_s);
  }
  checker.throw_if_any();
  std::sort(change_times_s_.begin(), change_times_s_.end());
  change_times_s_.erase(std::unique(change_times_s_.begin(), change_times_s_.end()), change_times_s_.end());
  set_time(0);
}

void Clos::check() const {
  Checker check;
  const auto whole = [&](const char* name, int value) { check.at_least(name, value, 0); };
  whole("nodes_per_leaf", options_.nodes_per_leaf);
  whole("spines", options_.spines);
  check.require(std::isfinite(options_.oversubscription) && options_.oversubscription > 0, "oversubscription",
                number_text(options_.oversubscription), "a number above 0");
  check.require(cluster_.others.empty(), "cluster", "nodes of several kinds", "equal nodes for a flow network",
                "give slow links to the network: slow_links={\"nic 3.0\": 0.5}");
  check.require(options_.routing != PathRouting::RailAligned || (options_.rail_optimized && nics_ > 1), "routing",
                name_of(options_.routing),
                "shortest, ecmp or adaptive: only rail_optimized with several NICs a node has rails");
  const double links = 4.0 * static_cast<double>(device_count(cluster_)) * std::max(options_.spines, 1);
  check.require(links <= kMostLinks, "spines", std::to_string(options_.spines), "fewer links than 4,194,304",
                "take fewer spines");
  check.throw_if_any();
}

int Clos::nic_of(int device) const noexcept {
  const int node = device / cluster_.node.devices;
  return node * nics_ + nic_position(cluster_.node, device % cluster_.node.devices);
}

int Clos::leaf_of(int nic) const noexcept {
  const int pod = nic / nics_ / per_leaf_;
  return options_.rail_optimized ? pod * nics_ + nic % nics_ : pod;
}

std::string Clos::name(std::size_t link) const {
  const bool back = link % 2 == 1;  // every section starts at an even number
  if (link < first_nic_) return "port " + std::to_string(link / 2) + (back ? " in" : " out");
  if (link < first_uplink_) {
    const auto nic = static_cast<int>((link - first_nic_) / 2);
    return "nic " + std::to_string(nic / nics_) + "." + std::to_string(nic % nics_) + (back ? " down" : " up");
  }
  const auto pair = static_cast<int>((link - first_uplink_) / 2);
  return "leaf " + std::to_string(pair / spines_) + " - spine " + std::to_string(pair % spines_) +
         (back ? " down" : " up");
}

std::size_t Clos::find(const std::string& cable) const {
  int a = -1, b = -1, read = 0;
  const auto matches = [&](const char* form, int count) {
    return std::sscanf(cable.c_str(), form, &a, &b, &read) == count && read == static_cast<int>(cable.size());
  };
  if (std::sscanf(cable.c_str(), "port %d%n", &a, &read) == 1 && read == static_cast<int>(cable.size())) {
    return a >= 0 && a < device_count(cluster_) ? 2 * static_cast<std::size_t>(a) : size();
  }
  if (matches("nic %d.%d%n", 2)) {
    const bool known = a >= 0 && a < cluster_.nodes && b >= 0 && b < nics_;
    return known ? first_nic_ +
                       2 * (static_cast<std::size_t>(a) * static_cast<std::size_t>(nics_) + static_cast<std::size_t>(b))
                 : size();
  }
  if (matches("leaf %d - spine %d%n", 2)) {
    const bool known = a >= 0 && a < leaves_ && b >= 0 && b < spines_ && first_uplink_ < size();
    return known ? uplink(a, b) : size();
  }
  return size();
}

bool Clos::set_time(double time_s) {
  const std::vector<double> before = share_;
  std::fill(share_.begin(), share_.end(), 1.0);
  std::vector<double> since(size(), -1);  // the latest word on a cable holds; of equal times the last one
  for (std::size_t i = 0; i < options_.cables.size(); ++i) {
    const CableShare& c = options_.cables[i];
    if (c.time_s > time_s || c.time_s < since[cable_[i]]) continue;
    since[cable_[i]] = c.time_s;
    share_[cable_[i]] = share_[cable_[i] + 1] = c.share;
  }
  bool other_routes = false;
  for (std::size_t link = 0; link < size(); ++link) {
    const bool sprayed = options_.routing == PathRouting::Adaptive && link >= first_uplink_;  // by what is left
    other_routes |= sprayed ? before[link] != share_[link] : (before[link] > 0) != (share_[link] > 0);
  }
  return other_routes;
}

void Clos::route(int from, int to, std::vector<LinkPart>& path) const {
  path.clear();
  const auto take = [&](std::size_t link) {
    if (share_[link] <= 0) cut_off(name(link), from, to);
    path.push_back({static_cast<std::uint32_t>(link), 1});
  };
  const auto out = [](int device) { return 2 * static_cast<std::size_t>(device); };
  const int domain = domain_devices(cluster_);
  if (from / domain == to / domain) {
    take(out(from)), take(out(to) + 1);
    return;
  }
  int first = nic_of(from);
  const int last = nic_of(to), devices = cluster_.node.devices;
  if (options_.routing == PathRouting::RailAligned && first % nics_ != last % nics_) {
    const int rail = last % nics_, local = (rail * devices + nics_ - 1) / nics_,
              peer = from / devices * devices + local;
    if (peer / domain == from / domain) {  // over the scale-up links to the neighbour on that rail (NCCL's PXN)
      take(out(from)), take(out(peer) + 1);
      first = nic_of(peer);
    }
  }
  take(first_nic_ + 2 * static_cast<std::size_t>(first));
  if (leaf_of(first) != leaf_of(last)) climb(leaf_of(first), leaf_of(last), from, to, path);
  take(first_nic_ + 2 * static_cast<std::size_t>(last) + 1);
}

// Over one spine, or over all of them in proportion to what the narrower of both cables has left.
void Clos::climb(int from_leaf, int to_leaf, int from, int to, std::vector<LinkPart>& path) const {
  const auto width = [&](int spine) {
    return std::min(left_Bps(uplink(from_leaf, spine)), left_Bps(uplink(to_leaf, spine) + 1));
  };
  const auto over = [&](int spine, double part) {
    path.push_back({static_cast<std::uint32_t>(uplink(from_leaf, spine)), part});
    path.push_back({static_cast<std::uint32_t>(uplink(to_leaf, spine) + 1), part});
  };
  double all = 0;
  int alive = 0;
  for (int s = 0; s < spines_; ++s) all += width(s), alive += width(s) > 0;
  if (alive == 0)
    cut_off("every path from leaf " + std::to_string(from_leaf) + " to leaf " + std::to_string(to_leaf), from, to);
  if (options_.routing == PathRouting::Adaptive) {
    for (int s = 0; s < spines_; ++s) {
      if (width(s) > 0) over(s, width(s) / all);
    }
    return;
  }
  const std::uint64_t pair =
      static_cast<std::uint64_t>(static_cast<std::uint32_t>(from)) << 32 | static_cast<std::uint32_t>(to);
  const std::uint64_t draw = options_.routing == PathRouting::Ecmp ? mixed(pair ^ mixed(options_.seed))
                                                                   : static_cast<std::uint64_t>(nic_of(to));
  int left = static_cast<int>(draw % static_cast<std::uint64_t>(alive));
  // With every spine alive this is the receiver's number modulo the spines (D-mod-k: Zahavi, JPDC 72, 2012).
  for (int s = 0; s < spines_; ++s) {
    if (width(s) > 0 && left-- == 0) return over(s, 1);
  }
}

void Clos::cut_off(const std::string& what, int from, int to) const {
  throw InfeasibleError(std::vector<Violation>{
      {"dead links", what + " is dead", "a path from rank " + std::to_string(from) + " to rank " + std::to_string(to),
       "leave a share of it above 0, or lay out the job so that these ranks do not talk"}});
}

}  // namespace dts

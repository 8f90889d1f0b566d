#include "comm/span.hpp"

#include <algorithm>
#include <string>

#include "error.hpp"

namespace dts {
namespace {

// Multiples of `stride` from `first` that lie below `end`.
long long members_below(long long first, long long stride, long long end) noexcept {
  return end <= first ? 0 : (end - first - 1) / stride + 1;
}

// The common distance of sorted members inside each domain; 0 when they differ.
int regular_stride(const std::vector<int>& sorted, int domain) noexcept {
  int stride = -1;
  for (std::size_t i = 1; i < sorted.size(); ++i) {
    if (sorted[i] / domain != sorted[i - 1] / domain) continue;
    const int gap = sorted[i] - sorted[i - 1];
    if (stride >= 0 && gap != stride) return 0;
    stride = gap;
  }
  return std::max(stride, 1);
}

}  // namespace

GroupSpan span_of(const ClusterSpec& cluster, int size, int stride, int first) {
  Checker check;
  check.at_least("group.size", size, 1);
  check.at_least("group.stride", stride, 1);
  check.at_least("group.first", first, 0);
  const long long last = first + static_cast<long long>(size - 1) * stride;
  if (check.ok()) {
    check.require(last < device_count(cluster), "group", "last rank " + std::to_string(last),
                  "ranks below the cluster's " + std::to_string(device_count(cluster)) + " devices",
                  "use a smaller group or more nodes");
  }
  check.throw_if_any();

  const int domain = domain_devices(cluster);
  if (stride >= domain) return {size, 1, size, 1};
  const long long first_domain = first / domain, last_domain = last / domain;
  const int domains = static_cast<int>(last_domain - first_domain) + 1;
  if (domains == 1) return {size, size, 1, stride};
  const long long at_start = members_below(first, stride, (first_domain + 1) * domain);
  const long long at_end = size - members_below(first, stride, last_domain * domain);
  long long fewest = std::min(at_start, at_end);
  // Where strides fit, those between are full.
  for (long long d = first_domain + 1; d < last_domain && domain % stride != 0; ++d) {
    fewest =
        std::min(fewest, members_below(first, stride, (d + 1) * domain) - members_below(first, stride, d * domain));
  }
  return {size, static_cast<int>(fewest), domains, stride};
}

GroupSpan span_of(const ClusterSpec& cluster, std::vector<int> ranks) {
  Checker check;
  check.require(!ranks.empty(), "group", "no ranks", "at least one rank");
  std::sort(ranks.begin(), ranks.end());
  if (!ranks.empty()) {
    check.require(ranks.front() >= 0 && ranks.back() < device_count(cluster), "group",
                  "ranks " + std::to_string(ranks.front()) + " to " + std::to_string(ranks.back()),
                  "ranks from 0 to " + std::to_string(device_count(cluster) - 1));
    const auto twin = std::adjacent_find(ranks.begin(), ranks.end());
    check.require(twin == ranks.end(), "group", twin == ranks.end() ? "" : "rank " + std::to_string(*twin) + " twice",
                  "distinct ranks");
  }
  check.throw_if_any();

  const int domain = domain_devices(cluster);
  GroupSpan span{static_cast<int>(ranks.size()), static_cast<int>(ranks.size()), 0, regular_stride(ranks, domain)};
  int members = 0;
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    ++members;
    if (i + 1 < ranks.size() && ranks[i + 1] / domain == ranks[i] / domain) continue;
    span.ranks_per_domain = std::min(span.ranks_per_domain, members);
    span.domains += 1;
    members = 0;
  }
  return span;
}

int nic_ports(const NodeSpec& node) noexcept { return std::clamp(static_cast<int>(node.nics), 1, node.devices); }

double nics_alone(const ClusterSpec& cluster, std::vector<int> ranks, const GroupSpan& span) {
  std::sort(ranks.begin(), ranks.end());
  const NodeSpec& node = cluster.node;
  const int domain = domain_devices(cluster);
  long long fewest = 0, here = 0, last = -1;
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    const long long nic =
        static_cast<long long>(ranks[i] / node.devices) * nic_ports(node) + nic_position(node, ranks[i] % node.devices);
    here += nic != last;
    last = nic;
    if (i + 1 < ranks.size() && ranks[i + 1] / domain == ranks[i] / domain) continue;
    fewest = fewest == 0 ? here : std::min(fewest, here);
    here = 0, last = -1;
  }
  const double own = static_cast<double>(fewest) / nic_ports(node),
               even = static_cast<double>(span.ranks_per_domain) / node.devices;
  return std::max(1.0, own / even);
}

}  // namespace dts

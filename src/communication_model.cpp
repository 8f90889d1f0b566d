#include "communication_model.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "comm/group_dims.hpp"
#include "error.hpp"

namespace dts {

namespace {

bool is_rooted(CollectiveKind kind) {
  return kind == CollectiveKind::Broadcast || kind == CollectiveKind::Reduce || kind == CollectiveKind::Gather ||
         kind == CollectiveKind::Scatter;
}

void check_ranks(Checker& check, CollectiveKind kind, const std::vector<int>& ranks, int devices) {
  check.require(!ranks.empty(), "ranks", "none", "at least one rank");
  if (kind == CollectiveKind::SendRecv) {
    check.require(ranks.size() == 2, "ranks", std::to_string(ranks.size()) + " ranks", "a source and a destination");
  }
  std::vector<bool> seen(static_cast<std::size_t>(devices), false);
  for (std::size_t i = 0; i < ranks.size() && check.violations().size() < 20; ++i) {
    const int rank = ranks[i];
    const std::string where = "ranks[" + std::to_string(i) + "]", got = std::to_string(rank);
    if (!check.require(rank >= 0 && rank < devices, where, got, "a rank from 0 to " + std::to_string(devices - 1))) {
      continue;
    }
    check.require(!seen[static_cast<std::size_t>(rank)], where, got, "each rank once", "remove the duplicate");
    seen[static_cast<std::size_t>(rank)] = true;
  }
}

void check_chunks(Checker& check, CollectiveKind kind, const CollectiveOptions& options) {
  const std::string got = std::to_string(options.chunks);
  check.require(options.chunks >= 0 && options.chunks <= kMaxChunks, "chunks", got,
                "0 (the fastest) to " + std::to_string(kMaxChunks));
  const std::vector<Algorithm>& known = classic_algorithms(kind);
  const bool pipelined = options.algorithm == Algorithm::Auto ? std::any_of(known.begin(), known.end(), is_pipelined)
                                                              : is_pipelined(options.algorithm);
  check.require(options.chunks == 0 || pipelined, "chunks", got,
                "0: " + name_of(options.algorithm) + " " + name_of(kind) + " is not pipelined");
}

// The group in schedule order: the root first, the others as given from there on, cyclically.
std::vector<int> checked_members(CollectiveKind kind, double bytes, const std::vector<int>& ranks,
                                 const CollectiveOptions& options, int devices) {
  Checker check;
  check.non_negative("size", bytes);
  check_ranks(check, kind, ranks, devices);
  check.require(kind != CollectiveKind::Barrier || bytes == 0, "size", number_text(bytes),
                "0: a barrier moves no data");
  check_chunks(check, kind, options);
  std::vector<int> members = ranks;
  if (options.root != -1) {
    const auto root = std::find(members.begin(), members.end(), options.root);
    check.require(is_rooted(kind), "root", std::to_string(options.root), "none: " + name_of(kind) + " has no root");
    if (check.require(root != members.end(), "root", std::to_string(options.root), "one of the ranks of the group")) {
      std::rotate(members.begin(), root, members.end());
    }
  }
  check.throw_if_any();
  return members;
}

bool affordable(CollectiveKind kind, Algorithm algorithm, std::size_t members) {
  return classic_send_count(kind, algorithm, static_cast<int>(members)) <= kMaxSends;
}

}  // namespace

CommunicationModel::CommunicationModel(Topology topology, double reduce_s_per_byte)
    : topology_(std::move(topology)), reduce_s_per_byte_(reduce_s_per_byte) {
  Checker check;
  check.non_negative("reduce_s_per_byte", reduce_s_per_byte);
  check.throw_if_any();
}

CommunicationModel CommunicationModel::with_links(const std::vector<Link>& changed) const {
  return CommunicationModel(topology_.with_links(changed), reduce_s_per_byte_);
}

CommunicationModel::Priced CommunicationModel::price(CollectiveKind kind, double bytes, const std::vector<int>& members,
                                                     const CollectiveOptions& options, Router& router) const {
  const bool chosen = options.algorithm != Algorithm::Auto;
  const std::vector<Algorithm> candidates =
      chosen ? std::vector<Algorithm>{options.algorithm} : classic_algorithms(kind);
  Priced best;
  for (Algorithm algorithm : candidates) {
    if (!affordable(kind, algorithm, members.size())) continue;
    // Sums of rounds bound the one round of all their sends, so pairwise never beats direct here.
    if (!chosen && algorithm == Algorithm::Pairwise) continue;
    const std::vector<int> dims = group_dims(topology_, algorithm, members);
    if (needs_dims(algorithm) && dims.empty()) continue;
    Schedule schedule = classic_schedule(kind, algorithm, bytes, static_cast<int>(members.size()), dims);
    const double to_beat_s = best.schedule.empty() ? std::numeric_limits<double>::infinity() : best.cost.time_s;
    const ScheduleCost cost =
        schedule_cost(schedule, members, router, topology_, {reduce_s_per_byte_, options.chunks, to_beat_s});
    // A tie within rounding goes to the earlier candidate, on every platform.
    if (best.schedule.empty() || cost.time_s < best.cost.time_s * (1 - 1e-9)) {
      best = {algorithm, dims, std::move(schedule), cost};
    }
  }
  Checker check;
  check.require(!needs_dims(options.algorithm) || !best.schedule.empty(), "algorithm", name_of(options.algorithm),
                options.algorithm == Algorithm::Hierarchical
                    ? "a group with equally many (two or more) ranks, one after the other, on each of several nodes"
                    : "all ranks, in order, of a MESH_2D, TORUS_2D or TORUS_3D with one device per node");
  check.throw_if_any();
  check.require(!best.schedule.empty(), "ranks", std::to_string(members.size()) + " ranks",
                "at most " + number_text(kMaxSends) + " sends in " + name_of(options.algorithm) + " " + name_of(kind),
                "take fewer ranks or another algorithm");
  check.require(std::isfinite(best.cost.time_s), "size", number_text(bytes) + " bytes",
                "a time below the largest finite number", "raise the bandwidth or shrink the size");
  check.throw_if_any();
  return best;
}

// What most of the time is spent on.
std::string CommunicationModel::bound_of(const ScheduleCost& cost) const {
  if (cost.latency_s >= cost.transfer_s && cost.latency_s >= cost.reduce_s) return "latency";
  if (cost.reduce_s > cost.transfer_s) return "reduction";
  const Link& link = topology_.links()[static_cast<std::size_t>(cost.busiest_link)];
  return "link " + topology_.vertex_name(link.from) + " -> " + topology_.vertex_name(link.to);
}

CollectiveCost CommunicationModel::collective(CollectiveKind kind, double bytes, const std::vector<int>& ranks,
                                              const CollectiveOptions& options) const {
  const std::vector<int> members = checked_members(kind, bytes, ranks, options, topology_.device_count());
  CollectiveCost cost;
  cost.algorithm = cost.bound = "none";
  if (members.size() == 1) return cost;
  Router router(topology_);
  const Priced priced = price(kind, bytes, members, options, router);
  cost.time_s = priced.cost.time_s;
  cost.algorithm = name_of(priced.algorithm);
  cost.bound = bound_of(priced.cost);
  cost.sent_bytes_per_rank = priced.cost.sent_bytes_per_rank;
  return cost;
}

CollectivePlan CommunicationModel::plan(CollectiveKind kind, double bytes, const std::vector<int>& ranks,
                                        const CollectiveOptions& options) const {
  CollectivePlan plan;
  plan.members = checked_members(kind, bytes, ranks, options, topology_.device_count());
  if (plan.members.size() == 1) return plan;
  Router router(topology_);
  Priced priced = price(kind, bytes, plan.members, options, router);
  plan.algorithm = priced.algorithm;
  plan.dims = std::move(priced.dims);
  plan.chunks = priced.cost.chunks;
  return plan;
}

CollectiveTraffic CommunicationModel::traffic(CollectiveKind kind, double bytes, const std::vector<int>& ranks,
                                              const CollectiveOptions& options) const {
  const int devices = topology_.device_count();
  const std::vector<int> members = checked_members(kind, bytes, ranks, options, devices);
  Checker check;
  check.require(devices <= kMaxMatrixDevices, "num_devices", std::to_string(devices),
                "at most " + std::to_string(kMaxMatrixDevices) + " devices in a traffic matrix");
  check.throw_if_any();
  CollectiveTraffic traffic;
  Router router(topology_);
  Priced priced;
  if (members.size() > 1) priced = price(kind, bytes, members, options, router);
  traffic.algorithm = priced.algorithm;
  traffic.link_bytes = link_traffic(priced.schedule, members, router, topology_);
  traffic.pair_bytes = pair_traffic(priced.schedule, members, devices);
  return traffic;
}

}  // namespace dts

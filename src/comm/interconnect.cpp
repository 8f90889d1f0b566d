#include "comm/interconnect.hpp"

#include <map>
#include <numeric>
#include <utility>

#include "comm/fabric.hpp"
#include "comm/span.hpp"

namespace dts {

namespace {

class FabricInterconnect final : public Interconnect {
 public:
  FabricInterconnect(ClusterSpec cluster, bool alone) : cluster_(std::move(cluster)), alone_(alone) {
    check_cluster(cluster_);
    kinds_.push_back(cluster_);
    if (!cluster_.others.empty()) kind_of_node_.assign(static_cast<std::size_t>(cluster_.nodes), 0);
    for (const OtherNodes& other : cluster_.others) {
      for (int node : other.at) kind_of_node_[static_cast<std::size_t>(node)] = static_cast<int>(kinds_.size());
      kinds_.push_back(cluster_);
      kinds_.back().node = other.node;
    }
  }

  int device_count() const override { return static_cast<int>(dts::device_count(cluster_)); }

  bool uniform() const override { return true; }

  // Spans count scale-up domains, and NICs by node.
  int period() const override { return std::lcm(domain_devices(cluster_), cluster_.node.devices); }

  const ClusterSpec* cluster() const override { return &cluster_; }

  int node_kinds() const override { return static_cast<int>(kinds_.size()); }

  int node_kind(int rank) const override {
    return kind_of_node_.empty() ? 0 : kind_of_node_[static_cast<std::size_t>(rank / cluster_.node.devices)];
  }

  RankGroup group(std::vector<int> ranks) const override {
    GroupSpan span = span_of(cluster_, ranks);
    if (alone_ && span.domains > 1) span.nics_alone = nics_alone(cluster_, ranks, span);
    NodeKinds kinds = kind_of_node_.empty() ? 1 : 0;
    for (std::size_t i = 0; i < ranks.size() && !kind_of_node_.empty(); ++i)
      kinds |= NodeKinds{1} << node_kind(ranks[i]);
    return {std::move(ranks), span, kinds};
  }

  CollectiveCost cost(CollectiveKind kind, double bytes, const RankGroup& group) const override {
    return slowest(group, [&](const ClusterSpec& c) { return fabric_collective(c, kind, bytes, group.span); });
  }

  CollectiveCost exchange(double bytes, const TokenCopies& copies, const RankGroup& group) const override {
    return slowest(group, [&](const ClusterSpec& c) { return token_exchange(c, bytes, copies, group.span); });
  }

  // Over the NIC to the peer of the same place in every other domain; from there, evenly, to each member of the domain.
  void add_exchange_traffic(double bytes, const TokenCopies& copies, double times, const RankGroup& group,
                            std::vector<double>& matrix) const override {
    if (group.ranks.size() < 2) return;
    const ExchangeBytes moved = exchange_bytes(bytes, copies, group.span);
    const auto world = static_cast<std::size_t>(device_count());
    std::map<int, std::vector<int>> domains;
    for (int rank : group.ranks) domains[rank / domain_devices(cluster_)].push_back(rank);
    const auto send = [&](int from, int to, double sent) {
      if (from != to) matrix[static_cast<std::size_t>(from) * world + static_cast<std::size_t>(to)] += times * sent;
    };
    const double others = static_cast<double>(domains.size()) - 1;
    for (const auto& [here, members] : domains) {
      for (std::size_t place = 0; place < members.size(); ++place) {
        for (int peer : members) send(members[place], peer, moved.scale_up / static_cast<double>(members.size()));
        for (const auto& [there, peers] : domains) {
          if (there != here) send(members[place], peers[place % peers.size()], moved.nic / others);
        }
      }
    }
  }

  // Libraries choose rings themselves; rank order stands for theirs. What reduces in a switch or a tree moves no fewer
  // bytes out of a rank than `sent_bytes_per_rank`, which is sent to the next member.
  void add_traffic(CollectiveKind kind, double bytes, double times, const RankGroup& group,
                   std::vector<double>& matrix) const override {
    const std::size_t n = group.ranks.size(), world = static_cast<std::size_t>(device_count());
    if (n < 2) return;
    const auto pair = [&](std::size_t from, std::size_t to) -> double& {
      return matrix[static_cast<std::size_t>(group.ranks[from]) * world + static_cast<std::size_t>(group.ranks[to])];
    };
    if (kind == CollectiveKind::AllToAll) {
      for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t j = 0; j < n; ++j) {
          if (i != j) pair(i, j) += times * bytes / static_cast<double>(n);
        }
      }
      return;
    }
    if (kind == CollectiveKind::SendRecv) {
      pair(0, 1) += times * bytes;
      return;
    }
    const double sent = cost(kind, bytes, group).sent_bytes_per_rank;
    for (std::size_t i = 0; i < n; ++i) pair(i, (i + 1) % n) += times * sent;
  }

 private:
  // As if every node of the group were of its slowest kind: a ring, a tree or an exchange moves at its slowest link's
  // pace.
  template <class Cost>
  CollectiveCost slowest(const RankGroup& group, Cost cost) const {
    if (group.kinds == 1) return cost(cluster_);
    CollectiveCost worst;
    for (std::size_t kind = 0; kind < kinds_.size(); ++kind) {
      if (!(group.kinds >> kind & 1)) continue;
      CollectiveCost of_kind = cost(kinds_[kind]);
      if (of_kind.time_s >= worst.time_s) worst = std::move(of_kind);
    }
    return worst;
  }

  ClusterSpec cluster_;
  bool alone_;
  std::vector<ClusterSpec> kinds_;  // the cluster with each kind of node throughout
  std::vector<int> kind_of_node_;   // empty: all alike
};

class TopologyInterconnect final : public Interconnect {
 public:
  explicit TopologyInterconnect(CommunicationModel model) : model_(std::move(model)) {}

  int device_count() const override { return model_.topology().device_count(); }

  bool uniform() const override { return false; }

  // Links may differ anywhere, so no two groups are taken to be alike: the first rank tells them apart.
  RankGroup group(std::vector<int> ranks) const override {
    const int n = static_cast<int>(ranks.size()), first = ranks.front();
    return {std::move(ranks), {n, 1, n, first}};
  }

  CollectiveCost cost(CollectiveKind kind, double bytes, const RankGroup& group) const override {
    return model_.collective(kind, bytes, group.ranks);
  }

  void add_traffic(CollectiveKind kind, double bytes, double times, const RankGroup& group,
                   std::vector<double>& matrix) const override {
    const CollectiveTraffic traffic = model_.traffic(kind, bytes, group.ranks);
    for (std::size_t i = 0; i < matrix.size(); ++i) matrix[i] += times * traffic.pair_bytes[i];
  }

  // Without domains every rank is one: what is sent once per rank is an all-to-all of fewer rows.
  CollectiveCost exchange(double bytes, const TokenCopies& copies, const RankGroup& group) const override {
    return cost(CollectiveKind::AllToAll, distinct_bytes(bytes, copies, group), group);
  }

  void add_exchange_traffic(double bytes, const TokenCopies& copies, double times, const RankGroup& group,
                            std::vector<double>& matrix) const override {
    add_traffic(CollectiveKind::AllToAll, distinct_bytes(bytes, copies, group), times, group, matrix);
  }

 private:
  static double distinct_bytes(double bytes, const TokenCopies& copies, const RankGroup& group) {
    const double ranks = group.span.ranks;
    return bytes / copies.top_k * distinct_groups(ranks, ranks, copies);
  }

  CommunicationModel model_;
};

}  // namespace

std::unique_ptr<Interconnect> make_interconnect(ClusterSpec cluster, bool alone) {
  return std::make_unique<FabricInterconnect>(std::move(cluster), alone);
}

std::unique_ptr<Interconnect> make_interconnect(CommunicationModel model) {
  return std::make_unique<TopologyInterconnect>(std::move(model));
}

}  // namespace dts

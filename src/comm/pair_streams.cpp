#include "comm/pair_streams.hpp"

#include <algorithm>
#include <cstddef>

namespace dts {

namespace {

using Domains = std::vector<std::vector<int>>;  // members by domain, both ascending

Domains by_domain(std::vector<int> ranks, int domain_devices) {
  std::sort(ranks.begin(), ranks.end());
  Domains domains;
  for (int rank : ranks) {
    if (domains.empty() || domains.back().front() / domain_devices != rank / domain_devices) domains.emplace_back();
    domains.back().push_back(rank);
  }
  return domains;
}

// LL sends a flag with every word, LL128 one with every 15 (NCCL src/device/prims_ll.h, prims_ll128.h).
double flags(const std::string& protocol) { return protocol == "LL" ? 2.0 : protocol == "LL128" ? 128.0 / 120 : 1.0; }

class Streams {
 public:
  Streams(const ClusterSpec& cluster, const RankGroup& group, const CollectiveCost& cost)
      : domain_(domain_devices(cluster)), domains_(by_domain(group.ranks, domain_)),
        ranks_(static_cast<double>(group.ranks.size())),
        inside_(flags(cost.protocol) / cluster.node.scale_up.ring_efficiency),
        outside_(flags(cost.protocol) / cluster.scale_out.ring_efficiency), tree_(is_tree(cost.algorithm)) {}

  // `passes` of the buffer around all members, or over the trees.
  void around(double bytes_per_hop) {
    for (std::size_t d = 0; d < domains_.size(); ++d) {
      const std::vector<int>& members = domains_[d];
      const double p = static_cast<double>(members.size());
      const double near = domains_.size() > 1 ? (p - 1) / p : 1;  // of p rings one leaves at each member
      for (std::size_t k = 0; p > 1 && k < members.size(); ++k) {
        add(members[k], members[(k + 1) % members.size()], bytes_per_hop * near);
      }
    }
    if (domains_.size() < 2) return;
    if (tree_) return trees(bytes_per_hop);
    for (std::size_t d = 0; d < domains_.size(); ++d) between(d, (d + 1) % domains_.size(), bytes_per_hop);
  }

  void exchange(double bytes) {
    for (const std::vector<int>& from : domains_) {
      for (int sender : from) {
        for (const std::vector<int>& to : domains_) {
          for (int receiver : to) {
            if (sender != receiver) add(sender, receiver, bytes / ranks_);
          }
        }
      }
    }
  }

  // Rows cross once per domain, to the peer of the sender's place, and are passed on there.
  void deduplicated(const ExchangeBytes& moved) {
    const double others = static_cast<double>(domains_.size()) - 1;
    for (std::size_t here = 0; here < domains_.size(); ++here) {
      const std::vector<int>& members = domains_[here];
      for (std::size_t place = 0; place < members.size(); ++place) {
        for (int peer : members) {
          if (peer != members[place]) add(members[place], peer, moved.scale_up / static_cast<double>(members.size()));
        }
        for (std::size_t there = 0; there < domains_.size(); ++there) {
          if (there != here) add(members[place], domains_[there][place % domains_[there].size()], moved.nic / others);
        }
      }
    }
  }

  void add(int from, int to, double bytes) {
    if (bytes > 0) list_.push_back({from, to, bytes, bytes * (from / domain_ == to / domain_ ? inside_ : outside_)});
  }

  std::vector<PairStream> finish() { return std::move(list_); }

 private:
  static bool is_tree(const std::string& algorithm) { return algorithm == "tree" || algorithm == "nvls-tree"; }

  // All of a domain's bytes to another, each member its part to the member of its place.
  void between(std::size_t from, std::size_t to, double bytes) {
    const std::size_t members = domains_[from].size();
    for (std::size_t k = 0; k < members; ++k) {
      add(domains_[from][k], domains_[to][k % domains_[to].size()], bytes / static_cast<double>(members));
    }
  }

  // A binary tree in which odd positions are leaves, and its mirror image or shift by one: inner nodes of one are
  // leaves of the other. Each edge carries half the buffer up and half down, however many members a domain has; a hop
  // of a ring carries (ranks - 1) / ranks of the buffer twice. Of two domains each sends the buffer once, of many an
  // inner one twice, as prices have it (fabric_across.cpp).
  void trees(double bytes_per_hop) {
    const std::size_t n = domains_.size();
    const double each = bytes_per_hop / 4 * ranks_ / (ranks_ - 1);
    const auto edge = [&](std::size_t child, std::size_t parent) {
      between(child, parent, each), between(parent, child, each);
    };
    for (std::size_t child = 1; child < n; ++child) {
      const std::size_t bit = child & (~child + 1), up = (child ^ bit) | (bit << 1);
      const std::size_t parent = up < n ? up : child ^ bit;
      edge(child, parent);
      if (n % 2 == 0) edge(n - 1 - child, n - 1 - parent);
      else edge((child + 1) % n, (parent + 1) % n);
    }
  }

  int domain_;
  Domains domains_;
  double ranks_, inside_, outside_;
  bool tree_;
  std::vector<PairStream> list_;
};

// What each hop of a ring around all members carries.
double per_hop(CollectiveKind kind, double bytes, double ranks, const std::string& algorithm) {
  if (algorithm == "sharp") return bytes;
  switch (kind) {
    case CollectiveKind::AllReduce:
      return algorithm == "nvls" ? bytes * (1 + 1 / ranks) : 2 * bytes * (ranks - 1) / ranks;
    case CollectiveKind::AllGather:
    case CollectiveKind::ReduceScatter:
    case CollectiveKind::Gather:
    case CollectiveKind::Scatter: return bytes * (ranks - 1) / ranks;
    case CollectiveKind::Broadcast:
    case CollectiveKind::Reduce: return bytes;
    default: return 0;
  }
}

}  // namespace

std::vector<PairStream> pair_streams(const ClusterSpec& cluster, const StreamedCall& call, const RankGroup& group,
                                     const CollectiveCost& cost) {
  if (group.ranks.size() < 2 || call.bytes <= 0) return {};
  Streams streams(cluster, group, cost);
  const bool torus = cluster.node.scale_up.kind == ScaleUpKind::Torus;
  if (call.copies.deduplicated() && !torus) {
    streams.deduplicated(exchange_bytes(call.bytes, call.copies, group.span));
  } else if (call.kind == CollectiveKind::AllToAll) {
    streams.exchange(call.bytes);
  } else if (call.kind == CollectiveKind::SendRecv) {
    streams.add(group.ranks[0], group.ranks[1], call.bytes);
  } else {
    streams.around(per_hop(call.kind, call.bytes, static_cast<double>(group.ranks.size()), cost.algorithm));
  }
  return streams.finish();
}

}  // namespace dts

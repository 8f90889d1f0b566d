// Names of collectives and algorithms, and which algorithm carries out which collective.
#include "comm/classic_parts.hpp"

namespace dts {

std::string name_of(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::Auto: return "auto";
    case Algorithm::Ring: return "ring";
    case Algorithm::BidirectionalRing: return "bidirectional_ring";
    case Algorithm::RecursiveDoubling: return "recursive_doubling";
    case Algorithm::RecursiveHalving: return "recursive_halving";
    case Algorithm::Tree: return "tree";
    case Algorithm::Rabenseifner: return "rabenseifner";
    case Algorithm::DoubleBinaryTree: return "double_binary_tree";
    case Algorithm::Chain: return "chain";
    case Algorithm::ScatterAllGather: return "scatter_all_gather";
    case Algorithm::Direct: return "direct";
    case Algorithm::Pairwise: return "pairwise";
    case Algorithm::Bruck: return "bruck";
    case Algorithm::Dissemination: return "dissemination";
    case Algorithm::TorusBucket: return "torus_bucket";
    case Algorithm::Hierarchical: return "hierarchical";
  }
  return "unknown";
}

std::string name_of(CollectiveKind kind) {
  switch (kind) {
    case CollectiveKind::SendRecv: return "send_recv";
    case CollectiveKind::Broadcast: return "broadcast";
    case CollectiveKind::Reduce: return "reduce";
    case CollectiveKind::AllReduce: return "all_reduce";
    case CollectiveKind::ReduceScatter: return "reduce_scatter";
    case CollectiveKind::AllGather: return "all_gather";
    case CollectiveKind::Gather: return "gather";
    case CollectiveKind::Scatter: return "scatter";
    case CollectiveKind::AllToAll: return "all_to_all";
    case CollectiveKind::Barrier: return "barrier";
  }
  return "unknown";
}

const std::vector<Algorithm>& classic_algorithms(CollectiveKind kind) {
  using A = Algorithm;
  static const std::vector<A> all_reduce{
      A::Ring,   A::BidirectionalRing, A::RecursiveDoubling, A::Rabenseifner, A::Tree, A::DoubleBinaryTree,
      A::Direct, A::TorusBucket,       A::Hierarchical};
  static const std::vector<A> reduce_scatter{A::Ring,   A::BidirectionalRing, A::RecursiveHalving,
                                             A::Direct, A::TorusBucket,       A::Hierarchical};
  static const std::vector<A> all_gather{A::Ring,   A::BidirectionalRing, A::RecursiveDoubling, A::Bruck,
                                         A::Direct, A::TorusBucket,       A::Hierarchical};
  static const std::vector<A> broadcast{A::Tree, A::Chain, A::DoubleBinaryTree, A::ScatterAllGather, A::Direct};
  static const std::vector<A> reduce{A::Tree, A::Chain, A::DoubleBinaryTree, A::Direct};
  static const std::vector<A> gather{A::Tree, A::Direct};
  static const std::vector<A> all_to_all{A::Bruck, A::Direct, A::Pairwise};
  static const std::vector<A> send_recv{A::Direct};
  static const std::vector<A> barrier{A::Dissemination};
  switch (kind) {
    case CollectiveKind::AllReduce: return all_reduce;
    case CollectiveKind::ReduceScatter: return reduce_scatter;
    case CollectiveKind::AllGather: return all_gather;
    case CollectiveKind::Broadcast: return broadcast;
    case CollectiveKind::Reduce: return reduce;
    case CollectiveKind::Gather:
    case CollectiveKind::Scatter: return gather;
    case CollectiveKind::AllToAll: return all_to_all;
    case CollectiveKind::SendRecv: return send_recv;
    case CollectiveKind::Barrier: break;
  }
  return barrier;
}

double classic_send_count(CollectiveKind kind, Algorithm algorithm, int members) {
  const double n = members;
  const bool rooted = kind == CollectiveKind::Broadcast || kind == CollectiveKind::Reduce ||
                      kind == CollectiveKind::Gather || kind == CollectiveKind::Scatter ||
                      kind == CollectiveKind::SendRecv;
  const bool every_pair = algorithm == Algorithm::Direct || algorithm == Algorithm::Pairwise;
  if (every_pair && !rooted) return n * (n - 1);
  const bool ring = algorithm == Algorithm::Ring || algorithm == Algorithm::BidirectionalRing;
  return ring || algorithm == Algorithm::Chain ? 4 * n : 4 * n * (1 + log2_ceil(members));
}

bool needs_dims(Algorithm algorithm) noexcept {
  return algorithm == Algorithm::TorusBucket || algorithm == Algorithm::Hierarchical;
}

bool is_pipelined(Algorithm algorithm) noexcept {
  return algorithm == Algorithm::Chain || algorithm == Algorithm::DoubleBinaryTree;
}

}  // namespace dts

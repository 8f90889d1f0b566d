#include "comm/classic.hpp"

#include <algorithm>
#include <utility>

#include "comm/classic_parts.hpp"
#include "error.hpp"

namespace dts {

namespace {

Schedule joined(Schedule first, Schedule second) {
  append(first, std::move(second));
  return first;
}

// Bytes that each power-of-two participant owns after reduce-scatter: its own block and its folded partner's.
std::vector<double> folded_blocks(int n, double block) {
  const int participants = 1 << log2_floor(n);
  std::vector<double> blocks(static_cast<std::size_t>(participants), block);
  for (int extra = participants; extra < n; ++extra) blocks[static_cast<std::size_t>(extra - participants)] += block;
  return blocks;
}

// Both ways round each dimension of a torus; one way in a node, whose members share a switch.
Schedule buckets(Algorithm algorithm, double bytes, int n, const std::vector<int>& dims, bool reduces) {
  return bucket_scatter(dims.empty() ? std::vector<int>{n} : dims, bytes, reduces, algorithm == Algorithm::TorusBucket);
}

Schedule reduce_scatter(Algorithm algorithm, double bytes, int n, const std::vector<int>& dims) {
  if (needs_dims(algorithm)) return buckets(algorithm, bytes, n, dims, true);
  switch (algorithm) {
    case Algorithm::RecursiveHalving:
      return joined(fold_in(n, bytes, true), joined(halving(folded_blocks(n, bytes / n)), fold_out(n, bytes / n)));
    case Algorithm::Direct: return direct_exchange(n, bytes / n, true);
    default: return ring_pass(n, bytes / n, true, algorithm == Algorithm::BidirectionalRing);
  }
}

Schedule all_gather(Algorithm algorithm, double bytes, int n, const std::vector<int>& dims) {
  if (needs_dims(algorithm)) return reversed(buckets(algorithm, bytes, n, dims, false), false);
  switch (algorithm) {
    case Algorithm::RecursiveDoubling:
      return joined(fold_in(n, bytes / n, false),
                    joined(reversed(halving(folded_blocks(n, bytes / n)), false), fold_out(n, bytes / n * (n - 1))));
    case Algorithm::Bruck: return bruck_all_gather(n, bytes / n);
    case Algorithm::Direct: return direct_exchange(n, bytes / n, false);
    default: return ring_pass(n, bytes / n, false, algorithm == Algorithm::BidirectionalRing);
  }
}

Schedule all_reduce(Algorithm algorithm, double bytes, int n, const std::vector<int>& dims) {
  const int participants = 1 << log2_floor(n);
  switch (algorithm) {
    case Algorithm::RecursiveDoubling:
      return joined(fold_in(n, bytes, true), joined(doubling_exchange(n, bytes), fold_out(n, bytes)));
    case Algorithm::Rabenseifner: {
      const std::vector<double> blocks(static_cast<std::size_t>(participants), bytes / participants);
      const Schedule scatter = halving(blocks);
      return joined(joined(fold_in(n, bytes, true), scatter), joined(reversed(scatter, false), fold_out(n, bytes)));
    }
    case Algorithm::Tree: {
      const Schedule broadcast = binomial_broadcast(n, bytes);
      return joined(reversed(broadcast, true), broadcast);
    }
    case Algorithm::DoubleBinaryTree: return double_tree_all_reduce(n, bytes);
    default: return joined(reduce_scatter(algorithm, bytes, n, dims), all_gather(algorithm, bytes, n, dims));
  }
}

Schedule broadcast(Algorithm algorithm, double bytes, int n) {
  switch (algorithm) {
    case Algorithm::Chain: return chain_broadcast(n, bytes);
    case Algorithm::DoubleBinaryTree: return double_tree_broadcast(n, bytes);
    case Algorithm::ScatterAllGather:  // van de Geijn
      return joined(binomial_scatter(n, bytes / n), ring_pass(n, bytes / n, false, false));
    case Algorithm::Direct: return direct_broadcast(n, bytes);
    default: return binomial_broadcast(n, bytes);
  }
}

Schedule scatter(Algorithm algorithm, double bytes, int n) {
  return algorithm == Algorithm::Direct ? direct_broadcast(n, bytes / n) : binomial_scatter(n, bytes / n);
}

Schedule all_to_all(Algorithm algorithm, double bytes, int n) {
  switch (algorithm) {
    case Algorithm::Bruck: return bruck_all_to_all(n, bytes / n);
    case Algorithm::Direct: return direct_exchange(n, bytes / n, false);
    default: return pairwise_exchange(n, bytes / n);
  }
}

void check_algorithm(CollectiveKind kind, Algorithm algorithm) {
  const std::vector<Algorithm>& known = classic_algorithms(kind);
  std::string names;
  for (Algorithm a : known) names += (names.empty() ? "" : ", ") + name_of(a);
  Checker check;
  check.require(std::find(known.begin(), known.end(), algorithm) != known.end(), "algorithm", name_of(algorithm),
                "auto or one that carries out " + name_of(kind) + ": " + names);
  check.throw_if_any();
}

void check_dims(int n, const std::vector<int>& dims) {
  double product = 1;
  for (int size : dims) product *= size > 0 ? size : 0;
  Checker check;
  check.require(dims.empty() || product == n, "dims", number_text(product) + " members",
                "sizes whose product is the " + std::to_string(n) + " members");
  check.throw_if_any();
}

}  // namespace

Schedule classic_schedule(CollectiveKind kind, Algorithm algorithm, double bytes, int n, const std::vector<int>& dims) {
  check_algorithm(kind, algorithm);
  check_dims(n, dims);
  switch (kind) {
    case CollectiveKind::AllReduce: return all_reduce(algorithm, bytes, n, dims);
    case CollectiveKind::ReduceScatter: return reduce_scatter(algorithm, bytes, n, dims);
    case CollectiveKind::AllGather: return all_gather(algorithm, bytes, n, dims);
    case CollectiveKind::Broadcast: return broadcast(algorithm, bytes, n);
    case CollectiveKind::Reduce: return reversed(broadcast(algorithm, bytes, n), true);
    case CollectiveKind::Scatter: return scatter(algorithm, bytes, n);
    case CollectiveKind::Gather: return reversed(scatter(algorithm, bytes, n), false);
    case CollectiveKind::AllToAll: return all_to_all(algorithm, bytes, n);
    case CollectiveKind::SendRecv: return direct_broadcast(2, bytes);
    case CollectiveKind::Barrier: break;
  }
  return dissemination(n);
}

}  // namespace dts

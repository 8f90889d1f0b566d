#include "network/astra_compat.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>

#include "comm/classic.hpp"
#include "error.hpp"

namespace dts {

namespace {

constexpr double kBytesPerNsOfGiBps = 1024.0 * 1024 * 1024 / 1e9;
constexpr double kReadReadWrite = 3;  // memory traffic of combining a byte

int hops(const AstraDim& dim, int distance) {
  if (dim.topology == AstraTopology::Switch) return 2;
  if (dim.topology == AstraTopology::FullyConnected) return 1;
  return std::min(distance, dim.npus - distance);
}

double message_ns(const AstraDim& dim, int distance, double bytes) {
  return std::floor(hops(dim, distance) * dim.latency_ns + bytes / (dim.bandwidth_GiBps * kBytesPerNsOfGiBps));
}

double reduction_ns(const AstraSystem& system, double bytes) {
  return std::floor(kReadReadWrite * bytes / system.local_memory_GBps);
}

// One pass round a dimension: npus - 1 steps of `bytes`.
double ring_pass_ns(const AstraSystem& system, const AstraDim& dim, double bytes, bool reduces) {
  return (dim.npus - 1) * (message_ns(dim, 1, bytes) + (reduces ? reduction_ns(system, bytes) : 0));
}

double reduce_scatter_ns(const AstraSystem& system, double bytes) {
  double time_ns = 0;
  for (const AstraDim& dim : system.dims) time_ns += ring_pass_ns(system, dim, bytes /= dim.npus, true);
  return time_ns;
}

// `shard` grows by the members of each dimension, the last first.
double all_gather_ns(const AstraSystem& system, double shard) {
  double time_ns = 0;
  for (auto dim = system.dims.rbegin(); dim != system.dims.rend(); ++dim) {
    time_ns += ring_pass_ns(system, *dim, shard, false);
    shard *= dim->npus;
  }
  return time_ns;
}

double all_to_all_ns(const AstraDim& dim, double bytes) { return message_ns(dim, dim.npus / 2, bytes / dim.npus); }

// Every block goes to its owner at once, who reduces it on arrival. When all have come, each end of a reduction lets
// the result go to one more rank in order of number; those that ended before let theirs go with the first.
double direct_all_reduce_ns(const AstraSystem& system, double bytes) {
  const AstraDim& dim = system.dims[0];
  const int n = dim.npus;
  const double block = bytes / n, reduce_ns = reduction_ns(system, block);
  std::vector<double> arrive_ns, back_ns;
  for (int peer = 1; peer < n; ++peer) {
    back_ns.push_back(message_ns(dim, peer, block));
    arrive_ns.push_back(back_ns.back());
  }
  std::sort(arrive_ns.begin(), arrive_ns.end());
  const double all_ns = arrive_ns.back();
  const auto first =
      std::find_if(arrive_ns.begin(), arrive_ns.end(), [&](double t) { return t + reduce_ns >= all_ns; });
  double end_ns = 0;
  for (std::size_t k = 0; k < arrive_ns.size(); ++k) {
    end_ns = std::max(end_ns, std::max(arrive_ns[k], *first) + reduce_ns + back_ns[k]);
  }
  return end_ns;
}

// log2(n) halvings and as many doublings. The reduction after a step is charged with the size of the next halving.
double halving_doubling_ns(const AstraSystem& system, double bytes) {
  const AstraDim& dim = system.dims[0];
  double time_ns = 0;
  for (int distance = 1; distance < dim.npus; distance *= 2) {
    bytes /= 2;
    time_ns += 2 * message_ns(dim, distance, bytes);
    if (2 * distance < dim.npus) time_ns += reduction_ns(system, bytes / 2);
  }
  return time_ns;
}

void check_system(const AstraSystem& system, CollectiveKind kind, double bytes) {
  Checker check;
  check.non_negative("bytes", bytes);
  check.at_least("chunks", system.chunks, 1);
  check.positive("local_memory", system.local_memory_GBps);
  check.require(!system.dims.empty(), "dims", "none", "at least one dimension");
  const bool reduces = kind == CollectiveKind::AllReduce;
  for (const AstraDim& dim : system.dims) {
    check.at_least("npus", dim.npus, 2);
    check.positive("bandwidth", dim.bandwidth_GiBps);
    check.non_negative("latency", dim.latency_ns);
    const bool ring = dim.algorithm == AstraAlgorithm::Ring && kind != CollectiveKind::AllToAll;
    const bool direct = dim.algorithm == AstraAlgorithm::Direct && (reduces || kind == CollectiveKind::AllToAll);
    const bool halving =
        dim.algorithm == AstraAlgorithm::HalvingDoubling && reduces && (dim.npus & (dim.npus - 1)) == 0;
    check.require(ring || ((direct || halving) && system.dims.size() == 1), "algorithm", "another",
                  "ring, or on one dimension direct (all-reduce, all-to-all) or halving-doubling (all-reduce of 2^k)");
  }
  check.require(reduces || kind == CollectiveKind::ReduceScatter || kind == CollectiveKind::AllGather ||
                    kind == CollectiveKind::AllToAll,
                "collective", name_of(kind), "all_reduce, reduce_scatter, all_gather or all_to_all");
  check.throw_if_any();
}

}  // namespace

double astra_time_ns(const AstraSystem& system, CollectiveKind kind, double bytes) {
  check_system(system, kind, bytes);
  const double chunk = bytes / system.chunks;
  if (kind == CollectiveKind::ReduceScatter) return reduce_scatter_ns(system, chunk);
  if (kind == CollectiveKind::AllGather) return all_gather_ns(system, chunk);
  if (kind == CollectiveKind::AllToAll) return all_to_all_ns(system.dims[0], chunk);
  if (system.dims[0].algorithm == AstraAlgorithm::Direct) return direct_all_reduce_ns(system, chunk);
  if (system.dims[0].algorithm == AstraAlgorithm::HalvingDoubling) return halving_doubling_ns(system, chunk);
  double shard = chunk;
  for (const AstraDim& dim : system.dims) shard /= dim.npus;
  return reduce_scatter_ns(system, chunk) + all_gather_ns(system, shard);
}

}  // namespace dts

// Amortised time of one collective price, C++: branches, minimum and result, over kinds, spans and sizes.
//   cmake -S . -B build/bench -DCMAKE_BUILD_TYPE=Release -DDTS_BUILD_BENCHMARKS=ON && cmake --build build/bench
//   build/bench/benchmarks/collective_price
#include <chrono>
#include <cstdio>
#include <vector>

#include "comm/fabric.hpp"
#include "comm/span.hpp"

namespace {

using Clock = std::chrono::steady_clock;
constexpr double kTarget_ns = 200;
constexpr int kRounds = 20000;

struct Case {
  dts::CollectiveKind kind;
  dts::GroupSpan span;
  double bytes;
};

std::vector<Case> cases(const dts::ClusterSpec& cluster) {
  std::vector<Case> all;
  for (const auto kind : {dts::CollectiveKind::AllReduce, dts::CollectiveKind::AllGather,
                          dts::CollectiveKind::ReduceScatter, dts::CollectiveKind::AllToAll}) {
    for (const int ranks : {2, 8, 64, 512}) {
      for (const double bytes : {4e3, 1e6, 1e9}) all.push_back({kind, span_of(cluster, ranks), bytes});
    }
  }
  return all;
}

}  // namespace

int main() {
  dts::ClusterSpec cluster;
  cluster.nodes = 64;
  check_cluster(cluster);
  const auto all = cases(cluster);
  double total_s = 0;  // printed, so that nothing is optimised away
  const auto start = Clock::now();
  for (int round = 0; round < kRounds; ++round) {
    for (const Case& c : all) total_s += dts::fabric_collective(cluster, c.kind, c.bytes + round, c.span).time_s;
  }
  const double spent_ns = std::chrono::duration<double, std::nano>(Clock::now() - start).count();
  const double each_ns = spent_ns / (static_cast<double>(kRounds) * static_cast<double>(all.size()));
  std::printf("%.0f ns a price, %.2f of the %.0f ns allowed (checksum %.6g s)\n", each_ns, each_ns / kTarget_ns, kTarget_ns,
              total_s);
  return 0;
}

// Price of one collective on a real fabric: branches, minimum and result, over kinds, spans and sizes.
#include <benchmark/benchmark.h>

#include <vector>

#include "comm/fabric.hpp"
#include "comm/span.hpp"

namespace {

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

void collective_price(benchmark::State& state) {
  dts::ClusterSpec cluster;
  cluster.nodes = 64;
  check_cluster(cluster);
  const auto all = cases(cluster);
  for (auto _ : state) {
    for (const Case& c : all) benchmark::DoNotOptimize(dts::fabric_collective(cluster, c.kind, c.bytes, c.span).time_s);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(all.size()));
}
BENCHMARK(collective_price);

}  // namespace

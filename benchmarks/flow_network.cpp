// The flow network on work that other simulators were measured on, and on work of its own. CPU seconds are compared
// with ASTRA-sim 2 (analytical backend): a ring all-reduce message by message, one transformer iteration with TP and DP
// traffic.
#include "network/flow_network.hpp"

#include <benchmark/benchmark.h>

#include <cstdint>
#include <vector>

namespace {

using dts::Algorithm;
using dts::CollectiveKind;

constexpr double kMiB = 1024.0 * 1024, kGiB = 1024 * kMiB;

// 8 devices per node on NVLink, one NIC per device on its rail: the two switched dimensions of the anchors.
dts::FlowNetwork rails(int ranks) {
  dts::TopologySpec spec;
  spec.kind = dts::TopologyKind::RailOptimized;
  spec.nodes = ranks / 8;
  spec.devices_per_node = 8;
  spec.intra = {400 * kGiB, 1e-6};
  spec.inter = {50 * kGiB, 4e-6};
  return {dts::Topology(spec), {}};
}

dts::FlowNetwork one_switch(int ranks) {
  dts::TopologySpec spec;
  spec.kind = dts::TopologyKind::Switch;
  spec.nodes = ranks;
  spec.inter = {50 * kGiB, 1e-6};
  return {dts::Topology(spec), {}};
}

dts::FlowNetwork thin_tree(int nodes, double oversubscription) {
  dts::TopologySpec spec;
  spec.kind = dts::TopologyKind::FatTree;
  spec.nodes = nodes;
  spec.radix = 32;
  spec.oversubscription = oversubscription;
  return {dts::Topology(spec), {}};
}

std::vector<int> ranks_from(int first, int count, int stride) {
  std::vector<int> ranks;
  for (int i = 0; i < count; ++i) ranks.push_back(first + i * stride);
  return ranks;
}

std::uint32_t pattern(dts::FlowProgram& program, CollectiveKind kind, Algorithm algorithm, double bytes, int n,
                      bool fused) {
  return program.add_pattern(dts::make_pattern(dts::classic_schedule(kind, algorithm, bytes, n), n, {fused, 1}));
}

dts::FlowProgram ring(int ranks, bool fused) {
  dts::FlowProgram program;
  const auto p = pattern(program, CollectiveKind::AllReduce, Algorithm::Ring, 64 * kMiB, ranks, fused);
  program.communicate(p, program.add_group(ranks_from(0, ranks, 1)));
  return program;
}

dts::FlowProgram all_to_all(int ranks) {
  dts::FlowProgram program;
  const auto p = pattern(program, CollectiveKind::AllToAll, Algorithm::Direct, 64 * kMiB, ranks, false);
  program.communicate(p, program.add_group(ranks_from(0, ranks, 1)));
  return program;
}

// Every rank sends to a shuffled partner, sizes all different: no two flows end together.
dts::FlowProgram shuffled(int ranks, int rounds) {
  dts::FlowProgram program(static_cast<std::uint32_t>(ranks));
  std::uint64_t state = 1;
  for (int round = 0; round < rounds; ++round) {
    for (int rank = 0; rank < ranks; ++rank) {
      state = state * 6364136223846793005ull + 1442695040888963407ull;
      const int to = (rank + 1 + static_cast<int>((state >> 33) % static_cast<std::uint64_t>(ranks - 1))) % ranks;
      const double bytes = kMiB * (1 + static_cast<double>((state >> 20) & 0xFFFF) / 65536);
      program.send(rank, to, bytes, {static_cast<std::uint32_t>(rank)});
    }
  }
  return program;
}

// Reduce-scatter in the node, all-reduce across, all-gather in the node; chunks follow one another on both fabrics.
dts::FlowProgram hierarchical(int ranks, int chunks, Algorithm across, bool fused) {
  const int nodes = ranks / 8;
  dts::FlowProgram program(static_cast<std::uint32_t>(nodes + 8));
  const double bytes = kGiB / chunks;
  const auto scatter = pattern(program, CollectiveKind::ReduceScatter, Algorithm::Ring, bytes, 8, fused);
  const auto reduce = pattern(program, CollectiveKind::AllReduce, across, bytes / 8, nodes, fused);
  const auto gather = pattern(program, CollectiveKind::AllGather, Algorithm::Ring, bytes, 8, fused);
  std::vector<std::uint32_t> inside, rails;
  for (int node = 0; node < nodes; ++node) inside.push_back(program.add_group(ranks_from(8 * node, 8, 1)));
  for (int rail = 0; rail < 8; ++rail) rails.push_back(program.add_group(ranks_from(rail, nodes, 8)));
  std::vector<std::vector<dts::FlowTaskId>> reduced;
  const auto gather_chunk = [&](const std::vector<dts::FlowTaskId>& before) {
    for (std::uint32_t node = 0; node < inside.size(); ++node) {
      const auto task = program.communicate(gather, inside[node], {node});
      for (dts::FlowTaskId rail : before) program.depend(task, rail);
    }
  };
  for (int chunk = 0; chunk < chunks; ++chunk) {
    std::vector<dts::FlowTaskId> scattered;
    for (std::uint32_t node = 0; node < inside.size(); ++node) {
      scattered.push_back(program.communicate(scatter, inside[node], {node}));
    }
    reduced.emplace_back();
    for (std::uint32_t rail = 0; rail < 8; ++rail) {
      const auto task = program.communicate(reduce, rails[rail], {static_cast<std::uint32_t>(nodes) + rail});
      for (dts::FlowTaskId node : scattered) program.depend(task, node);
      reduced.back().push_back(task);
    }
    if (chunk > 0) gather_chunk(reduced[static_cast<std::size_t>(chunk) - 1]);
  }
  gather_chunk(reduced.back());
  return program;
}

// 32 layers; forward 2 x [compute 1 ms, TP all-reduce 64 MiB]; backward 2 x [compute 2 ms, TP all-reduce] and a DP
// all-reduce of 201,326,592 bytes per layer that waits for the layer's last backward compute only. TP = 8 neighbours.
dts::FlowProgram transformer(int ranks) {
  const int layers = 32, tp = 8, dp = ranks / tp;
  dts::FlowProgram program;
  const auto tp_pattern = pattern(program, CollectiveKind::AllReduce, Algorithm::Ring, 64 * kMiB, tp, true);
  const auto dp_pattern = pattern(program, CollectiveKind::AllReduce, Algorithm::Ring, 201326592, dp, true);
  std::vector<std::uint32_t> tp_groups, dp_groups;
  for (int d = 0; d < dp; ++d) tp_groups.push_back(program.add_group(ranks_from(d * tp, tp, 1)));
  for (int t = 0; t < tp; ++t) dp_groups.push_back(program.add_group(ranks_from(t, dp, tp)));
  std::vector<dts::FlowTaskId> last(static_cast<std::size_t>(dp), 0), compute(static_cast<std::size_t>(ranks));
  bool first = true;
  const auto half_layer = [&](double compute_s) {
    for (int d = 0; d < dp; ++d) {
      const auto group = static_cast<std::size_t>(d);
      for (int rank = d * tp; rank < (d + 1) * tp; ++rank) {
        const auto task = compute[static_cast<std::size_t>(rank)] = program.compute(rank, compute_s);
        if (!first) program.depend(task, last[group]);
      }
      const auto reduce = program.communicate(tp_pattern, tp_groups[group]);
      for (int rank = d * tp; rank < (d + 1) * tp; ++rank)
        program.depend(reduce, compute[static_cast<std::size_t>(rank)]);
      last[group] = reduce;
    }
    first = false;
  };
  for (int half = 0; half < 2 * layers; ++half) half_layer(1e-3);
  for (int layer = 0; layer < layers; ++layer) {
    half_layer(2e-3);
    half_layer(2e-3);
    for (int t = 0; t < tp; ++t) {
      const auto reduce = program.communicate(dp_pattern, dp_groups[static_cast<std::size_t>(t)]);
      for (int rank = t; rank < ranks; rank += tp) program.depend(reduce, compute[static_cast<std::size_t>(rank)]);
    }
  }
  return program;
}

// Building the program and running it, as a caller would.
template <class Build>
void run(benchmark::State& state, const dts::FlowNetwork& network, Build build) {
  dts::FlowResult result;
  for (auto _ : state) result = network.run(build());
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(result.flows));
  state.counters["simulated_ms"] = result.end_s * 1e3;
  state.counters["messages"] = static_cast<double>(result.flows);
}

void flow_transformer(benchmark::State& state) {
  const int ranks = static_cast<int>(state.range(0));
  run(state, rails(ranks), [&] { return transformer(ranks); });
}
BENCHMARK(flow_transformer)->Arg(64)->Arg(256)->Arg(1024)->Arg(4096)->Unit(benchmark::kMillisecond);

void flow_ring_messages(benchmark::State& state) {
  const int ranks = static_cast<int>(state.range(0));
  run(state, one_switch(ranks), [&] { return ring(ranks, false); });
}
BENCHMARK(flow_ring_messages)->Arg(512)->Arg(1024)->Arg(4096)->Unit(benchmark::kMillisecond);

void flow_ring_fused(benchmark::State& state) {
  const int ranks = static_cast<int>(state.range(0));
  run(state, one_switch(ranks), [&] { return ring(ranks, true); });
}
BENCHMARK(flow_ring_fused)->Arg(512)->Arg(1024)->Arg(4096)->Unit(benchmark::kMillisecond);

void flow_all_to_all(benchmark::State& state) {
  const int ranks = static_cast<int>(state.range(0));
  run(state, one_switch(ranks), [&] { return all_to_all(ranks); });
}
BENCHMARK(flow_all_to_all)->Arg(64)->Arg(256)->Unit(benchmark::kMillisecond);

void flow_hierarchical(benchmark::State& state) {
  const int ranks = static_cast<int>(state.range(0));
  run(state, rails(ranks), [&] { return hierarchical(ranks, 16, Algorithm::Ring, true); });
}
BENCHMARK(flow_hierarchical)->Arg(4096)->Unit(benchmark::kMillisecond);

void flow_random_pairs(benchmark::State& state) {
  run(state, thin_tree(1024, static_cast<double>(state.range(0))), [] { return shuffled(1024, 5); });
}
BENCHMARK(flow_random_pairs)->ArgName("oversubscription")->Arg(1)->Arg(4)->Unit(benchmark::kMillisecond);

}  // namespace

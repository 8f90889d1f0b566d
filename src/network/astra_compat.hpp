// What ASTRA-sim 2's congestion-unaware analytical backend answers for a collective, closed form, for comparison with
// it and never as a prediction: links are not shared at all, not even a rank's own, so answers may lie below what the
// hardware can inject. Its rules, found from its answers and source (astra-sim @518bd51): bandwidth in GiB/s, a message
// takes hops * latency + bytes / bandwidth truncated to whole ns; Ring costs the hops of the shorter way round, Switch
// two, FullyConnected one; a step of a reduction adds 3 * bytes / local memory bandwidth; chunks of a collective run
// side by side as if alone; a collective over several dimensions scatters up and gathers down them. All-gather's size
// is the shard of one rank (of this project: the whole), as for its traces.
#pragma once

#include <vector>

#include "comm/collective.hpp"

namespace dts {

enum class AstraTopology { Ring, Switch, FullyConnected };
enum class AstraAlgorithm { Ring, Direct, HalvingDoubling };

struct AstraDim {
  AstraTopology topology = AstraTopology::Ring;
  int npus = 1;
  double bandwidth_GiBps = 50;
  double latency_ns = 500;
  AstraAlgorithm algorithm = AstraAlgorithm::Ring;
};

struct AstraSystem {
  std::vector<AstraDim> dims;
  int chunks = 1;                   // preferred-dataset-splits
  double local_memory_GBps = 1600;  // local-mem-bw
};

// Nanoseconds. All-reduce, reduce-scatter, all-gather and all-to-all; direct and halving-doubling for one dimension
// only, halving-doubling and direct reductions for all-reduce. Throws ConfigError for anything else.
double astra_time_ns(const AstraSystem& system, CollectiveKind kind, double bytes);

}  // namespace dts

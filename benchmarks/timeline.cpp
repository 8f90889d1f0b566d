// The sweep that executes a step, beside what the machine's memory gives: 1F1B on 16 pipeline ranks, a million tasks.
#include "engine/timeline.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <vector>

namespace {

constexpr dts::StreamId kRanks = 16;
constexpr int kMicroBatches = 16384;
constexpr double kForward_s = 0.01, kBackward_s = 0.02, kSend_s = 0.001;

// Forwards down the ranks and backwards up again, each behind a transfer on a stream of its own.
dts::Program pipeline() {
  dts::Program program(2 * kRanks);
  for (int micro_batch = 0; micro_batch < kMicroBatches; ++micro_batch) {
    std::vector<dts::TaskId> arrived;
    const auto pass = [&](dts::StreamId rank, double seconds) {
      const auto done = program.add(seconds, {rank}, arrived);
      arrived = {program.add(kSend_s, {kRanks + rank}, {done})};
    };
    for (dts::StreamId rank = 0; rank < kRanks; ++rank) pass(rank, kForward_s);
    for (dts::StreamId rank = kRanks; rank-- > 0;) pass(rank, kBackward_s);
  }
  return program;
}

void timeline_sweep(benchmark::State& state) {
  const dts::Program program = pipeline();
  for (auto _ : state) benchmark::DoNotOptimize(execute(program).makespan_s);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(program.size()));
}
BENCHMARK(timeline_sweep)->Unit(benchmark::kMillisecond);

// Reads and writes as many bytes as the sweep does (a task: 24 in, 28 out), with nothing to work out: the limit.
void timeline_memory(benchmark::State& state) {
  const std::size_t tasks = pipeline().size();
  const std::vector<double> in(3 * tasks, 1.0);
  std::vector<double> out(tasks * 7 / 2);
  for (auto _ : state) {
    std::copy(in.begin(), in.end(), out.begin());
    std::fill(out.begin() + static_cast<std::ptrdiff_t>(in.size()), out.end(), 1.0);
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(tasks));
}
BENCHMARK(timeline_memory)->Unit(benchmark::kMillisecond);

}  // namespace

// The façade: descriptions in, one training step out. Both doors of the package and, later, searches call `simulate`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "step/account/breakdown.hpp"
#include "step/account/exposure.hpp"
#include "step/account/step_events.hpp"
#include "step/links/flow_step.hpp"
#include "step/memory/allocator_replay.hpp"
#include "step/memory/memory_timeline.hpp"
#include "step/memory/step_memory.hpp"
#include "step/plan/job.hpp"
#include "step/plan/price_book.hpp"
#include "step/plan/stragglers.hpp"

namespace dts {

// A step of a job whose ranks differ is drawn from `stragglers`, times `slowdown`.
struct SimulateOptions {
  bool expand = false;  // every rank by itself instead of one per class: the same times, events of every rank
  bool keep_events = true;
  bool keep_traffic = false;     // the matrix of bytes between ranks
  std::vector<double> slowdown;  // per rank, > 0: its kernels take this many times longer; empty = 1 for all
  std::optional<StragglerSpec> stragglers{};
  std::int64_t step = 0;                  // which draw of the stragglers
  bool skip_repeats = true;               // false: every pass task by task, for comparison; the result is the same
  std::optional<FlowStepOptions> flow{};  // collectives share the links of the cluster instead of fixed prices
};

struct StepResult {
  double step_time_s = 0;
  double even_step_time_s = 0;  // the same with every rank at full speed
  double tokens_per_step = 0, samples_per_step = 0;
  long long devices = 1;
  double parameters = 0;
  double model_flops = 0;       // of the step, causal attention counted half
  double model_flops_full = 0;  // attention counted as the whole square
  double hardware_flops = 0;    // recomputation included
  double peak_flops = 0;        // of one device in the matmul precision, mean
  int micro_batches = 1;
  std::vector<Breakdown> stages;              // per pipeline rank; each sums to step_time_s
  Breakdown mean;                             // over pipeline ranks
  std::vector<MemoryReport> memory;           // per pipeline rank
  std::vector<double> capacity_bytes;         // per pipeline rank: the smallest memory of its devices
  double tasks = 0;                           // executed to find it: what a step costs to simulate
  int rank_classes = 1;                       // of the ranks of a pipeline stage, as simulated
  std::vector<double> forward_s, backward_s;  // per virtual stage, one micro-batch
  std::vector<StageTraffic> communication;    // per pipeline rank
  StageTraffic mean_communication{};          // over pipeline ranks
  double communication_s = 0;  // collectives and transfers of the busiest pipeline rank, overlapped or not
  EventTable events;
  std::vector<double> traffic_bytes;   // devices x devices, row = sender; empty unless asked for
  double uncontended_step_time_s = 0;  // every collective alone on its links; step_time_s without flows
  StepLinks links;                     // with flows, where asked for

  double mfu() const noexcept;
  double mfu_full() const noexcept;
  double hfu() const noexcept;
};

StepResult simulate(const Job& job, const SimulateOptions& options = {});
// The same, with what other strategies of the job left in the book.
StepResult simulate(const Job& job, const SimulateOptions& options, PriceBook& book);

struct MemoryDetails {  // per pipeline rank
  std::vector<MemoryTimeline> timelines;
  std::vector<AllocatorReplay> replays;
};
// The replays alone, without running the step.
std::vector<AllocatorReplay> allocator_replays(const Job& job, const CachingAllocator::Options& allocator = {});
MemoryDetails memory_details(const Job& job, const CachingAllocator::Options& allocator = {});

// Step times of `count` draws of the stragglers from `first` on. The job is planned once.
std::vector<double> step_times(const Job& job, const StragglerSpec& stragglers, std::int64_t first, int count,
                               const std::optional<FlowStepOptions>& flow = {});

}  // namespace dts

// The façade: descriptions in, one training step out. Both doors of the package and, later, searches call `simulate`.
#pragma once

#include <string>
#include <vector>

#include "step/memory_timeline.hpp"
#include "step/breakdown.hpp"
#include "step/job.hpp"

namespace dts {

// Events as columns, one entry per task and member rank (the stage stands for its ranks when folded).
struct EventTable {
  std::vector<TaskInfo> tasks;
  std::vector<double> start_s, end_s;
};

struct SimulateOptions {
  bool expand = false;       // every rank on its own streams instead of one per class
  bool keep_events = true;
  bool keep_traffic = false;         // the matrix of bytes between ranks
  std::vector<double> slowdown;      // per rank, >= 0: its compute takes this many times longer; needs `expand`
};

struct StepResult {
  double step_time_s = 0;
  double tokens_per_step = 0, samples_per_step = 0;
  long long devices = 1;
  double parameters = 0;
  double model_flops = 0;       // of the step, causal attention counted half
  double model_flops_full = 0;  // attention counted as the whole square
  double hardware_flops = 0;    // recomputation included
  double peak_flops = 0;        // of one device in the matmul precision
  int micro_batches = 1;
  std::vector<Breakdown> stages;      // per pipeline rank; each sums to step_time_s
  Breakdown mean;                     // over pipeline ranks
  std::vector<MemoryReport> memory;   // per pipeline rank
  std::vector<double> forward_s, backward_s;  // per virtual stage, one micro-batch
  double communication_s = 0;         // collectives and transfers of the busiest rank, overlapped or not
  EventTable events;
  std::vector<double> traffic_bytes;  // devices x devices, row = sender; empty unless asked for

  double mfu() const noexcept;
  double mfu_full() const noexcept;
  double hfu() const noexcept;
};

StepResult simulate(const Job& job, const SimulateOptions& options = {});

struct MemoryDetails {  // per pipeline rank
  std::vector<MemoryTimeline> timelines;
  std::vector<AllocatorReplay> replays;
  double step_time_s = 0;
};
MemoryDetails memory_details(const Job& job, const CachingAllocator::Options& allocator = {});

}  // namespace dts

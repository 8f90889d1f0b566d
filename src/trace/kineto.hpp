// A timeline as PyTorch's profiler writes one (libkineto, output_json.cpp): Chrome's JSON with kernels and copies per
// stream, and the host's calls that launch them, joined by `External id` and `correlation`; arguments of collectives as
// torch.distributed records them. Columns in, bytes out; times in microseconds, rounded to nanoseconds.
//
// The host is not simulated: a launch stands where the kernel before it on its stream starts, no later than a host that
// runs ahead would issue it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "step/account/step_events.hpp"
#include "trace/counters.hpp"

namespace dts {

struct KinetoNames {
  std::vector<std::string> ops, kernels;  // per TaskKind: the host's call (empty: named after the pass), the kernel
  std::vector<std::string> collectives;   // per TaskKind: as torch.distributed names it; empty: none
  std::vector<std::string> titles;        // per TaskKind, of a pass
  std::vector<std::string> streams;       // per StreamKind
};

struct KinetoJob {
  std::string device;       // its name
  double device_bytes = 0;  // of memory; 0: unknown
  double step_time_s = 0;
  std::int64_t devices = 1;  // of the job
  bool one_rank = false;     // the events are those of one rank, which calls its device 0; else a device per rank
  std::string row = "rank";  // what a process stands for
};

std::string kineto_trace(const EventTable& events, const KinetoNames& names, const KinetoJob& job,
                         const std::vector<TraceCounter>& counters = {});

}  // namespace dts

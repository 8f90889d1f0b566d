// What a simulated step would take of the machine, from its description alone.
#pragma once

#include "step/plan/job.hpp"

namespace dts {

struct StepSize {
  double ranks = 1;                 // simulated one by one
  double tasks = 0;                 // of the folded program
  double events = 0;                // kept
  double bytes() const noexcept;    // memory, roughly
  double seconds() const noexcept;  // on one core, roughly
};

inline constexpr double kMostStepBytes = 16.0 * 1024 * 1024 * 1024;

StepSize step_size(const Job& job, bool expand, bool keep_events);

// Of a step whose memory is followed over time: a row for each block of each pass beside its tasks.
StepSize memory_timeline_size(const Job& job);

// Throws ConfigError where a step would take more than kMostStepBytes.
void check_step_size(const StepSize& size);

}  // namespace dts

#include "step/plan/step_size.hpp"

#include <algorithm>

#include "error.hpp"
#include "parallel/rank_grid.hpp"

namespace dts {

namespace {

// Measured: expanded steps of up to 2^20 ranks, with and without events, and folded ones of 10^6 micro-batches.
constexpr double kBytesPerRank = 400, kBytesPerTask = 320, kBytesPerEvent = 100;
constexpr double kSecondsPerRank = 3e-6, kSecondsPerTask = 2e-6, kSecondsPerEvent = 0.25e-6, kSecondsPerInstance = 5e-9;

}  // namespace

double StepSize::bytes() const noexcept {
  return ranks * kBytesPerRank + tasks * kBytesPerTask + events * kBytesPerEvent;
}

double StepSize::seconds() const noexcept {
  return ranks * kSecondsPerRank + tasks * kSecondsPerTask + ranks * tasks * kSecondsPerInstance +
         events * kSecondsPerEvent;
}

StepSize step_size(const Job& job, bool expand, bool keep_events) {
  const Strategy& s = job.strategy;
  double layers = 0;
  for (const LayerRun& run : job.model.layers) layers += run.repeat;
  const double stages = static_cast<double>(s.pp) * s.vpp, passes = 2.0 * job.micro_batches() * stages;
  // A pass and its transfer; with sharded parameters each layer gathers, computes and reduces.
  const double per_pass = (s.pp > 1 ? 2 : 1) + (s.zero == 3 ? 2.5 * layers / stages : 0);
  StepSize size;
  size.tasks = passes * per_pass;
  size.ranks = expand ? static_cast<double>(world_size(s)) : 1;
  size.events = keep_events ? size.tasks * std::max(1.0, size.ranks / s.pp) : 0;
  return size;
}

StepSize memory_timeline_size(const Job& job) {
  StepSize size = step_size(job, false, true);
  double layers = 0;
  for (const LayerRun& run : job.model.layers) layers += run.repeat;
  size.events += 2.0 * job.micro_batches() * layers;
  return size;
}

void check_step_size(const StepSize& size) {
  Checker check;
  const auto one_digit = [](double value) {
    return number_text(value < 10 ? value : static_cast<double>(static_cast<long long>(value)));
  };
  check.require(size.bytes() <= kMostStepBytes, "size of the step",
                "about " + one_digit(size.bytes() / 1e9) + " GB and " + one_digit(size.seconds()) + " s of work for " +
                    number_text(size.ranks) + " ranks one by one, " + number_text(size.tasks) + " tasks and " +
                    number_text(size.events) + " events",
                "at most " + one_digit(kMostStepBytes / 1e9) + " GB",
                "use keep_events=False, expand=False or a larger micro_batch");
  check.throw_if_any();
}

}  // namespace dts

// Where a rank's step goes. Every second of the step belongs to exactly one cause: what the compute stream did, or what
// it waited for. The parts of one stage sum to the step time.
#pragma once

#include <vector>

#include "engine/timeline.hpp"
#include "step/step_program.hpp"

namespace dts {

struct Breakdown {
  double forward_s = 0, backward_s = 0, recompute_s = 0, optimizer_s = 0;  // kernels
  double exposed_tp_s = 0, exposed_cp_s = 0, exposed_ep_s = 0, exposed_dp_s = 0;
  double offload_s = 0;   // waiting for copies between device and host
  double pipeline_s = 0;  // bubble: waiting for other stages and their transfers
  double host_s = 0;      // the device waits for kernel launches
  double fixed_s = 0;     // data loading, logging, scheduler

  double total_s() const noexcept;
  void add(const Breakdown& other, double weight);
};

// One breakdown per pipeline rank (of its first replica).
std::vector<Breakdown> break_down(const StepPlan& plan, const StepProgram& step, const Timeline& timeline, double fixed_s);

}  // namespace dts

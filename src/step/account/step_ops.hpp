// The ops of a step as one rank runs them, each with its FLOPs, bytes and seconds: for rooflines and tables.
#pragma once

#include <string>
#include <vector>

#include "step/plan/job.hpp"

namespace dts {

enum class OpPass { Forward, Recompute, DataGrad, WeightGrad };

struct StepOp {
  std::string block, name;
  OpKind kind = OpKind::Custom;
  OpPass pass = OpPass::Forward;
  DType type = DType::BF16;                 // that it computes in
  double runs = 0;                          // in a step, on all stages of one pipeline: layers times micro-batches
  double flops = 0, bytes = 0, time_s = 0;  // of one run, on one rank
};

// Kernels alone, of the job's first kind of device: what ranks wait for and casts of weights are not there.
std::vector<StepOp> step_ops(const Job& job);

}  // namespace dts

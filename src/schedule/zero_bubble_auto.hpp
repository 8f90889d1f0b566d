// Zero-bubble order fitted to measured pass times under a memory cap: the heuristic of Qi et al. arXiv:2401.10241 §3.1.
#pragma once

#include <vector>

#include "schedule/pass.hpp"

namespace dts {

struct PassTimes {  // per pipeline rank, seconds of one micro-batch; one chunk a rank
  std::vector<double> forward_s, input_s, weight_s;
  double transfer_s = 0;    // to the next rank
  double weight_share = 0;  // of a pass's activations, held from the input gradient to the weight gradient
};

// `cap`: most activations on a rank, in micro-batches, at least 1. The best of eight variants by the longest rank's
// time. Throws ConfigError if times are not given for each rank.
PipelineOrder zero_bubble_auto(const PassTimes& times, int micro_batches, double cap);

}  // namespace dts

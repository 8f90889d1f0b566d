// How one pass of a virtual stage is cut: into runs of blocks between which a data-parallel collective starts or is
// awaited. Most passes are one piece.
#pragma once

#include <vector>

#include "step/step_program.hpp"

namespace dts {

struct Piece {
  double seconds = 0;
  double own_s = 0;  // kernels and host waits in it
  double gather_s = -1, reduce_s = -1;  // of the collective before / after it; < 0: none
  int index = -1;                       // of the stage's unit (StageComm::units), -1 = all blocks
};

// What is particular about a pass: the first forward of its stage gathers sharded parameters, the last weight gradient
// reduces them; a pair hides a share of its expert exchanges.
struct PassPlace {
  bool first_forward = false, last_gradient = false;
  double hidden = 0;
};

// In execution order.
std::vector<Piece> pieces_of(const StepPlan& plan, const Pass& pass, int stage, const PassPlace& place);

}  // namespace dts

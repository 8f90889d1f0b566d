// How one pass of a virtual stage is cut: into runs of blocks, or of parts of blocks, between which a data-parallel
// collective or a copy to the host starts or is awaited. Most passes are one piece.
#pragma once

#include <vector>

#include "step/step_program.hpp"

namespace dts {

struct Piece {
  double seconds = 0;
  double own_s = 0;      // kernels and host waits in it
  int index = -1;        // of the stage's unit (StageComm::units), -1 = all blocks
  double gather_s = -1;  // of the collective before it; < 0: none
  bool reduces = false;  // its gradients leave after it: collectives and copies of the unit
  bool offloads = false, reloads = false;  // activations, after a forward and before a backward
};

// What is particular about a pass: whether parameters are gathered for it and its gradients leave; a pair hides a share
// of its expert exchanges.
struct PassPlace {
  bool gathers = false, reduces = false;
  double hidden = 0;
};

// In execution order.
std::vector<Piece> pieces_of(const StepPlan& plan, const Pass& pass, int stage, const PassPlace& place);

}  // namespace dts

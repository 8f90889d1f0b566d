// How one pass of a virtual stage is cut: into runs of blocks between which a data-parallel collective starts or is
// awaited. Most passes are one piece.
#pragma once

#include <vector>

#include "step/step_program.hpp"

namespace dts {

struct Piece {
  double seconds = 0;
  double gather_s = -1, reduce_s = -1;  // of the collective before / after it; < 0: none
  int index = -1;                       // of the stage's unit (StageComm::units), -1 = all blocks
};

// In execution order.
std::vector<Piece> pieces_of(const StepPlan& plan, const Pass& pass, int stage);

}  // namespace dts

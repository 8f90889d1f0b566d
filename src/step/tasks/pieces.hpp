// How one pass of a virtual stage is cut: into runs of blocks, or of parts of blocks, between which a data-parallel
// collective or a copy to the host starts or is awaited. Most passes are one piece.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "step/tasks/step_program.hpp"

namespace dts {

struct Piece {
  double seconds = 0;
  double own_s = 0;                        // kernels and host waits in it
  int index = -1;                          // of the stage's unit (StageComm::units), -1 = all blocks
  double gather_s = -1;                    // of the collective before it; < 0: none
  bool reduces = false;                    // its gradients leave after it: collectives and copies of the unit
  bool offloads = false, reloads = false;  // activations, after a forward and before a backward
};

// Of two passes that run as one: which stages they are of (-1: no pair), and the share of its expert exchanges that
// each hides behind the other. The share depends on the device, so pairs are told apart by their stages.
struct Pairing {
  int stages = -1;
  double hidden = 0;
};

// What is particular about a pass: whether parameters are gathered for it, and its gradients leave.
struct PassPlace {
  bool gathers = false, reduces = false;
  Pairing pair;
};

// In execution order.
std::vector<Piece> pieces_of(const StepPlan& plan, PassKind kind, int stage, const PassPlace& place);

// A pass in execution order, for all stages that are alike.
struct CutPass {
  PassPlace place;
  std::vector<Piece> pieces;
  std::vector<std::int32_t> pass_class;  // per pipeline rank; -1: not known yet

  bool whole() const noexcept { return pieces.front().index < 0; }  // nothing starts or is awaited in it
};

// The pieces of every kind of pass, cut once each; numbers the classes of passes that spend the same, however
// they are cut.
class PieceBook {
 public:
  explicit PieceBook(const StepPlan& plan) : plan_(plan), pages_(plan.stages.size() * kKinds) {}

  // Stays where it is; the class of `rank` is known.
  const CutPass& cut(PassKind kind, int rank, int stage, const PassPlace& place);
  std::vector<TaskInfo> finish() && { return std::move(classes_); }  // one task of each class

 private:
  static constexpr std::size_t kKinds = 4;

  const StepPlan& plan_;
  std::vector<std::vector<std::unique_ptr<CutPass>>> pages_;  // per stage and kind: one per place
  std::vector<TaskInfo> classes_;
};

}  // namespace dts

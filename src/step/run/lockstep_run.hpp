// Runs an order whose transfers travel in the background with all ranks in lockstep: sweep by sweep, at most one pass
// of each rank, as soon as its input is there. The order is read where it stands, no operations are listed.
#pragma once

#include <cstddef>
#include <vector>

#include "step/run/pass_runner.hpp"
#include "step/run/steady_state.hpp"

namespace dts {

class LockstepRun {
 public:
  LockstepRun(const StepPlan& plan, PassRunner& runner);

  // False: no window of the order stands for the micro-batches that it leaves out, nothing is of use.
  bool run();

 private:
  struct Lane {  // of a rank: what it has yet to run, up to where it has to wait for the others
    const Pass* passes;
    std::size_t next, end;
    PlainPort* ports;  // the first; each is followed by those of the other ranks
    PlainRank plain;
  };

  void sweep();
  template <bool noted>
  void sweep_lanes();
  void run_next(const Lane& lane, PlainPort& port, bool alike);  // its next pass, with all that goes with it
  void count_plain();
  bool run_to_ends();   // false: they wait for each other
  bool reach_window();  // steady state, in which each rank runs forwards and backwards in turn
  bool run_windows();
  bool is_window() const;
  void note_pending();
  std::size_t later() const { return done_ * static_cast<std::size_t>(period_) % micro_batches_; }

  const StepPlan& plan_;
  PassRunner& runner_;
  std::size_t micro_batches_;
  int period_;                    // micro-batches of a window
  std::size_t left_;              // windows beyond those of the order
  std::size_t done_ = 0;          // windows that were run again
  std::size_t length_;            // passes of a rank in a window
  std::vector<Lane> lanes_;       // per rank
  std::vector<PassOp> ops_;       // per chunk, kind of pass and rank, but for the micro-batch
  std::vector<PlainPort> ports_;  // of the same
  int first_alike_, last_alike_;  // micro-batches whose passes are alike
  std::size_t ran_ = 0;           // passes of this sweep
  PassRunner::Arrivals pending_;
  bool in_window_ = false, repeats_ = true;
};

}  // namespace dts

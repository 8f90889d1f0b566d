// Runs an order whose transfers travel in the background with all ranks in lockstep: sweep by sweep, at most one pass
// of each rank, as soon as its input is there. The order is read where it stands, no operations are listed.
#pragma once

#include <cstddef>
#include <vector>

#include "step/pass_runner.hpp"
#include "step/steady_state.hpp"

namespace dts {

class LockstepRun {
 public:
  LockstepRun(const StepPlan& plan, PassRunner& runner);

  // False: no window of the order stands for the micro-batches that it leaves out, nothing is of use.
  bool run();

 private:
  struct Lane {  // of a rank: what it has yet to run, up to where it has to wait for the others
    std::size_t next = 0, end = 0;
  };
  struct Ports {  // of a stage: whether anything feeds its passes, and where their outputs go (-1: nowhere)
    int stage = 0, forward_to = -1, backward_to = -1;
    bool forward_fed = false, backward_fed = false;
  };

  bool sweep();         // whether any rank ran
  bool run_to_ends();   // false: they wait for each other
  bool reach_window();  // steady state, in which each rank runs forwards and backwards in turn
  bool run_windows();
  bool is_window() const;
  void note_pending();
  std::size_t later() const { return done_ * static_cast<std::size_t>(period_) % micro_batches_; }

  const StepPlan& plan_;
  PassRunner& runner_;
  std::size_t micro_batches_;
  int period_;        // micro-batches of a window
  std::size_t left_;  // windows beyond those of the order
  std::size_t sweeps_ = 0;
  std::size_t done_ = 0;      // windows that were run again
  std::size_t length_;        // passes of a rank in a window
  std::vector<Lane> lanes_;   // per rank
  std::vector<Ports> ports_;  // per stage
  PassRunner::Arrivals pending_;
  bool in_window_ = false, repeats_ = true;
};

}  // namespace dts

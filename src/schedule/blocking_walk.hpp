// Visits an order whose ranks block on pipeline transfers: a rank posts a group of transfers, and goes on when all of
// them are done; a transfer is done when both its ranks have posted it. What a rank posts around its passes:
//   like passes        X | send X | receive Y | Y       (warm-up and cool-down: forward after forward)
//   unlike passes      X | send X, receive Y | Y        (steady 1F1B: one batched exchange each way)
//   several chunks     an adjacent forward and backward are one step; X | send X, receive Y | Y throughout
// Weight gradients of their own run when the transfers before them are done: X | send X | W | receive Y | Y, or
// X | send X, receive Y | W, Y.
// (Megatron-Core schedules.py, p2p_communication.py). Orders that run with transfers in the background may deadlock
// here.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "interrupt.hpp"
#include "parallel/stage_map.hpp"
#include "schedule/pass.hpp"

namespace dts {

struct Transfer {
  bool forward = true;   // an activation to the next stage, or a gradient to the previous one
  int from = 0, to = 0;  // virtual stages, on different ranks
  int micro_batch = 0;
};

// Whose group is done with a transfer, whatever times are: all else in it was received by the same peer before the peer
// came to this transfer.
struct Released {
  bool sender = false, receiver = false;
};

class BlockingWalk {
 public:
  BlockingWalk(const PipelineOrder& order, const StagePlacement& placement, int micro_batches);

  // on_pass(rank, stage, pass); on_transfer(transfer, released) when both ranks have posted it; on_group(rank,
  // transfers) when all of a group are done that no single transfer releases. Throws ConfigError that names each stuck
  // rank and what it waits for.
  template <class OnPass, class OnTransfer, class OnGroup>
  void run(OnPass on_pass, OnTransfer on_transfer, OnGroup on_group) {
    for (bool progress = true; progress;) {
      progress = false;
      for (std::size_t rank = 0; rank < steps_.size(); ++rank) {
        while (next_[rank] < steps_[rank].size()) {
          const Step& step = steps_[rank][next_[rank]];
          if (step.transfers.empty()) {
            poll_interrupt(4);
            for (std::size_t i = step.begin; i < step.end; ++i) {
              const Pass& pass = order_[rank][i];
              on_pass(static_cast<int>(rank), placement_.stage_of(static_cast<int>(rank), pass.chunk), pass);
            }
          } else {
            if (!posted_[rank]) progress = true;
            post(rank, step, on_transfer);
            if (!all_done(step)) break;
            if (!released_[rank]) on_group(static_cast<int>(rank), step.transfers);
            posted_[rank] = released_[rank] = false;
          }
          ++next_[rank];
          progress = true;
        }
      }
    }
    check_all_reached();
  }

 private:
  struct Step {  // passes, or a group of transfers
    std::size_t begin = 0, end = 0;
    std::vector<Transfer> transfers;
  };

  template <class OnTransfer>
  void post(std::size_t rank, const Step& step, OnTransfer on_transfer) {
    if (posted_[rank]) return;
    posted_[rank] = true;
    for (const Transfer& transfer : step.transfers) {
      if (++sides_[slot(transfer)] == 2) on_transfer(transfer, release(transfer));
    }
  }

  std::vector<Step> steps_of(std::size_t rank) const;
  std::size_t item_end(const std::vector<Pass>& passes, std::size_t begin, bool steady) const;
  bool all_done(const Step& step) const;
  Released release(const Transfer& transfer);
  bool releases(const Transfer& transfer, std::size_t rank, std::size_t peer) const;
  void check_all_reached() const;
  std::string stuck(std::size_t rank) const;
  std::size_t slot(const Transfer& transfer) const;

  const PipelineOrder& order_;
  StagePlacement placement_;
  std::size_t micro_batches_;
  std::vector<std::vector<Step>> steps_;  // per rank
  std::vector<std::size_t> next_;         // per rank
  std::vector<bool> posted_, released_;   // per rank: the group it stands before
  std::vector<unsigned char> sides_;      // per transfer: ranks that posted it
};

}  // namespace dts

// The operations of an order, window by window, with one window that stands for any number of further ones like it
// (schedule/windows.hpp). It may be run again and again because an operation depends on none of a later window.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "schedule/pass_ops.hpp"

namespace dts {

struct RepeatedOps {
  struct Arrival {  // what a pass reads: an activation or a gradient that arrives at a stage
    bool forward;
    std::int32_t stage, micro_batch;
  };

  using Ops = std::vector<PassOp>;
  std::vector<Ops> before;  // window by window; all operations where no window repeats
  Ops window;               // that repeats; empty: none does
  std::vector<Ops> after;
  int later = 0;                 // micro-batches between one window and the next, of one copy of the model
  std::vector<Arrival> pending;  // arrives in that window or before, is waited for after it

  std::size_t size() const noexcept;  // operations
  bool repeats() const noexcept { return !window.empty(); }
};

// `period`: order_period. Nothing where no window repeats.
RepeatedOps repeated_ops(const PipelineOrder& order, const StagePlacement& placement, int micro_batches, bool blocking,
                         int period);
// The operations as they come.
RepeatedOps listed_ops(const PipelineOrder& order, const StagePlacement& placement, int micro_batches, bool blocking);

}  // namespace dts

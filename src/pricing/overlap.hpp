// Timelines inside one op: kernels on the compute stream and transfers beside them, as closed forms of what two streams
// do. `share` is the part of the multiprocessors that a transfer's own kernel holds: while it runs, compute advances at
// 1 - share of its rate. What a form adds to the compute time is the exposed part of the transfers, at most all of
// them. Sources: Transformer Engine `transformer_engine/pytorch/module/base.py` (bulk, ring exchange, pipelined
// scatter) and its context_parallel.py (ring attention). Left out: bandwidth that compute and transfers take from each
// other.
#pragma once

#include <vector>

namespace dts {

// One kernel beside one transfer; both operands are independent.
double beside_s(double compute_s, double transfer_s, double share) noexcept;

// Gather and matmul in `chunks` pieces, or matmul and scatter: the local piece needs no transfer, every other one runs
// beside the transfer of its neighbour.
double ring_exchange_s(double chunk_s, double hop_s, double share, int chunks) noexcept;

// A matmul whose pieces are scattered one by one; the last transfer has nothing beside it.
double pipelined_s(double chunk_s, double transfer_s, double share, int chunks) noexcept;

// Ring attention, forward: kernel i needs transfer i - 1. Steps alternate between two streams: transfer i is sent once
// transfer i - 1 has arrived and kernel i - 2 is done. One more kernel than transfers.
double ring_forward_s(const std::vector<double>& kernels_s, const std::vector<double>& transfers_s, double share);

// Backward: every step waits for the transfer beside it, which carries gradients. As many kernels as transfers.
double ring_backward_s(const std::vector<double>& kernels_s, const std::vector<double>& transfers_s, double share);

}  // namespace dts

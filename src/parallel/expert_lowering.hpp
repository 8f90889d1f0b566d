// What carries tokens to experts and back. t tokens of this rank, k experts each, rows of h features, N = etp * ep:
//
//   all-to-all   t k h over ep; with etp the received rows are gathered over it, and reduce-scattered before the way
//   back all-gather   t N (h + routing map and weights of every expert), over ep then etp; back a reduce-scatter of t N
//   h DeepEP       over ep, one copy per domain and rank (comm/token_exchange.hpp); etp as for all-to-all
//
// Combine is dispatch's mirror image; the backward of either carries gradients the other way. Permutations in memory:
// before the exchange by expert; after an all-to-all once more, from by-sender to by-expert order, when a rank has
// several experts (Megatron-Core token_dispatcher.py). Left out: counts per expert that are exchanged first, routing
// weights that travel with all-to-all rows (4 B a row).
#pragma once

#include "parallel/local_op.hpp"

namespace dts {

// Adds the collectives and permuted rows of a Dispatch or Combine whose rows and load are set.
void lower_exchange(const LocalSizes& sizes, LocalOp& local);

}  // namespace dts

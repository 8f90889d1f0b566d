// Building blocks of the classic schedules; every function states the bytes it is given. See comm/classic.hpp.
#pragma once

#include "comm/classic.hpp"

namespace dts {

int log2_floor(int n);
int log2_ceil(int n);
void append(Schedule& schedule, Schedule tail);
// The same rounds backwards with senders and receivers exchanged: broadcast <-> reduce, scatter <-> gather.
Schedule reversed(Schedule schedule, bool reduces);

// n-1 rounds in which every member passes `block` bytes to its successor.
Schedule ring_pass(int n, double block, bool reduces, bool both_ways);
// Ring passes along the dimensions of a grid in turn, the share shrinking on the way: reduce-scatter. All-gather is its
// reverse.
Schedule bucket_scatter(const std::vector<int>& dims, double bytes, bool reduces, bool both_ways);
// Every member sends `block` bytes to every other at once (one round), or to one other per round (n-1 rounds).
Schedule direct_exchange(int n, double block, bool reduces);
Schedule pairwise_exchange(int n, double block);

// Members beyond the largest power of two hand `bytes` to a partner below it, or get them back.
Schedule fold_in(int n, double bytes, bool reduces);
Schedule fold_out(int n, double bytes);
Schedule doubling_exchange(int n, double bytes);  // recursive doubling of whole vectors among the power of two
// Recursive halving among the power of two; blocks[i] bytes end at participant i. Its reverse is recursive doubling.
Schedule halving(const std::vector<double>& blocks);

Schedule binomial_broadcast(int n, double bytes);
Schedule binomial_scatter(int n, double block);
Schedule chain_broadcast(int n, double bytes);
Schedule direct_broadcast(int n, double bytes);
// Both trees of a double binary tree, half of the bytes each, in one pipelined round.
Schedule double_tree_broadcast(int n, double bytes);
Schedule double_tree_all_reduce(int n, double bytes);

Schedule bruck_all_gather(int n, double block);
Schedule bruck_all_to_all(int n, double block);
Schedule dissemination(int n);

}  // namespace dts

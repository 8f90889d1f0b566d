// Which pairs of ranks a collective keeps busy, and how much of a link each pair takes: what a network above the NICs,
// or beside other collectives, needs to know of it. Members are taken in the order of their ranks; between domains the
// k-th member of one talks to the k-th of another, which on rails is its own rail.
//
//   ring, chain, bucket of a torus   each member to the next; p members of a domain hold p rings that each leave it by
//                                    another member, so that every one drives its own share of the NICs
//   tree (also NVLS-tree, SHARP's)   the double binary tree between domains (NCCL src/graph/trees.cc), half the buffer
//                                    each way on both trees; inside a domain as a ring
//   pairwise, direct, deduplicated   every member to every other, or to the peer of its place in every other domain
//
// Left out: which rings a library picks among equals.
#pragma once

#include <vector>

#include "comm/collective.hpp"
#include "comm/interconnect.hpp"

namespace dts {

struct PairStream {
  int from = 0, to = 0;  // devices of the cluster
  double bytes = 0;
  double link_bytes = 0;  // at least `bytes`: a link carries `bytes` in the time of so many at its datasheet rate
};

struct StreamedCall {
  CollectiveKind kind = CollectiveKind::AllReduce;
  double bytes = 0;
  TokenCopies copies{};
};

// Of one collective on one group. SendRecv: the first two ranks.
std::vector<PairStream> pair_streams(const ClusterSpec& cluster, const StreamedCall& call, const RankGroup& group,
                                     const CollectiveCost& cost);

}  // namespace dts

// Classic collective algorithms as schedules: rounds of sends among the members 0 .. n-1 of a group, the root being
// member 0. A round starts when the one before has ended. Identical rounds are stored once with a repeat count; a
// pipelined round holds the whole message and the number of stages that its chunks pass.
//
// Sources: Thakur, Rabenseifner, Gropp, IJHPCA 19 (2005); Patarasuk, Yuan, JPDC 69 (2009); Bruck et al., IEEE TPDS 8
// (1997); Barnett et al., JPDC 16 (1993) for buckets along the dimensions of a torus; Sanders, Speck, Traeff, Parallel
// Computing 35 (2009); Hensgen et al., IJPP 17 (1988) for the barrier. Groups whose size is no power of two are folded
// onto the largest power of two below (Thakur et al.) where the algorithm needs one. Size convention:
// comm/collective.hpp. Left out: overlap between rounds of unequal senders.
#pragma once

#include <string>
#include <vector>

#include "comm/collective.hpp"

namespace dts {

enum class Algorithm {
  Auto,
  Ring,
  BidirectionalRing,
  RecursiveDoubling,
  RecursiveHalving,
  Tree,
  Rabenseifner,
  DoubleBinaryTree,
  Chain,
  ScatterAllGather,
  Direct,
  Pairwise,
  Bruck,
  Dissemination,
  TorusBucket,
  Hierarchical
};
std::string name_of(Algorithm algorithm);
std::string name_of(CollectiveKind kind);

struct Send {
  int from = 0, to = 0;
  double bytes = 0;
  bool reduces = false;  // the receiver combines what arrives with its own data
  int lane = 0;          // of a pipelined round: its trees, each with a part of the data of its own
};

struct Round {
  std::vector<Send> sends;
  double repeat = 1;  // times the same round runs, one after the other
  int stages = 0;     // > 0: pipelined over this many stages; c chunks take stages - 1 + c rounds of 1/c the bytes
};

using Schedule = std::vector<Round>;

// Algorithms that carry out a collective, in order of preference among equals.
const std::vector<Algorithm>& classic_algorithms(CollectiveKind kind);

bool is_pipelined(Algorithm algorithm) noexcept;  // cuts the message into chunks

// Sends that the schedule would store, or a bound on them, to refuse absurd ones before they are built.
double classic_send_count(CollectiveKind kind, Algorithm algorithm, int members);

bool needs_dims(Algorithm algorithm) noexcept;  // works along the dimensions of a grid of members

// `bytes` >= 0, members >= 2 (exactly 2 for send/recv); throws ConfigError where the algorithm does not fit the kind.
// `dims`: the members as a grid, first dimension fastest: a torus, or {members of a node, nodes}; empty = one
// dimension.
Schedule classic_schedule(CollectiveKind kind, Algorithm algorithm, double bytes, int members,
                          const std::vector<int>& dims = {});

}  // namespace dts

// Device memory of one communicator on its fullest rank, by the rules of NCCL's source (v2.29; of other
// versions what catalog/libraries.yaml tells apart):
// - a neighbour in the domain: buffers of all protocols with one of the two, an allocation on each (transport/p2p.cc):
//   10 + 2 or 6 + 6 MiB per channel;
// - a neighbour elsewhere: LL128 and Simple, on each side of each direction (transport/net.cc): 10 MiB; LL's on the
// host;
// - ring: the neighbours before and after on every channel (transport/generic.cc);
// - tree: the ring's neighbours the other way, and up to three of other domains;
// - switch (NVLS): channels x 2 x buffer x ranks of the domain (transport/nvls.cc);
// - point to point: every peer on its own channels; those elsewhere share two pools (sharedNetBuffersInit).
// Channels: those of the fabric's rings within a domain; two for every NIC of the group's members beyond it, four below
// 16 where switches reduce (graph/connect.cc); point to point the next power of two (graph/paths.cc). Left out: PXN's
// pools for neighbours' NICs, PAT's peers, a few MiB of flags and work queues, SHARP's own memory.
#pragma once

#include "comm/collective.hpp"
#include "hardware/cluster.hpp"
#include "hardware/communication_library.hpp"

namespace dts {

struct Communicator {
  GroupSpan span;
  bool ring = false, tree = false, in_switch = false;  // algorithms that run
  int near_peers = 0, far_peers = 0;                   // of sends and receives: in the domain, elsewhere
};

// Algorithms of the fabric's prices (comm/fabric.hpp) as the connections they need.
void add_algorithm(Communicator& communicator, const char* algorithm);

double communicator_bytes(const CommunicationLibrary& library, const ClusterSpec& cluster, const Communicator& asked);

}  // namespace dts

// What a group owns of its cluster: the rates, in bytes per second and direction, that bound its collectives.
#pragma once

#include "comm/collective.hpp"
#include "hardware/cluster.hpp"

namespace dts {

struct GroupRates {
  double ranks = 1, members = 1, domains = 1;  // members: ranks of the group in one domain
  double levels = 0;                           // log2(domains)
  double ring_Bps = 0;                         // ring inside the domain, per rank
  double p2p_Bps = 0;                          // one rank to all other members
  double pair_Bps = 0;                         // one rank to one other member
  double nic_Bps = 0;                          // rings and trees leaving one domain: NICs of the group's ranks there
  double nic_rank_Bps = 0;                     // NIC share of one rank
};

// A rank owns nics / devices of its node's NICs: siblings on the same node use the rest at the same time.
GroupRates rates_of(const ClusterSpec& cluster, const GroupSpan& span) noexcept;

// What protocol Simple starts later than the protocols with flags, on `steps` neighbour steps. Fitted up to the 14 of
// an all-reduce on 8 ranks; beyond them chunks shrink with the steps and it grows by their root, an extrapolation.
double simple_start_s(const ScaleUpSpec& spec, double steps) noexcept;

// The part of a torus slice a group spans. Members are consecutive (or strided) along the axes, first axis fastest.
struct TorusPart {
  double axes_Bps = 0;             // sum over spanned axes: both directions of a closed axis, one of an open one
  double hops = 0;                 // steps to reach the farthest member along every axis
  double alltoall_s_per_byte = 0;  // busiest link of an all-to-all, per byte of one rank's buffer
};
TorusPart torus_part(const ScaleUpSpec& spec, int slice, const GroupSpan& span) noexcept;

}  // namespace dts

// Names of the collectives and what a price says about one.
#pragma once

#include <string>

namespace dts {

enum class CollectiveKind {
  SendRecv,
  Broadcast,
  Reduce,
  AllReduce,
  ReduceScatter,
  AllGather,
  Gather,
  Scatter,
  AllToAll,
  Barrier
};

// Size convention (that of nccl-tests): the total buffer. All-gather and reduce-scatter: the gathered size. All-to-all:
// one rank's whole send buffer. Gather and scatter: the root's whole buffer.
struct CollectiveCost {
  double time_s = 0;
  double transfer_s = 0;  // of it, what its bytes take at the rate of what bounds it: grows where links are shared
  std::string algorithm;  // e.g. "ring", "tree", "nvls"
  std::string protocol;   // "LL", "LL128", "Simple" of the vendor libraries; empty where there is none
  std::string bound;      // what limits it: "latency", "scale-up", "nic", "link ..."
  double sent_bytes_per_rank = 0;  // the largest amount any rank sends
  double sms = 0;                  // streaming multiprocessors occupied while it runs
};

// A group of ranks as the fabric sees it. Ranks are spread evenly: `ranks = domains * ranks_per_domain`; where a
// group is uneven, `ranks_per_domain` is the smallest count (the one with the fewest NICs decides).
struct GroupSpan {
  int ranks = 1;
  int ranks_per_domain = 1;  // members in one scale-up domain
  int domains = 1;           // scale-up domains crossed
  int stride = 1;            // rank distance of neighbouring members in a domain; 0 = irregular
  double nics_alone = 1;     // NIC bandwidth of its members over their even share: above 1 where siblings stand aside
};

}  // namespace dts

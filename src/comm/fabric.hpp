// Time of a collective on real hardware as the vendor libraries run it (NCCL, RCCL, XLA). A collective is the fastest
// of a few branches (an algorithm with a protocol), each
//     time = startup_s + ramp * sqrt(bytes) + bytes * s_per_byte,
// where the startup counts hops, the ramp is the filling of a chunked pipeline (2 sqrt(alpha beta h bytes) at the best
// chunk) and the rate is what the group owns: its ring or switch inside a domain, the NICs of its own ranks beyond it.
// Form and constants: docs/guide/communication.md; NCCL src/graph/tuning.cc for what competes with what.
// Left out: in-network reduction beyond a domain (SHARP), PAT, copy-engine and symmetric kernels, jitter, and other
// traffic on the same links.
#pragma once

#include <array>
#include <cstddef>

#include "comm/collective.hpp"
#include "hardware/cluster.hpp"

namespace dts {

// One way to run a collective on one group, for any size.
struct Branch {
  // "ring", "ring-ll", "chain", "tree", "tree-ll", "nvls", "nvls-tree", "pairwise", "direct" or "torus"
  const char* algorithm = "";
  double startup_s = 0;
  double ramp = 0;  // s per sqrt(byte)
  double s_per_byte = 0;
  const char* limit = "scale-up";  // whose rate s_per_byte is: "scale-up" or "nic"
  double sent_share = 0;           // bytes sent by the busiest rank / bytes
  double sms = 0;
};

class Branches {
 public:
  void add(const Branch& branch) noexcept { list_[count_++] = branch; }
  const Branch* begin() const noexcept { return list_.data(); }
  const Branch* end() const noexcept { return list_.data() + count_; }

 private:
  std::array<Branch, 4> list_{};
  std::size_t count_ = 0;
};

// What competes for this collective on this group; empty for a group of one rank.
Branches branches_of(const ClusterSpec& cluster, CollectiveKind kind, const GroupSpan& span) noexcept;

// The fastest branch. The cluster must have passed check_cluster and the span come from span_of; bytes are finite and
// >= 0 (a barrier ignores them).
CollectiveCost fabric_collective(const ClusterSpec& cluster, CollectiveKind kind, double bytes, const GroupSpan& span);

}  // namespace dts

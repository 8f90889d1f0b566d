// Time of a collective on real hardware as the vendor libraries run it (NCCL, RCCL, XLA). A collective is the fastest
// of a few branches (an algorithm with a protocol), each
//     time = max(startup_s + ramp * sqrt(min(bytes, ramp_bytes)) + bytes * s_per_byte, floor_s),
// where the startup counts hops, the ramp is the filling of a chunked pipeline (2 sqrt(alpha beta h bytes) at the best
// chunk, so that it ends where chunks reach the library's largest) and the rate is what the group owns: its ring or
// switch inside a domain, the NICs of its own ranks beyond it. Form and constants: docs/guide/communication.md; NCCL
// src/graph/tuning.cc for what competes with what. Left out: copy-engine collectives (no SMs), jitter, and other
// traffic on the same links.
#pragma once

#include <array>
#include <cstddef>

#include "comm/collective.hpp"
#include "hardware/cluster.hpp"

namespace dts {

inline constexpr double kNoEnd = 1e30;

// One way to run a collective on one group, for any size.
struct Branch {
  // "ring", "chain", "tree", "nvls", "nvls-tree", "pat", "sharp", "one-shot", "pairwise", "direct" or "torus"
  const char* algorithm = "";
  const char* protocol = "Simple";
  double startup_s = 0;
  double ramp = 0;  // s per sqrt(byte)
  double s_per_byte = 0;
  const char* limit = "scale-up";  // whose rate s_per_byte is: "scale-up" or "nic"
  double sent_share = 0;           // bytes sent by the busiest rank / bytes
  double sms = 0;
  double floor_s = 0;         // no size takes less
  double ramp_root = kNoEnd;  // sqrt of the size above which the ramp does not grow

  double time_s(double bytes, double root_bytes) const noexcept {
    const double line = startup_s + ramp * (root_bytes < ramp_root ? root_bytes : ramp_root) + s_per_byte * bytes;
    return line > floor_s ? line : floor_s;
  }
};

class Branches {
 public:
  static constexpr std::size_t kMost = 8;
  void add(const Branch& branch) noexcept { list_[count_++] = branch; }
  const Branch* begin() const noexcept { return list_.data(); }
  const Branch* end() const noexcept { return list_.data() + count_; }

 private:
  std::array<Branch, kMost> list_;
  std::size_t count_ = 0;
};

// What competes for this collective on this group; empty for a group of one rank.
Branches branches_of(const ClusterSpec& cluster, CollectiveKind kind, const GroupSpan& span) noexcept;

// The fastest branch. The cluster must have passed check_cluster and the span come from span_of; bytes are finite and
// >= 0 (a barrier ignores them).
CollectiveCost fabric_collective(const ClusterSpec& cluster, CollectiveKind kind, double bytes, const GroupSpan& span);

}  // namespace dts

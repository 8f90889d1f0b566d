// Sending token rows to their experts with deduplication (DeepEP, HybridEP): a token crosses the NIC once per domain
// that holds one of its experts, to the peer of the sender's own place there, which passes it on over the scale-up
// links, once per rank. Bytes follow from how many distinct domains and ranks a token's top_k experts lie on.
//
//   distinct groups of G equal groups = G (1 - C(E - E/G, k) / C(E, k))        uniform choice of k of E experts
//   NIC bytes = rows (D_domains - D_domains / domains),  scale-up bytes = rows D_ranks
//   time = launch, peers and hops + max over both links of bytes / rate + ramp sqrt(bytes)
//
// Both links at once explain DeepEP's published rows for 8, 16 and 32 ranks at 0.87 to 0.92 of the NIC (the fabric's
// ring efficiency) and 0.7 to 0.8 of NVLink (its all-to-all efficiency): docs/guide/experts.md. Left out: low-latency
// kernels, fp8 rows with their scales, growth of the fixed time with the number of tokens' metadata.
#pragma once

#include "comm/collective.hpp"
#include "hardware/cluster.hpp"

namespace dts {

// What lies behind the bytes of an expert exchange; top_k = 0: a plain collective.
struct TokenCopies {
  double top_k = 0, experts = 0;
  int max_domains = 0;  // node-limited routing: a token's experts lie in at most so many domains; 0 = no limit
  double sms = 0;       // multiprocessors that its kernels hold

  bool deduplicated() const noexcept { return top_k > 0; }
};

// Expected number of `groups` equal groups of experts that a token meets; `domains` limits apply to whole domains, each
// of groups / domains groups.
double distinct_groups(double groups, double domains, const TokenCopies& copies) noexcept;

struct ExchangeBytes {
  double nic = 0, scale_up = 0;  // received by one rank; sent as much
};
// `bytes`: one rank's tokens x top_k rows, the send buffer of a plain all-to-all.
ExchangeBytes exchange_bytes(double bytes, const TokenCopies& copies, const GroupSpan& span) noexcept;

// The cluster must have passed check_cluster and the span come from span_of; bytes are finite and >= 0.
CollectiveCost token_exchange(const ClusterSpec& cluster, double bytes, const TokenCopies& copies,
                              const GroupSpan& span);

}  // namespace dts

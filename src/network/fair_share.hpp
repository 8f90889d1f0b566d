// Max-min fair rates of flows over links with capacities (bytes/s): no flow can gain without a slower or equal one on a
// full link losing (Bertsekas, Gallager, Data Networks, 1992, section 6.5.2). Solved by progressive filling, and only
// where something changed: a flow is bound by one full link, and a change spreads only over links that bind a flow and
// to flows not slower than the slowest that came or left (filling is the same up to that level).
// Left out: round-trip times, protocol headers, queues; rates settle at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace dts {

class FairShare {
 public:
  using FlowId = std::uint32_t;

  explicit FairShare(std::vector<double> capacity_Bps);

  // A flow over these links; its rate is that of the next `solve`. A flow over no link stays at rate infinity.
  FlowId add(const int* links, std::size_t count);
  // Takes a flow off its links; its id stays taken until `release`, so that the caller may keep data under it.
  void leave(FlowId flow);
  void release(FlowId flow);

  // Flows whose rate changed since the last call, new ones included, each once; valid until the next call.
  const std::vector<FlowId>& solve();

  double rate_Bps(FlowId flow) const noexcept { return flows_[flow].rate_Bps; }
  std::size_t slots() const noexcept { return flows_.size(); }  // ids are below this
  std::uint32_t flows_on(int link) const noexcept { return links_[static_cast<std::size_t>(link)].count; }
  double capacity_Bps(int link) const noexcept { return links_[static_cast<std::size_t>(link)].capacity_Bps; }
  std::uint64_t flows_solved() const noexcept { return flows_solved_; }

  template <class Visit>
  void for_links(FlowId flow, Visit visit) const {
    const Flow& f = flows_[flow];
    for (std::uint32_t h = f.first_hop; h < f.first_hop + f.hops; ++h) visit(static_cast<int>(hops_[h].link));
  }

 private:
  static constexpr std::uint32_t kNone = static_cast<std::uint32_t>(-1);
  struct Flow {
    std::uint32_t first_hop = 0, hops = 0;
    std::uint32_t bound_by = kNone;  // the link that sets the rate
    std::uint32_t mark = 0;          // epoch in which it was taken into the set to solve
    double rate_Bps = 0, next_Bps = 0;
    std::uint32_t next_bound = kNone;
    bool on_links = false;
  };
  struct Hop {  // a flow on a link: doubly linked list per link
    std::uint32_t flow, link, before, after;
  };
  struct LinkState {
    double capacity_Bps = 0, used_Bps = 0;
    std::uint32_t head = kNone, count = 0, binds = 0;  // flows on it; flows whose rate it sets
    std::uint32_t seen = 0, whole = 0;                 // epochs: touched by the set; all of its flows in the set
    std::uint32_t open = 0;                            // flows of the set without a rate yet
    double left_Bps = 0;                               // capacity left to them
  };
  struct Candidate {
    double share_Bps;
    std::uint32_t link;
  };

  std::uint32_t take_hops(std::uint32_t count);
  void take_flow(FlowId flow);
  void take_link(std::uint32_t link);
  bool below_level(const Flow& flow) const noexcept { return flow.bound_by != kNone && flow.rate_Bps < level_Bps_; }
  void lower_level();
  void gather();
  void fill();
  void fix(FlowId flow, std::uint32_t link, double rate_Bps);
  bool solve_alone();
  static double share_Bps(const LinkState& link) noexcept;
  void push(std::uint32_t link);
  void commit();

  std::vector<LinkState> links_;
  std::vector<Flow> flows_;
  std::vector<Hop> hops_;
  std::vector<FlowId> free_flows_;
  std::vector<std::vector<std::uint32_t>> free_hops_;  // blocks by length
  std::vector<FlowId> added_;
  std::vector<std::uint32_t> dirty_;  // links that a leaving flow may have freed
  std::vector<FlowId> set_, changed_;
  std::vector<std::uint32_t> touched_, widen_, to_take_;
  std::vector<Candidate> heap_;
  std::uint32_t epoch_ = 0;
  double level_Bps_ = std::numeric_limits<double>::infinity();  // flows slower than this keep their rates
  std::uint64_t flows_solved_ = 0;
};

}  // namespace dts

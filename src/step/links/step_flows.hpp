// What the collectives of a step put on the links of a cluster (network/clos.hpp), rank by rank. Each collective that a
// stream of the step runs, or that its passes run inside, is a source: known once per pipeline rank, with a footprint
// for each unit or lane. Prices say how long it takes alone; the footprint, what it takes of each link meanwhile.
#pragma once

#include <map>
#include <tuple>
#include <vector>

#include "comm/pair_streams.hpp"
#include "engine/shared_run.hpp"
#include "network/clos.hpp"
#include "network/flow_network.hpp"
#include "step/plan/job.hpp"
#include "step/plan/rank_view.hpp"
#include "step/tasks/step_program.hpp"

namespace dts {

struct StepFootprint : Footprint {
  std::vector<double> payload_Bps;  // of each load: without flags and protocol
};

struct FlowSource {
  Space space = Space::Unit;
  StreamKind stream = StreamKind::Compute;
  int rank = 0;
  int to = -1;  // pipeline rank of the other end; -1: `calls`
  CollectiveKind pair_kind = CollectiveKind::SendRecv;
  double pair_bytes = 0;
  std::vector<CollectiveCall> calls;  // one after the other
  double transfer_s = 0;              // of the slowest group, at full speed
  std::vector<StepFootprint> of;      // per unit or lane
};

class StepFlows {
 public:
  StepFlows(const Job& job, const RankGrid& grid, const RankView& view, Clos& clos,
            const std::vector<BackgroundFlow>& background);

  std::size_t between_stages(StreamKind stream, CollectiveKind kind, int rank, int to, double bytes);
  std::size_t calls(Space space, StreamKind stream, int rank, const std::vector<CollectiveCall>& calls,
                    double share = 1);

  // Routes every source and finds the links that may be asked for more than they have. After the last source.
  void lay();
  void route_again();  // links have died or come back

  const FlowSource& source(std::size_t id) const { return sources_[id]; }
  bool binds(std::size_t id) const;  // whether anyone can slow it anywhere
  bool binds(std::size_t id, std::uint32_t instance) const { return sources_[id].of[instance].binding > 0; }
  const std::vector<Footprint>& background() const noexcept { return background_; }
  const Clos& clos() const noexcept { return clos_; }
  Clos& clos() noexcept { return clos_; }
  std::vector<PairStream> streams(const FlowSource& source, std::uint32_t instance) const;

 private:
  using Groups = std::vector<std::vector<RankGroup>>;  // by pipeline rank and instance

  std::size_t known(FlowSource source);
  const Groups& groups(Axis axis, Space space) const;
  std::uint32_t instances(Space space) const noexcept;
  StepFootprint footprint(const FlowSource& source, std::uint32_t instance) const;
  void lay_background();
  std::vector<double> asked_at_most() const;
  void sort_binding(StepFootprint& footprint, const std::vector<bool>& binding) const;
  std::vector<bool> binding_links() const;

  const Job& job_;
  const RankGrid& grid_;
  const RankView& view_;
  Clos& clos_;
  std::vector<BackgroundFlow> asked_;
  GroupPricer prices_;
  std::vector<std::uint32_t> place_of_;  // per rank
  std::vector<FlowSource> sources_;
  std::map<std::tuple<Space, StreamKind, int, int, CollectiveKind, double, std::vector<CollectiveCall>>, std::size_t>
      ids_;
  std::vector<Footprint> background_;
  mutable std::map<std::pair<Axis, Space>, Groups> groups_;
  mutable std::vector<double> rate_, payload_;  // per link, while one footprint is laid
};

}  // namespace dts

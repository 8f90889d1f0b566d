// A step's tasks as users of links: which stretches of a task are kernels and latency, and which are transfers that
// others can slow. Collectives inside a pass become transfers of their own where a link of theirs may be asked for more
// than it has; elsewhere nothing could slow them, and the pass stays one stretch.
#pragma once

#include <map>
#include <tuple>
#include <vector>

#include "network/link_log.hpp"
#include "step/links/step_flows.hpp"
#include "step/plan/rank_prices.hpp"

namespace dts {

class FlowUse final : public LinkUse {
 public:
  FlowUse(const StepPlan& plan, const StepProgram& step, StepFlows& flows);

  // Seconds of each task's instances alone, and which member stands for each instance; before the run.
  void set_classes(const RankPrices& prices, const RankClasses& classes) { prices_ = &prices, classes_ = &classes; }
  double alone_s(TaskId task, std::uint32_t instance) const;
  // Whether two units, or two lanes, that are priced alike may differ on their links.
  bool units_differ() const;
  bool lanes_differ() const;

  void follow(LinkLog* log) { log_ = log; }  // bytes over time
  void add_pairs(LinkLog& log) const;        // of the whole step

  double stretches(TaskId task, std::uint32_t instance, std::vector<Stretch>& out) override;
  const std::vector<double>& change_times_s() const override { return flows_.clos().change_times_s(); }
  void advance(double time_s) override;
  double capacity_Bps(std::size_t link) const override { return flows_.clos().left_Bps(link); }
  std::size_t links() const override { return flows_.clos().size(); }
  void moved(const Footprint& footprint, double start_s, double end_s, double speed) override;
  void ended(TaskId task, std::uint32_t instance, double start_s, double end_s) override;
  const std::vector<Footprint>& background() const override { return flows_.background(); }

 private:
  struct Inside {  // collectives of one axis in one block of a pass
    std::size_t source;
    double seconds, beside_s;  // of the collectives; of kernels beside them
  };
  using PassKey = std::tuple<int, TaskKind, int, double>;  // stage, kind, piece, hidden share

  std::uint32_t member(Space space, std::uint32_t instance) const;
  std::size_t source_of(const TaskInfo& info);  // of a task that is one collective
  std::size_t inside_of(const TaskInfo& info);  // index into inside_, of a pass
  void add_inside(std::vector<Inside>& all, const TaskInfo& info, const PassCost& cost,
                  const std::vector<CollectiveCall>& calls, double share);
  void log(const StepFootprint& footprint, double start_s, double end_s, double seconds_at_full_speed);

  const StepPlan& plan_;
  const StepProgram& step_;
  StagePlacement placement_;
  StepFlows& flows_;
  const RankPrices* prices_ = nullptr;
  const RankClasses* classes_ = nullptr;
  LinkLog* log_ = nullptr;
  std::vector<std::size_t> of_task_;  // a source, or an index into inside_
  std::vector<std::vector<Inside>> inside_;
  std::map<PassKey, std::size_t> passes_;
};

inline constexpr std::size_t kNoSource = static_cast<std::size_t>(-1);

}  // namespace dts

// One step on shared links: which links, who may slow whom, and the timeline that comes of it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "network/clos.hpp"
#include "network/flow_network.hpp"
#include "network/link_log.hpp"
#include "step/plan/job.hpp"
#include "step/plan/rank_prices.hpp"
#include "step/tasks/step_program.hpp"

namespace dts {

struct FlowStepOptions {
  ClosOptions network;
  std::vector<BackgroundFlow> background;
  int intervals = 0;     // > 0: link use over time in at least this many intervals
  bool traffic = false;  // bytes per link and per pair; they come with intervals too
};

struct StepLinks {
  std::vector<std::string> names;
  std::vector<double> capacity_Bps;
  std::vector<double> bytes;       // payload of the step
  std::vector<double> busy_bytes;  // links x intervals, row-major: of the capacity taken, flags and protocol included
  std::size_t intervals = 0;
  double interval_s = 0;
  std::vector<PairBytes> pairs;
  std::uint64_t events = 0;
  std::size_t instances = 0;
};

inline constexpr double kMaxInstances = 1e7;  // task instances of a step: 1 GB, a minute or more

class FlowStep {
 public:
  // Throws ConfigError for illegal options, InfeasibleError where dead links cut ranks off or the step is too large.
  FlowStep(const Job& job, const RankGrid& grid, const RankView& view, const StepPlan& plan, const StepProgram& step,
           const FlowStepOptions& options);
  ~FlowStep();

  RankClasses classes(const RankPrices& prices) const;  // the coarsest that prices and links allow
  SpreadEnd run(const RankPrices& prices, const RankClasses& classes,
                const std::function<void(TaskId, const Instances&)>& visit);
  StepLinks links();  // of the last run, once

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace dts

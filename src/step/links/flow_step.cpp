#include "step/links/flow_step.hpp"

#include <algorithm>
#include <cmath>

#include "error.hpp"
#include "step/links/flow_use.hpp"

namespace dts {

namespace {

void check_options(const Job& job, const FlowStepOptions& options) {
  Checker check;
  check.at_least("intervals", options.intervals, 0);
  check.require(job.network.cluster() != nullptr, "network", "the links of a CommunicationModel",
                "a cluster's fabric, for the flows of a step", "FlowNetwork runs schedules of your own on such links");
  check.throw_if_any();
}

}  // namespace

struct FlowStep::Parts {
  Parts(const Job& job, const RankGrid& grid, const RankView& v, const StepPlan& plan, const StepProgram& s,
        const FlowStepOptions& o)
      : options(o), view(v), step(s), clos(*job.network.cluster(), o.network), flows(job, grid, v, clos, o.background),
        use(plan, s, flows) {
    for (const TaskInfo& info : s.tasks) spaces.push_back(space_of(info.kind));
  }

  bool follows() const { return options.traffic || options.intervals > 0; }

  double instances(const Spread& spread) const {
    double count = 0;
    for (Space space : spaces) count += spread.size(space);
    return count;
  }

  void check_size(const Spread& spread) const {
    const double count = instances(spread);
    if (count <= kMaxInstances) return;
    throw InfeasibleError(std::vector<Violation>{
        {"network flow",
         number_text(std::round(count)) + " task instances (" + std::to_string(step.tasks.size()) + " tasks on up to " +
             std::to_string(std::max(spread.units, spread.lanes)) + " groups of ranks)",
         "at most " + number_text(kMaxInstances) + ", which take a minute or more",
         "take fewer micro-batches or virtual stages, follow no links, or simulate without network=\"flow\""}});
  }

  FlowStepOptions options;
  const RankView& view;
  const StepProgram& step;
  Clos clos;
  StepFlows flows;
  FlowUse use;
  std::vector<Space> spaces;
  StepLinks links;
};

FlowStep::FlowStep(const Job& job, const RankGrid& grid, const RankView& view, const StepPlan& plan,
                   const StepProgram& step, const FlowStepOptions& options) {
  check_options(job, options);
  parts_ = std::make_unique<Parts>(job, grid, view, plan, step, options);
  Checker check;
  const double cells = 2.0 * options.intervals * static_cast<double>(parts_->clos.size());
  check.require(
      cells <= kMaxLogCells, "intervals", std::to_string(options.intervals),
      "at most " + number_text(kMaxLogCells / 2) + " over all " + std::to_string(parts_->clos.size()) + " links",
      "take fewer");
  check.throw_if_any();
}

FlowStep::~FlowStep() = default;

RankClasses FlowStep::classes(const RankPrices& prices) const {
  if (parts_->follows()) return RankClasses::each(parts_->view);
  return prices.classes(parts_->view, parts_->use.units_differ(), parts_->use.lanes_differ());
}

SpreadEnd FlowStep::run(const RankPrices& prices, const RankClasses& classes,
                        const std::function<void(TaskId, const Instances&)>& visit) {
  Parts& p = *parts_;
  p.check_size(classes.spread);
  p.use.set_classes(prices, classes);
  LinkLog log(p.clos.size(), p.options.intervals, p.follows());
  p.use.follow(p.follows() ? &log : nullptr);
  const SharedTimes times = run_shared(p.step.program, p.spaces, classes.spread, p.use);
  std::vector<double> alone_s;
  const SpreadEnd end = execute(
      p.step.program, p.spaces, classes.spread,
      [&](TaskId task, double* seconds) {
        std::copy(times.seconds.begin() + static_cast<std::ptrdiff_t>(times.first[task]),
                  times.seconds.begin() + static_cast<std::ptrdiff_t>(times.first[task + 1]), seconds);
      },
      [&](TaskId task, const Instances& took) {
        alone_s.resize(took.count);
        for (std::uint32_t i = 0; i < took.count; ++i) alone_s[i] = p.use.alone_s(task, i);
        visit(task, {took.start_s, took.end_s, alone_s.data(), took.cause, took.count,
                     &times.contended_s[times.first[task]]});
      },
      false);
  p.links.events = times.events;
  p.links.instances = times.seconds.size();
  if (!p.follows()) return end;
  p.use.add_pairs(log);
  p.links.pairs = log.pair_bytes();
  p.links.bytes = log.link_bytes();
  if (log.follows_time()) {
    p.links.busy_bytes = log.bytes_over_time(end.makespan_s, p.links.intervals);
    p.links.interval_s = log.interval_s();
  }
  return end;
}

StepLinks FlowStep::links() {
  Parts& p = *parts_;
  for (std::size_t link = 0; p.follows() && link < p.clos.size(); ++link) {
    p.links.names.push_back(p.clos.name(link));
    p.links.capacity_Bps.push_back(p.clos.capacity_Bps(link));
  }
  return std::move(p.links);
}

}  // namespace dts

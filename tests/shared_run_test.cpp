#include "engine/shared_run.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "communication_model.hpp"
#include "network/flow_network.hpp"

namespace {

using namespace dts;

// Stretches and links by hand.
class Links : public LinkUse {
 public:
  explicit Links(std::vector<double> capacity_Bps) : capacity_(std::move(capacity_Bps)) {}

  std::vector<std::vector<std::vector<Stretch>>> tasks;  // [task][instance]
  std::vector<double> times_s;
  std::vector<std::vector<double>> later;  // capacities from each time on
  std::vector<Footprint> others;
  double moved_s = 0;

  double stretches(TaskId task, std::uint32_t i, std::vector<Stretch>& out) override {
    out = tasks[task][i];
    double seconds = 0;
    for (const Stretch& s : out) seconds += s.alone_s + std::max(s.latency_s + s.transfer_s, s.beside_s);
    return seconds;
  }
  const std::vector<double>& change_times_s() const override { return times_s; }
  void advance(double time_s) override {
    capacity_ = later[static_cast<std::size_t>(std::find(times_s.begin(), times_s.end(), time_s) - times_s.begin())];
  }
  double capacity_Bps(std::size_t link) const override { return capacity_[link]; }
  std::size_t links() const override { return capacity_.size(); }
  void moved(const Footprint&, double start_s, double end_s, double speed) override {
    moved_s += speed * (end_s - start_s);
  }
  const std::vector<Footprint>& background() const override { return others; }

 private:
  std::vector<double> capacity_;
};

Footprint over(std::uint32_t link, double rate) { return {{{link, rate}}, 1, rate / 10}; }
Stretch kernels(double seconds) { return {seconds, 0, 0, 0, nullptr}; }
Stretch transfer(const Footprint& flow, double seconds, double latency_s = 0, double beside_s = 0) {
  return {0, latency_s, seconds, beside_s, &flow};
}

struct Two {  // two tasks at once on streams of their own
  Program program{2};
  std::vector<Space> spaces{Space::Unit, Space::Unit};
  Two() { program.add(0, {0}, {}), program.add(0, {1}, {}); }
  SharedTimes run(LinkUse& use) { return run_shared(program, spaces, Spread::one(), use); }
};

TEST(SharedRun, TransfersThatMeetShareTheirLink) {
  Two two;
  const Footprint flow = over(0, 10);
  Links links({10});
  links.tasks = {{{transfer(flow, 4)}}, {{transfer(flow, 2)}}};
  const SharedTimes t = two.run(links);
  EXPECT_DOUBLE_EQ(t.seconds[1], 4);  // both at half speed until the shorter is done
  EXPECT_DOUBLE_EQ(t.seconds[0], 6);
  EXPECT_DOUBLE_EQ(t.contended_s[0], 2);
  EXPECT_DOUBLE_EQ(links.moved_s, 6);
}

TEST(SharedRun, LatencyTakesNoLink) {
  Two two;
  const Footprint flow = over(0, 10);
  Links links({10});
  links.tasks = {{{transfer(flow, 4)}}, {{transfer(flow, 2, 4)}}};
  const SharedTimes t = two.run(links);
  EXPECT_DOUBLE_EQ(t.seconds[0], 4);
  EXPECT_DOUBLE_EQ(t.seconds[1], 6);
}

// Kernels beside a transfer hide what it loses, up to their own length.
TEST(SharedRun, KernelsBesideHideContention) {
  Two two;
  const Footprint flow = over(0, 10);
  for (const double beside_s : {3.0, 5.0}) {
    Links links({10});
    links.tasks = {{{kernels(1), transfer(flow, 2, 0, beside_s), kernels(1)}}, {{kernels(1), transfer(flow, 2)}}};
    const SharedTimes t = two.run(links);
    EXPECT_DOUBLE_EQ(t.seconds[0], 2 + std::max(4.0, beside_s));
    EXPECT_DOUBLE_EQ(t.contended_s[0], std::max(4.0, beside_s) - beside_s);
  }
}

TEST(SharedRun, OthersTrafficTakesItsPart) {
  Two two;
  const Footprint flow = over(0, 10);
  Links links({10});
  links.others = {over(0, 4)};
  links.tasks = {{{transfer(flow, 6)}}, {{kernels(1)}}};
  EXPECT_DOUBLE_EQ(two.run(links).seconds[0], 10);
}

TEST(SharedRun, LinksThatChangeSlowWhatIsUnderWay) {
  Two two;
  const Footprint flow = over(0, 10);
  Links links({10});
  links.times_s = {1, 3}, links.later = {{5}, {10}};
  links.tasks = {{{transfer(flow, 4)}}, {{kernels(10)}}};
  EXPECT_DOUBLE_EQ(two.run(links).seconds[0], 1 + 2 + 2);  // one second of work in the two at half speed
}

struct Drawn {
  Program program;
  std::vector<Space> spaces;
  std::vector<std::vector<double>> seconds;
};

Drawn drawn(std::mt19937& random, const Spread& spread) {
  const auto below = [&](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); };
  Drawn d{Program(6, 3), {}, {}};
  for (TaskId id = 0; id < 40; ++id) {
    const bool compute = below(2) == 0;
    const StreamId device = below(2);
    std::vector<TaskId> deps;
    for (int k = 0; k < 2 && id > 0; ++k) deps.push_back(below(id));
    const Space space = compute ? Space::Unit : below(4) == 0 ? Space::World : Space::Lane;
    const StreamId stream = 3 * device + (compute ? 0 : 1 + below(2));
    d.program.add(compute ? 1 : 2, {stream}, deps, {compute ? 0.25 * below(5) : 0, compute ? 0 : 0.1 * below(4)});
    d.spaces.push_back(space);
    std::vector<double> seconds(spread.size(space));
    for (double& s : seconds) s = 0.5 + 0.01 * below(300);
    d.seconds.push_back(seconds);
  }
  return d;
}

Spread chain() {
  Spread s;
  s.units = 3, s.lanes = 2;
  for (const auto& lanes : std::vector<std::vector<std::uint32_t>>{{0}, {0, 1}, {1}}) s.lanes_of_unit.add_row(lanes);
  for (const auto& units : std::vector<std::vector<std::uint32_t>>{{0, 1}, {1, 2}}) s.units_of_lane.add_row(units);
  return s;
}

// Without links in common the event loop is the sweep: order, waits and compute slowed by collectives.
TEST(SharedRun, WithoutLinksItIsTheSweep) {
  std::mt19937 random(3);
  const Spread spread = chain();
  for (int trial = 0; trial < 300; ++trial) {
    const Drawn d = drawn(random, spread);
    Links links({});
    for (const auto& seconds : d.seconds) {
      links.tasks.emplace_back();
      for (double s : seconds) links.tasks.back().push_back({kernels(s)});
    }
    const SharedTimes t = run_shared(d.program, d.spaces, spread, links);
    execute(
        d.program, d.spaces, spread,
        [&](TaskId task, double* out) { std::copy(d.seconds[task].begin(), d.seconds[task].end(), out); },
        [&](TaskId task, const Instances& i) {
          for (std::uint32_t k = 0; k < i.count; ++k)
            EXPECT_NEAR(t.seconds[t.first[task] + k], i.end_s[k] - i.start_s[k], 1e-9) << task;
        });
  }
}

// Rings that meet on uplinks, against every message of every step.
TEST(SharedRun, RingsThatMeetAgreeWithTheirMessages) {
  std::mt19937 random(11);
  double worst = 1, best = 1;
  for (int trial = 0; trial < 20; ++trial) {
    TopologySpec spec;
    spec.kind = TopologyKind::FatTree;
    spec.nodes = 64, spec.radix = 8, spec.oversubscription = 4, spec.spines = trial % 2 ? 4 : 0;
    spec.inter = {10e9, 0};
    const Topology topology(spec);
    PathFinder paths(topology, {});
    std::vector<int> nodes(64);
    std::iota(nodes.begin(), nodes.end(), 0);
    std::shuffle(nodes.begin(), nodes.end(), random);
    const int rings = 2 + trial % 3, members = 64 / rings;
    const double bytes = 64e6, each = bytes / members, alone_s = each * 2 * (members - 1) / spec.inter.bandwidth_Bps;
    FlowProgram messages;
    const auto pattern = messages.add_pattern(
        make_pattern(classic_schedule(CollectiveKind::AllReduce, Algorithm::Ring, bytes, members), members));
    Program program(static_cast<StreamId>(rings));
    Links links([&] {
      std::vector<double> all;
      for (const Link& link : topology.links()) all.push_back(link.rate.bandwidth_Bps);
      return all;
    }());
    std::vector<Footprint> flows(static_cast<std::size_t>(rings));
    std::vector<Space> spaces(flows.size(), Space::Unit);
    for (int r = 0; r < rings; ++r) {
      const std::vector<int> ring(nodes.begin() + r * members, nodes.begin() + (r + 1) * members);
      messages.communicate(pattern, messages.add_group(ring));
      std::vector<double> rate(topology.links().size(), 0);
      for (int i = 0; i < members; ++i) {
        const Path path = paths.find(ring[static_cast<std::size_t>(i)],
                                     ring[static_cast<std::size_t>((i + 1) % members)], [](int) { return 0.0; });
        for (std::size_t k = 0; k < path.count; ++k)
          rate[static_cast<std::size_t>(path.links[k])] += spec.inter.bandwidth_Bps;
      }
      Footprint& flow = flows[static_cast<std::size_t>(r)];
      for (std::uint32_t link = 0; link < rate.size(); ++link) {
        if (rate[link] > 0) flow.loads.push_back({link, rate[link]});
      }
      flow.binding = flow.loads.size();
      program.add(0, {static_cast<StreamId>(r)}, {});
      links.tasks.push_back({{transfer(flow, alone_s)}});
    }
    const SharedTimes coupled = run_shared(program, spaces, Spread::one(), links);
    const FlowResult every = FlowNetwork(topology, {}).run(messages);
    for (int r = 0; r < rings; ++r) {
      const double ratio = coupled.seconds[static_cast<std::size_t>(r)] / every.finish_s[static_cast<std::size_t>(r)];
      worst = std::max(worst, ratio), best = std::min(best, ratio);
    }
  }
  RecordProperty("largest_ratio", std::to_string(worst));
  RecordProperty("smallest_ratio", std::to_string(best));
  EXPECT_LT(worst, 1.1);
  EXPECT_GT(best, 0.9);
}

}  // namespace

#include "network/flow_network.hpp"

#include <cmath>

#include "error.hpp"
#include "network/flow_engine.hpp"

namespace dts {

namespace {

bool is_rank(int rank, int devices) noexcept { return rank >= 0 && rank < devices; }

void check_background(const std::vector<BackgroundFlow>& flows, int devices) {
  Checker check;
  for (std::size_t i = 0; i < flows.size() && check.violations().size() < 20; ++i) {
    const std::string where = "background[" + std::to_string(i) + "]";
    const std::string got = std::to_string(flows[i].from) + " -> " + std::to_string(flows[i].to);
    check.require(is_rank(flows[i].from, devices) && is_rank(flows[i].to, devices), where, got,
                  "ranks from 0 to " + std::to_string(devices - 1));
    check.require(flows[i].from != flows[i].to, where, got, "two different ranks");
    check.positive(where + ".demand", flows[i].demand_Bps);
  }
  check.throw_if_any();
}

void check_program(const FlowProgram& program, int devices) {
  Checker check;
  for (std::size_t g = 0; g < program.groups().size() && check.violations().size() < 20; ++g) {
    for (int rank : program.groups()[g]) {
      if (is_rank(rank, devices)) continue;
      check.fail("group " + std::to_string(g), "rank " + std::to_string(rank),
                 "ranks from 0 to " + std::to_string(devices - 1));
      break;
    }
  }
  const std::size_t tasks = program.tasks().size();
  for (const auto& [before, after] : program.edges()) {
    if (before < tasks && after < tasks) continue;
    check.fail("dependency", std::to_string(after) + " on " + std::to_string(before),
               "tasks from 0 to " + std::to_string(tasks) + ", excluded");
    break;
  }
  check.throw_if_any();
}

constexpr double kSecondsPerMessage = 2.5e-6;  // measured: an all-to-all of 512 ranks on a fat tree

void check_messages(const FlowProgram& program) {
  std::vector<double> messages;
  for (const Pattern& pattern : program.patterns()) messages.push_back(messages_of(pattern));
  double all = 0;
  for (const FlowProgram::Task& task : program.tasks())
    all += task.pattern == FlowProgram::kCompute ? 0 : messages[task.pattern];
  Checker check;
  check.require(all <= kMaxMessages, "work",
                number_text(all) + " messages, about " + number_text(std::ceil(all * kSecondsPerMessage)) + " s",
                "at most " + number_text(kMaxMessages) + " messages", "use fused=True for rings, or fewer ranks");
  check.throw_if_any();
}

}  // namespace

FlowNetwork::FlowNetwork(Topology topology, FlowNetworkOptions options)
    : topology_(std::move(topology)), options_(std::move(options)) {
  check_paths(topology_, options_.paths);
  check_background(options_.background, topology_.device_count());
  Checker check;
  check.non_negative("reduce_s_per_byte", options_.reduce_s_per_byte);
  check.throw_if_any();
  PathFinder paths(topology_, options_.paths);
  for (const BackgroundFlow& flow : options_.background) paths.find(flow.from, flow.to, [](int) { return 0.0; });
}

FlowResult FlowNetwork::run(const FlowProgram& program, const FlowRunOptions& options) const {
  check_program(program, topology_.device_count());
  check_messages(program);
  Checker check;
  const double cells = 2.0 * options.intervals * static_cast<double>(topology_.links().size());
  check.at_least("intervals", options.intervals, 0);
  check.require(
      cells <= kMaxLogCells, "intervals", std::to_string(options.intervals),
      "at most " + number_text(kMaxLogCells / 2) + " over all " + std::to_string(topology_.links().size()) + " links",
      "take fewer");
  check.throw_if_any();
  FlowResult result = FlowEngine(*this, program, options).run();
  check.require(std::isfinite(result.end_s), "size", "an end beyond the largest finite number",
                "a time that is a finite number", "raise the bandwidth or shrink the messages");
  check.throw_if_any();
  return result;
}

}  // namespace dts

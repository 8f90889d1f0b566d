// The event loop behind FlowNetwork::run: flows on links, collectives in progress, tasks that wait.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "network/event_queue.hpp"
#include "network/fair_share.hpp"
#include "network/flow_network.hpp"
#include "network/progress.hpp"

namespace dts {

// Which tasks may start: counts of unfinished predecessors.
class Waiting {
 public:
  explicit Waiting(const FlowProgram& program);
  bool free(FlowTaskId task) const noexcept { return missing_[task] == 0; }
  template <class Start>
  void ended(FlowTaskId task, Start start) {
    for (std::uint32_t i = first_[task]; i < first_[task + 1]; ++i) {
      if (--missing_[after_[i]] == 0) start(after_[i]);
    }
  }
  // "tasks wait in a circle ...", with the ranks concerned.
  [[noreturn]] void report_stuck(const std::vector<double>& finish_s) const;

 private:
  const FlowProgram& program_;
  std::vector<std::uint32_t> missing_, first_, after_;
};

class FlowEngine final : private SendSink {
 public:
  FlowEngine(const FlowNetwork& network, const FlowProgram& program, const FlowRunOptions& options);
  FlowResult run();

 private:
  struct Active {
    double left_bytes = 0, bytes = 0, rate_Bps = 0, since_s = 0, latency_s = 0;
    std::uint32_t run = 0, tag = 0, version = 0;
    int from = 0, to = 0;  // members
  };
  struct Run {
    FlowTaskId task = 0;
    Progress progress;
  };

  void send(std::uint32_t round, std::uint32_t index, double bytes, double reduced_bytes, std::uint32_t tag) override;
  double fused_latency_s(std::uint32_t round, std::uint32_t index);
  std::vector<double> ring_latencies_s(const PatternRound& round, const std::vector<int>& ranks);
  void add_background();
  void release(FlowTaskId task);
  void start(FlowTaskId task);
  void finish(FlowTaskId task);
  void handle(const FlowEvent& event);
  void send_ends(std::uint32_t flow);
  void arrives(std::uint32_t flow);
  void settle();
  void account(std::uint32_t flow, Active& active);
  void sweep_if_stale();
  Path path(int from, int to);

  const FlowNetwork& network_;
  const FlowProgram& program_;
  Waiting waiting_;
  PathFinder paths_;
  FairShare share_;
  EventQueue queue_;
  LinkLog log_;
  PathFinder::Load load_;
  double now_s_ = 0;
  std::uint32_t background_ = 0;  // flows with ids below this never end
  std::size_t void_events_ = 0;   // of flows whose rate has changed since
  std::vector<Active> active_;    // by flow id
  std::vector<std::unique_ptr<Run>> runs_;
  std::vector<std::uint32_t> free_runs_;
  std::uint32_t current_ = 0;                                       // the run that sends
  std::unordered_map<std::uint64_t, std::vector<double>> fused_s_;  // pattern, group and round -> latency per send
  std::size_t unfinished_;
  FlowResult result_;
};

}  // namespace dts

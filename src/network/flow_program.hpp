// What runs on a flow network: tasks that take a fixed time (compute) and tasks that send (a message, a collective, any
// schedule), with dependencies in any order and streams. A task starts when its release time has come, all it depends
// on has ended, and the task added before it on each of its streams has ended. Groups and patterns are stored once and
// shared by tasks, so memory is that of tasks and dependencies, never of messages.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "network/pattern.hpp"

namespace dts {

using FlowTaskId = std::uint32_t;

class FlowProgram {
 public:
  struct Task {
    double duration_s = 0;
    double release_s = 0;
    std::uint32_t pattern = kCompute;  // kCompute: a task of `duration_s`
    std::uint32_t group = 0;           // of a compute task: the rank it is reported under
  };
  static constexpr std::uint32_t kCompute = static_cast<std::uint32_t>(-1);

  // Streams are numbered from 0 as the caller likes; `streams` of them exist.
  explicit FlowProgram(std::uint32_t streams = 0) : last_on_stream_(streams, kCompute) {}

  std::uint32_t add_pattern(Pattern pattern);
  std::uint32_t add_group(std::vector<int> ranks);  // throws ConfigError where a rank is named twice

  // Each returns the task's id: 0, 1, 2 ... in order of adding.
  FlowTaskId compute(int rank, double duration_s, const std::vector<std::uint32_t>& streams = {}, double release_s = 0);
  FlowTaskId communicate(std::uint32_t pattern, std::uint32_t group, const std::vector<std::uint32_t>& streams = {},
                         double release_s = 0);
  FlowTaskId send(int from, int to, double bytes, const std::vector<std::uint32_t>& streams = {}, double release_s = 0);

  // `task` waits for the end of `before`; either may be added first. Circles are found when it runs.
  void depend(FlowTaskId task, FlowTaskId before) { edges_.emplace_back(before, task); }
  void set_name(FlowTaskId task, std::string name);  // for messages
  std::string name_of(FlowTaskId task) const;

  const std::vector<Task>& tasks() const noexcept { return tasks_; }
  const std::vector<Pattern>& patterns() const noexcept { return patterns_; }
  const std::vector<std::vector<int>>& groups() const noexcept { return groups_; }
  const std::vector<std::pair<FlowTaskId, FlowTaskId>>& edges() const noexcept { return edges_; }
  std::vector<int> ranks_of(FlowTaskId task) const;

 private:
  FlowTaskId add(const Task& task, const std::vector<std::uint32_t>& streams);

  std::vector<Task> tasks_;
  std::vector<Pattern> patterns_;
  std::vector<std::vector<int>> groups_;
  std::vector<std::pair<FlowTaskId, FlowTaskId>> edges_;  // before, after
  std::vector<FlowTaskId> last_on_stream_;
  std::vector<std::string> names_;
};

}  // namespace dts

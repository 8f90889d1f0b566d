#include "network/flow_program.hpp"

#include <algorithm>
#include <cmath>

#include "error.hpp"

namespace dts {

std::uint32_t FlowProgram::add_pattern(Pattern pattern) {
  patterns_.push_back(std::move(pattern));
  return static_cast<std::uint32_t>(patterns_.size() - 1);
}

std::uint32_t FlowProgram::add_group(std::vector<int> ranks) {
  std::vector<int> sorted = ranks;
  std::sort(sorted.begin(), sorted.end());
  const auto twin = std::adjacent_find(sorted.begin(), sorted.end());
  Checker check;
  check.require(twin == sorted.end(), "ranks", twin == sorted.end() ? "" : "rank " + std::to_string(*twin) + " twice",
                "each rank once", "remove the duplicate");
  check.throw_if_any();
  groups_.push_back(std::move(ranks));
  return static_cast<std::uint32_t>(groups_.size() - 1);
}

FlowTaskId FlowProgram::add(const Task& task, const std::vector<std::uint32_t>& streams) {
  Checker check;
  const auto id = static_cast<FlowTaskId>(tasks_.size());
  const auto legal = [](double time_s) { return std::isfinite(time_s) && time_s >= 0; };
  if (!legal(task.duration_s)) check.non_negative("task " + std::to_string(id) + " duration", task.duration_s);
  if (!legal(task.release_s)) check.non_negative("task " + std::to_string(id) + " release", task.release_s);
  for (std::uint32_t stream : streams) {
    if (stream < last_on_stream_.size()) continue;
    check.fail("task " + std::to_string(id) + " stream", std::to_string(stream),
               "below " + std::to_string(last_on_stream_.size()));
  }
  check.throw_if_any();
  tasks_.push_back(task);
  for (std::uint32_t stream : streams) {
    if (last_on_stream_[stream] != kCompute && last_on_stream_[stream] != id) depend(id, last_on_stream_[stream]);
    last_on_stream_[stream] = id;
  }
  return id;
}

FlowTaskId FlowProgram::compute(int rank, double duration_s, const std::vector<std::uint32_t>& streams,
                                double release_s) {
  return add({duration_s, release_s, kCompute, static_cast<std::uint32_t>(rank)}, streams);
}

FlowTaskId FlowProgram::communicate(std::uint32_t pattern, std::uint32_t group,
                                    const std::vector<std::uint32_t>& streams, double release_s) {
  Checker check;
  const bool known = check.require(pattern < patterns_.size(), "pattern", std::to_string(pattern), "a known pattern") &&
                     check.require(group < groups_.size(), "group", std::to_string(group), "a known group");
  if (known) {
    check.require(static_cast<std::size_t>(patterns_[pattern].members) == groups_[group].size(), "group",
                  std::to_string(groups_[group].size()) + " ranks",
                  std::to_string(patterns_[pattern].members) + " as in the pattern");
  }
  check.throw_if_any();
  return add({0, release_s, pattern, group}, streams);
}

FlowTaskId FlowProgram::send(int from, int to, double bytes, const std::vector<std::uint32_t>& streams,
                             double release_s) {
  Schedule schedule(1);
  schedule[0].sends.push_back({0, 1, bytes, false});
  return communicate(add_pattern(make_pattern(schedule, 2)), add_group({from, to}), streams, release_s);
}

void FlowProgram::set_name(FlowTaskId task, std::string name) {
  if (names_.size() <= task) names_.resize(tasks_.size());
  names_[task] = std::move(name);
}

std::string FlowProgram::name_of(FlowTaskId task) const {
  const bool named = task < names_.size() && !names_[task].empty();
  return named ? "'" + names_[task] + "'" : "task " + std::to_string(task);
}

std::vector<int> FlowProgram::ranks_of(FlowTaskId task) const {
  const Task& t = tasks_[task];
  return t.pattern == kCompute ? std::vector<int>{static_cast<int>(t.group)} : groups_[t.group];
}

}  // namespace dts

#include <algorithm>
#include <cmath>
#include <set>

#include "error.hpp"
#include "network/flow_engine.hpp"

namespace dts {

Waiting::Waiting(const FlowProgram& program)
    : program_(program), missing_(program.tasks().size(), 0), first_(program.tasks().size() + 1, 0),
      after_(program.edges().size()) {
  for (const auto& [before, after] : program.edges()) {
    ++first_[before + 1];
    ++missing_[after];
  }
  for (std::size_t t = 0; t + 1 < first_.size(); ++t) first_[t + 1] += first_[t];
  std::vector<std::uint32_t> at(first_.begin(), first_.end() - 1);
  for (const auto& [before, after] : program.edges()) after_[at[before]++] = after;
}

namespace {

std::string circle_text(const FlowProgram& program, const std::vector<FlowTaskId>& circle) {
  std::string text;
  const std::size_t shown = std::min<std::size_t>(circle.size(), 6);
  for (std::size_t i = 0; i < shown; ++i) text += program.name_of(circle[i]) + " waits for ";
  return text + (shown < circle.size() ? "... waits for " : "") + program.name_of(circle[0]);
}

std::string ranks_text(const std::set<int>& ranks) {
  std::string text = ranks.size() == 1 ? "rank" : "ranks";
  std::size_t shown = 0;
  for (int rank : ranks) {
    if (++shown > 16) return text + " ... (" + std::to_string(ranks.size()) + " ranks)";
    text += (shown > 1 ? ", " : " ") + std::to_string(rank);
  }
  return text;
}

}  // namespace

// Every stuck task waits for another stuck one; going back along them ends in a circle.
void Waiting::report_stuck(const std::vector<double>& finish_s) const {
  const auto stuck = [&](FlowTaskId task) { return std::isnan(finish_s[task]); };
  std::vector<FlowTaskId> waits_for(finish_s.size(), 0);
  std::set<int> ranks;
  FlowTaskId at = 0;
  std::size_t count = 0;
  for (FlowTaskId task = 0; task < finish_s.size(); ++task) {
    if (!stuck(task)) continue;
    ++count;
    at = task;
    for (int rank : program_.ranks_of(task)) ranks.insert(rank);
  }
  for (const auto& [before, after] : program_.edges()) {
    if (stuck(before) && stuck(after)) waits_for[after] = before;
  }
  std::vector<bool> seen(finish_s.size(), false);
  for (; !seen[at]; at = waits_for[at]) seen[at] = true;
  std::vector<FlowTaskId> circle{at};
  for (FlowTaskId t = waits_for[at]; t != at; t = waits_for[t]) circle.push_back(t);
  throw ConfigError(std::vector<Violation>{{"deadlock",
                                            std::to_string(count) + " of " + std::to_string(finish_s.size()) +
                                                " tasks that never start, on " + ranks_text(ranks),
                                            "no circle, but " + circle_text(program_, circle),
                                            "take one of these dependencies out, or change the order on a stream"}});
}

}  // namespace dts

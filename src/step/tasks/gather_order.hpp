// Which virtual stages a rank gathers the parameters of before each of its passes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "step/tasks/step_program.hpp"

namespace dts {

class GatherOrder {
 public:
  explicit GatherOrder(const StepPlan& plan);

  struct Stages {
    const int *first, *last;
    const int* begin() const noexcept { return first; }
    const int* end() const noexcept { return last; }
    std::size_t size() const noexcept { return static_cast<std::size_t>(last - first); }
  };
  // In order of issue; the stage of the pass itself, if it is among them, is first.
  Stages before(int rank, std::size_t pass) const;
  // Passes of a rank after which it gathers nothing any more.
  std::size_t last(int rank) const { return begin_[static_cast<std::size_t>(rank)].size(); }

 private:
  void every_pass(std::size_t rank);
  void first_forwards(std::size_t rank);
  void window(std::size_t rank);
  int stage_of(std::size_t rank, const Pass& pass) const;

  const StepPlan& plan_;
  void set(std::size_t rank, std::size_t pass, const int* stages, std::size_t count);  // passes in order

  std::vector<std::vector<int>> stages_;           // [rank]: of all its passes, one after the other
  std::vector<std::vector<std::uint32_t>> begin_;  // [rank][pass]; empty where nothing is gathered
};

inline GatherOrder::Stages GatherOrder::before(int rank, std::size_t k) const {
  const auto r = static_cast<std::size_t>(rank);
  const std::vector<std::uint32_t>& begin = begin_[r];
  if (k >= begin.size()) return {nullptr, nullptr};
  const int* stages = stages_[r].data();
  return {stages + begin[k], stages + (k + 1 < begin.size() ? begin[k + 1] : stages_[r].size())};
}

// Stages that a rank holds gathered while they stay between passes: [pass]. Empty unless plan.keeps_gathered.
std::vector<std::vector<int>> gathered_stages(const StepPlan& plan, int rank);

}  // namespace dts

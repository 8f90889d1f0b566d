#include "search/step_draws.hpp"

#include <algorithm>

#include "error.hpp"
#include "search/parallel_for.hpp"

namespace dts {

std::vector<double> step_times_of_draws(const Job& job, const StragglerSpec& stragglers, int count,
                                        const std::optional<FlowStepOptions>& flow, int threads) {
  Checker check;
  check.at_least("count", count, 0);
  check.at_least("threads", threads, 0);
  check.throw_if_any();
  const int parts = std::max(
      1, std::min(count, static_cast<int>(thread_count(threads))));  // each plans the job once, for neighbouring draws
  std::vector<double> seconds(static_cast<std::size_t>(count));
  parallel_for(static_cast<std::size_t>(parts), parts, [&] {
    return [&](std::size_t part) {
      const auto bound = [&](std::size_t i) { return static_cast<std::int64_t>(i) * count / parts; };
      const std::int64_t first = bound(part), end = bound(part + 1);
      const std::vector<double> times = step_times(job, stragglers, first, static_cast<int>(end - first), flow);
      std::copy(times.begin(), times.end(), seconds.begin() + first);
    };
  });
  return seconds;
}

}  // namespace dts

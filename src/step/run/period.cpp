#include "step/run/period.hpp"

#include <algorithm>

namespace dts {

void PeriodRecorder::visit(const TaskInfo& info, const Instances& instances) {
  if (meets_) return;
  std::vector<double>& began_s = began_s_[static_cast<std::size_t>(info.rank)];
  const bool computes = info.stream == StreamKind::Compute;
  if (computes && began_s.empty()) began_s.assign(instances.start_s, instances.start_s + instances.count);
  if (began_s.empty()) return;
  if (computes || is_host_copy(info.stream)) {
    for (std::uint32_t u = 0; u < instances.count; ++u)
      longest_s_ = std::max(longest_s_, instances.end_s[u] - began_s[u]);
  } else if (info.stream == StreamKind::DataParallel || info.stream == StreamKind::Replica) {
    const double first_s = *std::min_element(began_s.begin(), began_s.end());
    for (std::uint32_t l = 0; l < instances.count; ++l) longest_s_ = std::max(longest_s_, instances.end_s[l] - first_s);
  }
}

}  // namespace dts

// ZB-H1 and ZB-H2: weight gradients fill the gaps that 1F1B leaves at the end. Rank r runs depth * (pp-1-r) forwards,
// then a forward and an input gradient in turn; weight gradients follow in order, from the pass on at which the last
// rank has received what it needs.
#include <algorithm>
#include <cstddef>

#include "schedule/pipeline.hpp"

namespace dts {

PipelineOrder zero_bubble(int pp, int micro_batches, int depth) {
  PipelineOrder order(static_cast<std::size_t>(pp));
  for (int rank = 0; rank < pp; ++rank) {
    auto& passes = order[static_cast<std::size_t>(rank)];
    const int warm_up = std::min(micro_batches, depth * (pp - 1 - rank));
    int forwards = 0, weights = 0;
    while (forwards < warm_up) passes.push_back({PassKind::Forward, 0, forwards++});
    for (int i = 0; i < micro_batches; ++i) {
      if (forwards < micro_batches) passes.push_back({PassKind::Forward, 0, forwards++});
      passes.push_back({PassKind::BackwardInput, 0, i});
      if (warm_up + i >= depth * (pp - 1)) passes.push_back({PassKind::BackwardWeight, 0, weights++});
    }
    while (weights < micro_batches) passes.push_back({PassKind::BackwardWeight, 0, weights++});
  }
  return order;
}

}  // namespace dts

#include "schedule/pipeline.hpp"

#include <algorithm>
#include <cstddef>

namespace dts {

PipelineOrder gpipe(int pp, int micro_batches) {
  std::vector<Pass> order;
  for (int i = 0; i < micro_batches; ++i) order.push_back({PassKind::Forward, 0, i});
  for (int i = 0; i < micro_batches; ++i) order.push_back({PassKind::Backward, 0, i});
  return PipelineOrder(static_cast<std::size_t>(pp), order);
}

PipelineOrder one_f_one_b(int pp, int micro_batches) { return interleaved(pp, 1, micro_batches); }

PipelineOrder interleaved(int pp, int vpp, int micro_batches) {
  const int slots = micro_batches * vpp;
  // Slot k runs micro-batches in groups of pp, chunk by chunk within a group.
  const auto pass = [&](PassKind kind, int slot) {
    const int group = slot / (pp * vpp), inside = slot % (pp * vpp);
    const int members = std::min(pp, micro_batches - group * pp);
    const int chunk = inside / members;
    return Pass{kind, kind == PassKind::Forward ? chunk : vpp - 1 - chunk, group * pp + inside % members};
  };
  PipelineOrder order(static_cast<std::size_t>(pp));
  for (int rank = 0; rank < pp; ++rank) {
    const int warm_up = vpp == 1 ? pp - 1 - rank : 2 * (pp - 1 - rank) + (vpp - 1) * pp;
    const int first = std::min(warm_up, slots);
    auto& passes = order[static_cast<std::size_t>(rank)];
    passes.reserve(static_cast<std::size_t>(2 * slots));
    for (int k = 0; k < first; ++k) passes.push_back(pass(PassKind::Forward, k));
    for (int k = first; k < slots; ++k) {
      passes.push_back(pass(PassKind::Forward, k));
      passes.push_back(pass(PassKind::Backward, k - first));
    }
    for (int k = slots - first; k < slots; ++k) passes.push_back(pass(PassKind::Backward, k));
  }
  return order;
}

PipelineOrder pipeline_order(const Strategy& strategy, int micro_batches) {
  if (strategy.schedule == PipelineSchedule::GPipe) return gpipe(strategy.pp, micro_batches);
  return interleaved(strategy.pp, strategy.vpp, micro_batches);
}

}  // namespace dts

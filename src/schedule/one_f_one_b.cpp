// GPipe, 1F1B and its interleaved form: orders of whole passes.
#include <algorithm>
#include <cstddef>

#include "interrupt.hpp"
#include "schedule/pipeline.hpp"

namespace dts {

PipelineOrder gpipe(int pp, int micro_batches) {
  std::vector<Pass> order;
  order.reserve(2 * static_cast<std::size_t>(micro_batches));
  for (int i = 0; i < micro_batches; ++i) order.push_back({PassKind::Forward, 0, i});
  for (int i = 0; i < micro_batches; ++i) order.push_back({PassKind::Backward, 0, i});
  return PipelineOrder(static_cast<std::size_t>(pp), order);
}

int forwards_ahead(int rank, int pp, int vpp, int group) {
  const int behind = pp - 1 - rank;
  return vpp == 1 ? behind : 2 * behind + (vpp - 1) * (group == 0 ? pp : group);
}

PipelineOrder one_f_one_b(int pp, int micro_batches) { return interleaved(pp, 1, micro_batches); }

PipelineOrder interleaved(int pp, int vpp, int micro_batches, int group, bool pairs) {
  const int slots = micro_batches * vpp, width = group == 0 ? pp : group;
  // Slot k runs micro-batches in groups, chunk by chunk within a group; the last group may be shorter.
  const auto pass = [&](PassKind kind, int slot) {
    const int first = slot / (width * vpp) * width, inside = slot % (width * vpp);
    const int members = std::min(width, micro_batches - first);
    const int chunk = inside / members;
    return Pass{kind, kind == PassKind::Forward ? chunk : vpp - 1 - chunk, first + inside % members};
  };
  std::vector<Pass> forwards, backwards;  // the same on every rank, but for where they mix
  for (int k = 0; k < slots; ++k) {
    forwards.push_back(pass(PassKind::Forward, k)), backwards.push_back(pass(PassKind::Backward, k));
  }
  PipelineOrder order(static_cast<std::size_t>(pp));
  for (int rank = 0; rank < pp; ++rank) {
    const int first = std::min(forwards_ahead(rank, pp, vpp, group) + (pairs ? 1 : 0), slots);
    poll_interrupt(std::int64_t{2} * slots);
    auto& passes = order[static_cast<std::size_t>(rank)];
    passes.reserve(static_cast<std::size_t>(2 * slots));
    passes.assign(forwards.begin(), forwards.begin() + first);
    for (int k = first; k < slots; ++k) {
      passes.push_back(forwards[static_cast<std::size_t>(k)]);
      passes.back().with_next = pairs;
      passes.push_back(backwards[static_cast<std::size_t>(k - first)]);
    }
    passes.insert(passes.end(), backwards.end() - first, backwards.end());
  }
  return order;
}

}  // namespace dts

// Breadth first: the chunks of a rank one after the other, every micro-batch of one before the next; backward in the
// opposite order of both, as PyTorch runs it.
#include <cstddef>

#include "schedule/pipeline.hpp"

namespace dts {

PipelineOrder looped_bfs(int pp, int vpp, int micro_batches) {
  std::vector<Pass> order;
  for (int chunk = 0; chunk < vpp; ++chunk) {
    for (int i = 0; i < micro_batches; ++i) order.push_back({PassKind::Forward, chunk, i});
  }
  for (int chunk = vpp; chunk-- > 0;) {
    for (int i = micro_batches; i-- > 0;) order.push_back({PassKind::Backward, chunk, i});
  }
  return PipelineOrder(static_cast<std::size_t>(pp), order);
}

}  // namespace dts

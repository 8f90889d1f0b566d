#include "schedule/tape.hpp"

#include <algorithm>
#include <cstddef>

namespace dts {

double peak_tape_bytes(const std::vector<Pass>& passes, const std::vector<ChunkTape>& tapes) {
  std::vector<long long> forward(tapes.size(), 0), weight(tapes.size(), 0);  // tapes held, so that sums stay exact
  double peak = 0;
  for (const Pass& pass : passes) {
    const auto chunk = static_cast<std::size_t>(pass.chunk);
    switch (pass.kind) {
      case PassKind::Forward: ++forward[chunk]; break;
      case PassKind::Backward: --forward[chunk]; break;
      case PassKind::BackwardInput: --forward[chunk], ++weight[chunk]; break;
      case PassKind::BackwardWeight: --weight[chunk]; break;
    }
    double held = 0;
    for (std::size_t c = 0; c < tapes.size(); ++c) {
      held += static_cast<double>(forward[c]) * tapes[c].forward_bytes +
              static_cast<double>(weight[c]) * tapes[c].weight_bytes;
    }
    peak = std::max(peak, held);
  }
  return peak;
}

}  // namespace dts

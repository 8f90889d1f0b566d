#include "schedule/tape_places.hpp"

namespace dts {

const TapeSum& sum_of(const BlockTape& tape, PassKind kind) {
  switch (kind) {
    case PassKind::Forward: return tape.forward_sum;
    case PassKind::Backward: return tape.backward_sum;
    case PassKind::BackwardInput: return tape.input_grad_sum;
    default: return tape.weight_grad_sum;
  }
}

const std::vector<TapeEvent>& events_of(const BlockTape& tape, PassKind kind) {
  switch (kind) {
    case PassKind::Forward: return tape.forward;
    case PassKind::Backward: return tape.backward;
    case PassKind::BackwardInput: return tape.input_grad;
    default: return tape.weight_grad;
  }
}

const std::vector<std::int32_t>& freed_at_end(const BlockTape& tape, PassKind kind) {
  static const std::vector<std::int32_t> nothing;
  switch (kind) {
    case PassKind::Backward: return tape.after_backward;
    case PassKind::BackwardWeight: return tape.after_weight_grad;
    default: return nothing;
  }
}

Accumulation::Accumulation(const RankTape& tape) : tape_(tape) {
  if (tape.accumulated.empty()) return;
  first_.assign(tape.chunks.size(), tape.passes.size()), last_ = first_;
  for (std::size_t p = 0; p < tape.passes.size(); ++p) {
    if (!gives_weight_gradient(tape.passes[p].kind)) continue;
    const auto chunk = static_cast<std::size_t>(tape.passes[p].chunk);
    first_[chunk] = std::min(first_[chunk], p), last_[chunk] = p;
  }
}

CategoryBytes left(const Walker& walker, const Place& place) {
  CategoryBytes bytes = sum_of(walker.block_at(place), walker.kind_at(place)).after;
  if (!place.ends) return bytes;
  for (const BlockTape* block : walker.blocks_of(place)) {
    for (std::int32_t tensor : freed_at_end(*block, walker.kind_at(place))) {
      const TapeTensor& t = block->tensors[static_cast<std::size_t>(tensor)];
      bytes[static_cast<std::size_t>(t.category)] -= t.bytes;
    }
  }
  return bytes;
}

}  // namespace dts

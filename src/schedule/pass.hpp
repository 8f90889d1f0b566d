// What a pipeline rank runs: a list of passes, one after the other. A schedule is a placement of stages and a list per
// rank; times come from the engine.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dts {

// Backward is the input gradient and the weight gradient in one pass; BackwardInput and BackwardWeight are its halves.
enum class PassKind : std::uint8_t { Forward, Backward, BackwardInput, BackwardWeight };

struct Pass {  // eight bytes: an order may hold millions
  constexpr Pass() = default;
  constexpr Pass(PassKind of, int of_chunk, int of_micro_batch, bool paired = false)
      : kind(of), with_next(paired), chunk(static_cast<std::int16_t>(of_chunk)), micro_batch(of_micro_batch) {}

  PassKind kind = PassKind::Forward;
  // This forward and the next pass, a backward of another micro-batch, run as one: each hides its expert exchanges
  // behind the other's kernels, and the outputs of both leave when both are done (DualPipe).
  bool with_next = false;
  std::int16_t chunk = 0;  // 0 .. chunks-1 of this rank
  std::int32_t micro_batch = 0;
};

inline bool gives_input_gradient(PassKind kind) {
  return kind == PassKind::Backward || kind == PassKind::BackwardInput;
}
inline bool gives_weight_gradient(PassKind kind) {
  return kind == PassKind::Backward || kind == PassKind::BackwardWeight;
}

using PipelineOrder = std::vector<std::vector<Pass>>;  // one list per pipeline rank

// "F3.1": forward of micro-batch 3 on chunk 1; "B" is a backward, whole or only its input gradient, "W" the rest.
std::string name_of(const Pass& pass);

}  // namespace dts

// Declares the tensors of a block's tape and writes its events.
#pragma once

#include <string>
#include <vector>

#include "memory/activation_layout.hpp"
#include "memory/block_tape.hpp"

namespace dts {

bool is_matmul(const Op& op);

class TapeWriter {
 private:
  void describe_block();  // its weights and launches

 protected:
  static constexpr int kNone = -1;
  using Events = std::vector<TapeEvent>;
  static std::size_t at(int i) { return static_cast<std::size_t>(i); }

  TapeWriter(const std::vector<Op>& ops, const SavedContext& context, const TapeRules& rules);

  int declare(const std::string& op, const std::string& what, double bytes,
              MemoryCategory category = MemoryCategory::Temporaries);
  int temporary(std::size_t op, const std::string& what, double elements);  // elements of a token
  int shared(int tensor) {
    tape_.tensors[at(tensor)].shared = true;
    return tensor;
  }
  void emit(Events& events, int tensor, bool frees) const {
    if (tensor >= 0 && tape_.tensors[at(tensor)].bytes > 0) events.push_back({tensor, frees});
  }
  void take(Events& events, int tensor) const { emit(events, tensor, false); }
  void give(Events& events, int tensor) const { emit(events, tensor, true); }

  // Whether the result is the sum over tensor-parallel ranks of what they computed, scattered.
  bool scatters(const Op& op) const;
  // The largest gradient's fp32 copy, of a block whose backward is the last of its pass (the embedding's).
  void cast_gradient(Events& events);
  double weight_elements(const Op& op) const;  // trained ones on this rank
  // The gradient that an op's backward makes of its weights; kNone where it makes none.
  int weight_gradient(std::size_t op);
  // Whether it is accumulated only when all blocks have run; `until` then lists it.
  bool stays(int gradient, std::vector<std::int32_t>& until) const;

  const std::vector<Op>& ops_;
  const SavedContext& c_;
  const TapeRules& r_;
  std::vector<OpLayout> layouts_;
  BlockTape tape_;
};

}  // namespace dts

#include "memory/unit_tapes.hpp"

#include <algorithm>
#include <string>

namespace dts {

namespace {

constexpr char kMark = '\n';  // parts the name of an op from the block it is in

// The ops of all blocks as those of one.
std::vector<Op> joined(const std::vector<const Block*>& blocks) {
  std::vector<Op> ops;
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    const std::string mark = kMark + std::to_string(b), before = ops.empty() ? kBlockInput : ops.back().name;
    for (Op op : blocks[b]->ops) {
      op.name += mark;
      if (op.input == kBlockInput) op.input = before;
      else if (!op.input.empty()) op.input += mark;
      ops.push_back(std::move(op));
    }
  }
  return ops;
}

void append(std::vector<TapeEvent>& events, const std::vector<TapeEvent>& more, std::int32_t shift) {
  for (TapeEvent e : more) events.push_back({e.tensor + shift, e.frees});
}

// Gives back what the forward of a block kept.
void give_kept(BlockTape& tape) {
  std::vector<int> held(tape.tensors.size(), 0);
  for (const TapeEvent& e : tape.forward) held[static_cast<std::size_t>(e.tensor)] += e.frees ? -1 : 1;
  tape.backward.clear(), tape.input_grad.clear(), tape.weight_grad.clear();
  tape.after_backward.clear(), tape.after_weight_grad.clear();
  for (std::size_t t = 0; t < held.size(); ++t) {
    if (held[t] > 0) tape.backward.push_back({static_cast<std::int32_t>(t), true});
  }
  tape.input_grad = tape.backward;
}

// The backward of all blocks, in the tape of the last.
void run_back(BlockTape& last, BlockTape all) {
  const auto shift = static_cast<std::int32_t>(last.tensors.size());
  for (TapeTensor& t : all.tensors) {
    t.op.resize(std::min(t.op.find(kMark), t.op.size()));
    last.tensors.push_back(std::move(t));
  }
  append(last.backward, all.backward, shift);
  append(last.input_grad, all.input_grad, shift);
  append(last.weight_grad, all.weight_grad, shift);
  for (std::int32_t t : all.after_backward) last.after_backward.push_back(t + shift);
  for (std::int32_t t : all.after_weight_grad) last.after_weight_grad.push_back(t + shift);
}

// Routed rows differ by block: the fullest stands for all while they run together.
SavedContext fullest(const std::vector<SavedContext>& contexts) {
  return *std::max_element(contexts.begin(), contexts.end(),
                           [](const SavedContext& a, const SavedContext& b) { return a.routed_load < b.routed_load; });
}

}  // namespace

std::vector<BlockTape> unit_tapes(const std::vector<const Block*>& blocks, const std::vector<SavedContext>& contexts,
                                  TapeRules rules) {
  if (blocks.size() == 1) return {block_tape(blocks.front()->ops, contexts.front(), rules)};
  std::vector<BlockTape> tapes;
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    rules.keeps_input = b == 0;
    tapes.push_back(block_tape(blocks[b]->ops, contexts[b], rules));
    give_kept(tapes.back());
  }
  rules.keeps_input = false;
  run_back(tapes.back(), block_tape(joined(blocks), fullest(contexts), rules));
  for (BlockTape& tape : tapes) sum_events(tape);
  return tapes;
}

}  // namespace dts

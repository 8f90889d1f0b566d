// The saved tensors of a block as tensors of its tape: of each what stays from forward to backward, and what is there
// again before its backward because it was recomputed, or waited in another tier.
#pragma once

#include <vector>

#include "memory/tape_writer.hpp"

namespace dts {

class SavedTape : protected TapeWriter {
 protected:
  SavedTape(const std::vector<Op>& ops, const SavedContext& context, const TapeRules& rules);

  bool by_output() const { return !r_.dropped_outputs.empty(); }
  bool rebuilds() const { return r_.recompute == Recompute::Full || by_output(); }  // the whole block

  void take_saved(Events& events, std::size_t k, bool again) const {
    if (!again) take(events, kept_[k]);
    if (!again || !comes_in(k)) take(events, again_[k]);
  }
  void drop_in_forward(std::size_t op, Events& events) const;  // what will be there again dies with its last reader
  void reload(Events& events) const;
  void give_saved(std::size_t op, Events& events) const;
  void rebuild_modules(std::size_t op, Events& events);  // those that its backward needs first

  // The input of a column matmul gathered under sequence parallelism, a row matmul's output before it is scattered,
  // permuted rows.
  int forward_temporary(std::size_t op);

  std::vector<SavedTensor> saved_;
  std::vector<int> last_reader_;   // per op
  std::vector<int> storage_;       // per op: the saved tensor that is its output
  std::vector<int> kept_, again_;  // tensors per saved one
  std::vector<int> outputs_;       // tensors per op, where outputs are kept
  int input_ = kNone;              // of a block that runs again from it although none of its ops saves it
  // The share of an op's output that is not among `outputs_`.
  double dropped(std::size_t op) const { return by_output() ? r_.dropped_outputs[op] : 1; }

 private:
  // An earlier block brings it back.
  bool comes_in(std::size_t k) const {
    return r_.recompute == Recompute::Full && !r_.keeps_input && saved_[k].block_input;
  }
  bool selects() const { return r_.recompute == Recompute::Selective && !by_output(); }
  bool leaves(std::size_t k) const;
  void declare_saved();
  void declare_outputs();
  double rebuilt_share(const SavedTensor& t) const;
  void declare_input();

  std::vector<RecomputeRegion> regions_;
  SelectiveFates fates_;
  std::vector<char> leaving_;  // per op: its input is offloaded
};

}  // namespace dts

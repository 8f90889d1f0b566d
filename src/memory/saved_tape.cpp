#include "memory/saved_tape.hpp"

#include <algorithm>

namespace dts {

namespace {
constexpr char kLogSumExp[] = "log-sum-exp";
}

SavedTape::SavedTape(const std::vector<Op>& ops, const SavedContext& context, const TapeRules& rules)
    : TapeWriter(ops, context, rules), saved_(saved_tensors(ops, context)), last_reader_(ops.size(), kNone),
      storage_(ops.size(), kNone) {
  for (std::size_t i = 0; i < ops.size(); ++i) {
    if (layouts_[i].producer >= 0) last_reader_[at(layouts_[i].producer)] = static_cast<int>(i);
  }
  if (selects()) {
    regions_ = recompute_regions(ops, rules.modules);
    fates_ = selective_fates(ops, saved_, context, regions_);
  }
  if (!rules.offload_modules.empty()) leaving_ = offloaded_inputs(ops, rules.offload_modules);
  declare_saved();
  if (rebuilds() && rules.keeps_input) declare_input();
  if (by_output()) declare_outputs();
}

void SavedTape::declare_saved() {
  const bool splits_input = r_.partition_block_input && r_.recompute == Recompute::Full && !c_.sequence_parallel;
  for (std::size_t k = 0; k < saved_.size(); ++k) {
    const SavedTensor& t = saved_[k];
    const double bytes = t.bytes_per_token * r_.tokens;
    const bool drops = rebuilds() && (!t.block_input || comes_in(k));
    const double stays =
        selects() ? fates_.tensors[k].kept * r_.tokens : bytes / (t.block_input && splits_input ? c_.tp : 1);
    const double kept = drops ? 0 : stays;
    const double host = kept * (leaves(k) ? r_.on_host : 0);
    kept_.push_back(declare(t.op, t.tensor, kept - host, MemoryCategory::Activations));
    tape_.tensors.back().shared = t.storage >= 0 && layouts_[at(t.op_index)].gather > 1;
    again_.push_back(declare(t.op, t.tensor, drops ? bytes * rebuilt_share(t) : std::max(bytes - kept, 0.0) + host,
                             MemoryCategory::Temporaries));
    if (t.storage >= 0) storage_[at(t.storage)] = static_cast<int>(kept_.size()) - 1;
  }
}

// Under the modules' names the inputs of their ops leave, whoever else reads them.
bool SavedTape::leaves(std::size_t k) const {
  if (r_.offload_modules.empty()) return true;
  const SavedTensor& t = saved_[k];
  for (std::size_t i = 0; t.is_output && i < ops_.size(); ++i) {
    if (leaving_[i] && layouts_[i].producer == t.made_by) return true;
  }
  return false;
}

// What runs again of a tensor: all but the part that is kept as its op's output.
double SavedTape::rebuilt_share(const SavedTensor& t) const {
  const bool output = t.storage >= 0 || t.tensor == kLogSumExp;
  return output && t.made_by >= 0 ? dropped(at(t.made_by)) : 1;
}

// Norms that keep fp32 copies leave the block's input to the checkpoint, which runs again from it.
void SavedTape::declare_input() {
  if (std::any_of(saved_.begin(), saved_.end(), [](const SavedTensor& t) { return t.block_input; })) return;
  input_ = declare("block", "input", block_input_bytes_per_token(ops_, c_) * r_.tokens, MemoryCategory::Activations);
}

void SavedTape::declare_outputs() {
  const std::vector<double> outputs = output_bytes_per_token(ops_, c_);
  for (std::size_t i = 0; i < ops_.size(); ++i) {
    double bytes = (1 - dropped(i)) * outputs[i];
    for (const SavedTensor& t : saved_) {
      if (t.tensor == kLogSumExp && at(t.op_index) == i) bytes += (1 - dropped(i)) * t.bytes_per_token;
    }
    outputs_.push_back(declare(ops_[i].name, "output", bytes * r_.tokens, MemoryCategory::Activations));
  }
}

void SavedTape::drop_in_forward(std::size_t op, Events& events) const {
  for (std::size_t k = 0; k < saved_.size(); ++k) {
    const int storage = saved_[k].storage;
    const int end = storage >= 0 ? std::max(last_reader_[at(storage)], storage) : saved_[k].op_index;
    if (at(end) == op) give(events, again_[k]);
  }
}

void SavedTape::reload(Events& events) const {
  for (std::size_t k = 0; k < saved_.size(); ++k) {
    if (!selects() || fates_.tensors[k].region < 0) take(events, again_[k]);
  }
}

void SavedTape::give_saved(std::size_t op, Events& events) const {
  for (std::size_t k = 0; k < saved_.size(); ++k) {
    if (at(saved_[k].op_index) != op || comes_in(k)) continue;
    give(events, kept_[k]), give(events, again_[k]);
  }
}

void SavedTape::rebuild_modules(std::size_t op, Events& events) {
  for (std::size_t r = 0; r < regions_.size(); ++r) {
    if (fates_.rebuilt_before[r] != op) continue;
    for (std::size_t i = 0; i < ops_.size(); ++i) {
      if (!regions_[r].ops[i]) continue;
      const int inside = forward_temporary(i);
      take(events, inside);
      for (std::size_t k = 0; k < saved_.size(); ++k) {
        if (saved_[k].made_by == static_cast<int>(i) && fates_.tensors[k].region == static_cast<int>(r))
          take(events, again_[k]);
      }
      give(events, inside);
    }
  }
}

int SavedTape::forward_temporary(std::size_t i) {
  const OpLayout& l = layouts_[i];
  if (l.gather > 1 && !r_.gather_buffers && !c_.keep_gathered_input)
    return temporary(i, "gathered input", l.gather * l.input_elements);
  if (scatters(ops_[i])) return shared(temporary(i, "partial sums", l.output_elements * c_.tp));
  if (ops_[i].kind == OpKind::Attention && !c_.flash_attention) {
    return temporary(i, "scores", ops_[i].heads * attended_keys(ops_[i], c_.seq_len) * l.row_share);
  }
  if (ops_[i].kind == OpKind::Dispatch) return temporary(i, "permuted rows", l.output_elements);
  if (ops_[i].kind == OpKind::Combine) return temporary(i, "permuted rows", l.input_elements);
  return kNone;
}

}  // namespace dts

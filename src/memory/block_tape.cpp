#include "memory/block_tape.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "memory/activation_layout.hpp"
#include "memory/loss_tensors.hpp"
#include "memory/saved_tape.hpp"

namespace dts {

namespace {

class TapeBuilder : SavedTape {
 public:
  TapeBuilder(const std::vector<Op>& ops, const SavedContext& context, const TapeRules& rules)
      : SavedTape(ops, context, rules), loss_(loss_tensors(rules.loss_kernel, context.activation_bytes)) {}

  BlockTape build() {
    if (ops_.empty()) return {};
    forward(false, tape_.forward);
    backward(false, tape_.backward);
    backward(true, tape_.input_grad);
    for (std::size_t k = delayed_.size(); k-- > 0;) delayed_weight_gradient(k);
    sum_events(tape_);
    return std::move(tape_);
  }

 private:
  bool makes_logits(std::size_t i) const {
    return last_reader_[i] >= 0 && ops_[at(last_reader_[i])].kind == OpKind::CrossEntropy;
  }

  void forward(bool again, Events& events) {
    std::vector<int> output(ops_.size(), kNone);
    if (!again) take(events, input_);
    for (std::size_t i = 0; i < ops_.size(); ++i) {
      const int inside = forward_temporary(i);
      take(events, inside);
      if (storage_[i] >= 0) {
        take_saved(events, at(storage_[i]), again);
      } else if (last_reader_[i] >= 0) {
        output[i] =
            temporary(i, "output", dropped(i) * layouts_[i].output_elements / (makes_logits(i) ? r_.loss_chunks : 1));
        tape_.tensors[at(output[i])].shared = scatters(ops_[i]);
        take(events, output[i]);
      }
      for (std::size_t k = 0; k < saved_.size(); ++k) {
        if (saved_[k].storage < 0 && at(saved_[k].op_index) == i) take_saved(events, k, again);
      }
      if (by_output() && !again) take(events, outputs_[i]);
      if (ops_[i].kind == OpKind::CrossEntropy) loss_forward(i, output, events);
      give(events, inside);
      for (std::size_t p = 0; p <= i; ++p) {
        const bool done = std::max(last_reader_[p], static_cast<int>(p)) == static_cast<int>(i);
        if (done) give(events, output[p]);
      }
      if (!again) drop_in_forward(i, events);
    }
  }

  // The loss makes tensors beside the logits; those that its forward leaves stay. In chunks, forward and backward of
  // head and loss run here for each part of the tokens, and what stays is the gradients of the head's input and
  // weights.
  void loss_forward(std::size_t i, std::vector<int>& output, Events& events) {
    const int head = layouts_[i].producer;
    made_by_loss_.clear();
    for (const LossTensor& t : loss_.tensors) {
      const double bytes = ops_[i].in_features / c_.tp * r_.tokens * t.bytes / r_.loss_chunks;
      const bool logits = made_by_loss_.empty();
      made_by_loss_.push_back(logits && head >= 0 ? output[at(head)]
                                                  : declare(ops_[i].name, t.what, logits ? 0 : bytes));
    }
    run_loss(loss_.forward, events);
    if (head >= 0) output[at(head)] = kNone;  // the loss gives it back
    if (!chunked(head)) return;
    input_gradient_ = temporary(at(head), "input gradient", layouts_[at(head)].input_elements);
    weight_gradient_ = weight_gradient(at(head));
    take(events, input_gradient_), take(events, weight_gradient_);
    run_loss(loss_.backward, events);
    give(events, made_by_loss_[at(loss_.gradient)]);
  }

  bool chunked(int head) const { return r_.loss_chunks > 1 && head >= 0; }

  void run_loss(const std::vector<LossTensors::Event>& made, Events& events) const {
    for (const LossTensors::Event& e : made) emit(events, made_by_loss_[at(e.tensor)], e.frees);
  }

  void backward(bool input_only, Events& events) {
    if (rebuilds()) forward(true, events);
    if (!rebuilds() && r_.on_host > 0) reload(events);
    std::vector<int> gradient(ops_.size(), kNone);  // of each op's output
    const double stream = ops_.back().kind == OpKind::CrossEntropy
                              ? 0
                              : layouts_.back().output_elements * r_.tokens * c_.activation_bytes;
    const int residual = declare("block", "residual gradient", stream, MemoryCategory::Temporaries);
    take(events, residual);
    for (std::size_t i = ops_.size(); i-- > 0;) {
      if (ops_[i].kind == OpKind::CrossEntropy) {
        i = loss_backward(i, gradient, events);
        continue;
      }
      backward_of(i, input_only, gradient, events);
    }
    give(events, residual);
    give(events, input_);
    cast_gradient(events);
  }

  // Returns the op whose backward comes next.
  std::size_t loss_backward(std::size_t i, std::vector<int>& gradient, Events& events) {
    const int head = layouts_[i].producer;
    if (chunked(head)) {
      if (layouts_[at(head)].producer >= 0) gradient[at(layouts_[at(head)].producer)] = input_gradient_;
      else give(events, input_gradient_);
      if (!stays(weight_gradient_, tape_.after_backward)) give(events, weight_gradient_);
      give_saved(at(head), events);
      return at(head);
    }
    run_loss(loss_.backward, events);
    if (head < 0) give(events, made_by_loss_[at(loss_.gradient)]);
    else gradient[at(head)] = made_by_loss_[at(loss_.gradient)];
    return i;
  }

  void backward_of(std::size_t i, bool input_only, std::vector<int>& gradient, Events& events) {
    const OpLayout& l = layouts_[i];
    const Op& op = ops_[i];
    rebuild_modules(i, events);
    const bool in_place = op.kind == OpKind::Elementwise && !op.saves_input;
    const int producer = l.producer;
    const bool first_branch = producer >= 0 && gradient[at(producer)] == kNone;
    std::vector<int> inside = backward_temporaries(i, input_only);
    for (int t : inside) take(events, t);
    if (const int made = input_only && is_matmul(op) ? kNone : weight_gradient(i); made != kNone) {
      take(events, made);
      if (input_only || !stays(made, tape_.after_backward)) inside.push_back(made);
    }
    if (in_place && first_branch && gradient[i] != kNone) {
      std::swap(gradient[at(producer)], gradient[i]);
    } else if (!in_place && op.kind != OpKind::Embedding) {
      const int made = temporary(i, "input gradient", l.input_elements);
      tape_.tensors[at(made)].shared = l.gather > 1;
      take(events, made);
      (first_branch ? gradient[at(producer)] : inside.emplace_back()) = made;  // a further branch adds into the first
    }
    for (int t : inside) give(events, t);
    give(events, gradient[i]);
    give_saved(i, events);
    if (by_output()) give(events, outputs_[i]);
    if (input_only) delay(i, events);
  }

  std::vector<int> backward_temporaries(std::size_t i, bool input_only) {
    const Op& op = ops_[i];
    const OpLayout& l = layouts_[i];
    std::vector<int> made;
    if (l.gather > 1) {
      made.push_back(shared(temporary(i, "gathered input gradient", l.gather * l.input_elements)));
      const bool gathers = !r_.gather_buffers && !c_.keep_gathered_input && op.trainable && !input_only;
      if (gathers) made.push_back(temporary(i, "gathered input", l.gather * l.input_elements));
    }
    if (op.kind == OpKind::Attention && !c_.flash_attention) {
      const double scores = op.heads * attended_keys(op, c_.seq_len) * l.row_share;
      made.push_back(temporary(i, "softmax gradient", scores));
      made.push_back(temporary(i, "score gradient", scores));
    }
    if (op.kind == OpKind::Dispatch) made.push_back(temporary(i, "permuted gradients", l.output_elements));
    return made;
  }

  // What a weight gradient that runs later needs: the matmul's input, once per storage, and its output's gradient.
  void delay(std::size_t i, Events& events) {
    if (!is_matmul(ops_[i]) || !ops_[i].trainable) return;
    const int producer = layouts_[i].producer;
    double elements = layouts_[i].output_elements;
    const bool first_reader =
        std::none_of(ops_.begin(), ops_.begin() + static_cast<std::ptrdiff_t>(i), [&](const Op& op) {
          const std::size_t j = static_cast<std::size_t>(&op - ops_.data());
          return is_matmul(op) && op.trainable && layouts_[j].producer == producer;
        });
    if (first_reader) elements += layouts_[i].input_elements;
    const int held = declare(ops_[i].name, "input and output gradient", elements * r_.tokens * c_.activation_bytes,
                             MemoryCategory::Activations);
    take(events, held);
    delayed_.push_back({i, held});
  }

  void delayed_weight_gradient(std::size_t k) {
    const int made = weight_gradient(delayed_[k].first);
    take(tape_.weight_grad, made);
    if (!stays(made, tape_.after_weight_grad)) give(tape_.weight_grad, made);
    give(tape_.weight_grad, delayed_[k].second);
  }

  std::vector<std::pair<std::size_t, int>> delayed_;
  LossTensors loss_;
  std::vector<int> made_by_loss_;                         // its tensors
  int input_gradient_ = kNone, weight_gradient_ = kNone;  // of a head that runs in chunks
};

}  // namespace

BlockTape block_tape(const std::vector<Op>& ops, const SavedContext& context, const TapeRules& rules) {
  return TapeBuilder(ops, context, rules).build();
}

}  // namespace dts

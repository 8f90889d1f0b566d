#include "memory/saved_bytes.hpp"

#include <algorithm>
#include <numeric>
#include <set>
#include <utility>

#include "memory/activation_layout.hpp"

namespace dts {

namespace {

constexpr double kFp32 = 4;

bool is_matmul(const Op& op) { return op.kind == OpKind::Matmul || op.kind == OpKind::GroupedMatmul; }

// A frozen matmul needs only its weights for the data gradient.
bool needs_input(const Op& op) {
  switch (op.kind) {
    case OpKind::Attention:  // keeps copies of q, k, v instead
    case OpKind::Embedding:
    case OpKind::CrossEntropy:
    case OpKind::Dropout:
    case OpKind::Dispatch: return false;
    case OpKind::Matmul:
    case OpKind::GroupedMatmul:
    case OpKind::Conv2d: return op.saves_input && op.trainable;
    default: return op.saves_input;
  }
}

class Ledger {
 public:
  Ledger(const std::vector<Op>& ops, const SavedContext& context)
      : ops_(ops), c_(context), layouts_(layouts_of(ops, context)) {}

  std::vector<SavedTensor> run() {
    for (std::size_t i = 0; i < ops_.size(); ++i) {
      at_ = i;
      if (needs_input(ops_[i])) keep_input();
      if (ops_[i].kind == OpKind::Attention) {
        keep_attention();
      } else {
        keep_statistics();
      }
    }
    return std::move(tensors_);
  }

 private:
  enum Form { Stored, Gathered, Cast, GatheredCast };  // copies of one storage are storages of their own

  const Op& op() const { return ops_[at_]; }
  const OpLayout& layout() const { return layouts_[at_]; }

  void add(const std::string& tensor, double bytes) {  // of the op's own
    if (bytes > 0)
      tensors_.push_back(
          {op().name, tensor, bytes, false, static_cast<int>(at_), kOwnStorage, static_cast<int>(at_), false});
  }

  void add_input(const std::string& tensor, double bytes) {  // a copy of what it reads
    add(tensor, bytes);
    if (bytes > 0) tensors_.back().made_by = layout().producer, tensors_.back().is_output = true;
  }

  void add_storage(int producer, Form form, double elements, double element_bytes) {
    if (!counted_.insert({producer, form}).second) return;
    const std::string tensor = producer < 0 ? "block input" : ops_[static_cast<std::size_t>(producer)].name + " output";
    if (elements * element_bytes <= 0) return;
    tensors_.push_back({op().name, tensor, elements * element_bytes, producer < 0 && form == Stored,
                        static_cast<int>(at_), form == Stored ? producer : kOwnStorage, producer, true});
  }

  void keep_input() {
    if (op().kind == OpKind::Norm && c_.eager_norm) {
      const double own =
          std::min(layout().input_elements, op().in_features * layout().row_share);  // it may read a part
      add("fp32 input", kFp32 * own);
      add("fp32 normalised input", kFp32 * own);
      return;
    }
    if (op().kind == OpKind::Combine) {  // the routing weights are applied after the rows came back from the experts
      add_input("returned rows", layout().input_elements / c_.gathered_by_experts() * c_.activation_bytes);
      return;
    }
    const bool cast = is_matmul(op()) && c_.matmul_input_bytes > 0;
    const bool gathered = is_matmul(op()) && c_.keep_gathered_input && layout().gather > 1;
    const Form form = cast ? (gathered ? GatheredCast : Cast) : gathered ? Gathered : Stored;
    add_storage(layout().producer, form, layout().input_elements * (gathered ? layout().gather : 1),
                cast ? c_.matmul_input_bytes : c_.activation_bytes);
  }

  void keep_attention() {
    const double a = c_.activation_bytes;
    const double a_row = a * layout().row_share;
    const double q = op().heads * op().qk_head_dim, k = op().kv_heads * op().qk_head_dim,
                 v = op().kv_heads * op().v_head_dim;
    if (c_.packed_attention && op().heads == op().kv_heads) {
      add_input("q, k, v", (q + k + v) * a_row);
      add_input("k, v", (k + v) * a_row);
    } else {
      add_input("q", q * a_row), add_input("k", k * a_row), add_input("v", v * a_row);
    }
    if (c_.attention_output_copy) add("output copy", layout().output_elements * a);
    if (!c_.flash_attention) {
      const double scores = op().heads * attended_keys(op(), c_.seq_len) * layout().row_share;
      add("softmax", scores * a);
      if (c_.attention_dropout || op().score_dropout) {
        add("dropout mask", scores);
        add("dropped scores", scores * a);
      }
      return;
    }
    add_storage(static_cast<int>(at_), Stored, layout().output_elements, a);
    const double stated = op().saved_bytes_per_row;
    add("log-sum-exp", (stated > 0 ? stated : kFp32 * op().heads) * layout().row_share);
  }

  void keep_statistics() {
    if (op().kind == OpKind::Dropout && !c_.hidden_dropout) return;
    const double stated = op().saved_bytes_per_row;
    add("statistics", (stated > 0 ? stated : implied_statistics()) * layout().row_share);
    const bool gated = op().kind == OpKind::Activation && op().in_features == 2 * op().out_features;
    if (op().kind == OpKind::Activation && op().rows == Rows::Routed && !gated) {
      add("activation before routing weights", layout().output_elements * c_.activation_bytes);  // scaled apart
    }
    if (gated && c_.eager_gate) add("activated gate", layout().output_elements * c_.activation_bytes);
  }

  double implied_statistics() const {
    switch (op().kind) {
      case OpKind::Norm: return op().norm_has_bias ? 2 * kFp32 : kFp32;  // 1/sigma, and the mean of a LayerNorm
      case OpKind::Dropout: return op().in_features;                     // byte mask
      case OpKind::Embedding: return 8;                                  // int64 id
      case OpKind::Router: return (2 * kFp32 + 1) * op().experts;        // logits, probabilities, byte map
      default: return 0;
    }
  }

  const std::vector<Op>& ops_;
  const SavedContext& c_;
  std::vector<OpLayout> layouts_;
  std::vector<SavedTensor> tensors_;
  std::set<std::pair<int, Form>> counted_;
  std::size_t at_ = 0;
};

double total(const std::vector<SavedTensor>& tensors) {
  return std::accumulate(tensors.begin(), tensors.end(), 0.0,
                         [](double sum, const SavedTensor& t) { return sum + t.bytes_per_token; });
}

// Gradients live while op runs backward. A stateless elementwise op passes its gradient on in place; a column matmul
// under sequence parallelism makes a gathered input gradient before it is reduced and scattered.
double gradient_elements(const Op& op, const OpLayout& layout) {
  if (op.kind == OpKind::Elementwise && !op.saves_input) return layout.output_elements;
  const double gathered = layout.gather > 1 ? layout.gather * layout.input_elements : 0;
  return layout.output_elements + layout.input_elements + gathered;
}

}  // namespace

bool keeps_input(const Op& op) { return op.kind == OpKind::Attention || needs_input(op); }

std::vector<SavedTensor> saved_tensors(const std::vector<Op>& ops, const SavedContext& context) {
  return Ledger(ops, context).run();
}

double saved_bytes_per_token(const std::vector<Op>& ops, const SavedContext& context) {
  return total(saved_tensors(ops, context));
}

double block_input_bytes_per_token(const std::vector<Op>& ops, const SavedContext& context) {
  return ops.empty() ? 0 : layouts_of(ops, context).front().input_elements * context.activation_bytes;
}

std::vector<double> output_bytes_per_token(const std::vector<Op>& ops, const SavedContext& context) {
  std::vector<double> bytes;
  for (const OpLayout& layout : layouts_of(ops, context)) {
    bytes.push_back(layout.output_elements * context.activation_bytes);
  }
  return bytes;
}

double weight_grad_bytes_per_token(const std::vector<Op>& ops, const SavedContext& context) {
  const std::vector<OpLayout> layouts = layouts_of(ops, context);
  std::set<int> inputs;
  double elements = 0;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    if (!is_matmul(ops[i]) || !ops[i].trainable) continue;
    elements += layouts[i].output_elements;
    if (inputs.insert(layouts[i].producer).second) elements += layouts[i].input_elements;
  }
  return elements * context.activation_bytes;
}

double backward_extra_bytes_per_token(const std::vector<Op>& ops, const SavedContext& context) {
  const std::vector<SavedTensor> tensors = saved_tensors(ops, context);
  const std::vector<OpLayout> layouts = layouts_of(ops, context);
  std::vector<double> saved(ops.size(), 0);
  for (const SavedTensor& t : tensors) saved[static_cast<std::size_t>(t.op_index)] += t.bytes_per_token;
  const double residual = block_input_bytes_per_token(ops, context);
  double released = 0, worst = 0;
  for (std::size_t i = ops.size(); i-- > 0;) {
    double live = gradient_elements(ops[i], layouts[i]) * context.activation_bytes + residual;
    if (ops[i].kind == OpKind::Attention && !context.flash_attention) {
      live += 2 * ops[i].heads * context.seq_len * layouts[i].row_share * context.activation_bytes;
    }
    worst = std::max(worst, live - released);
    released += saved[i];
  }
  return worst;
}

}  // namespace dts

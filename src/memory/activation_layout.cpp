#include "memory/activation_layout.hpp"

#include <map>

#include "error.hpp"

namespace dts {

namespace {

double input_width(const Op& op) {
  if (op.kind == OpKind::Embedding) return 0;  // ids, counted apart
  return op.kind == OpKind::Conv2d ? op.in_features * op.input_positions : op.in_features;
}

double output_width(const Op& op) {
  switch (op.kind) {
    case OpKind::Attention: return op.heads * op.v_head_dim;
    case OpKind::Conv2d: return op.out_features * op.output_positions;
    case OpKind::Router: return op.experts;
    case OpKind::CrossEntropy: return 0;
    default: return op.out_features > 0 ? op.out_features : op.in_features;
  }
}

class LayoutBuilder {
 public:
  explicit LayoutBuilder(const SavedContext& context)
      : c_(context), sequence_(context.sequence_parallel ? context.tp : 1) {}

  OpLayout next(const Op& op, int producer, const std::vector<OpLayout>& earlier) {
    if (op.top_k > 0) top_k_ = op.top_k;
    OpLayout layout;
    layout.producer = producer;
    layout.input_elements = producer >= 0 ? earlier[static_cast<std::size_t>(producer)].output_elements
                                          : input_width(op) * rows(op) / input_shards(op);
    // Dispatch turns tokens into routed rows, combine turns them back.
    layout.output_elements =
        op.kind == OpKind::Combine ? output_width(op) / sequence_ : output_width(op) * rows(op) / output_shards(op);
    layout.row_share = rows(op) / (op.kind == OpKind::Embedding ? 1 : output_shards(op));  // ids are not split
    layout.gather = op.sharding == Sharding::Column ? sequence_ : 1;
    return layout;
  }

 private:
  double rows(const Op& op) const {
    if (op.rows == Rows::Samples) return c_.cp / c_.seq_len;
    if (op.rows != Rows::Routed) return 1;
    return top_k_ * c_.gathered_by_experts() / sequence_ * c_.routed_load;
  }

  double input_shards(const Op& op) const {
    if (op.rows == Rows::Routed) return op.sharding == Sharding::ExpertRow ? c_.etp : 1;
    switch (op.sharding) {
      case Sharding::Row:
      case Sharding::Heads: return c_.tp;
      case Sharding::Sequence:
      case Sharding::Column: return sequence_;
      default: return 1;
    }
  }

  double output_shards(const Op& op) const {
    if (op.rows == Rows::Routed) {
      return op.sharding == Sharding::ExpertColumn || op.sharding == Sharding::Expert ? c_.etp : 1;
    }
    switch (op.sharding) {
      case Sharding::Column:
      case Sharding::Heads: return c_.tp;
      case Sharding::Sequence:
      case Sharding::Row:
      case Sharding::Vocab: return sequence_;
      default: return 1;
    }
  }

  const SavedContext& c_;
  double sequence_;
  double top_k_ = 1;  // of the routed region the ops are in
};

void check_context(const SavedContext& c) {
  Checker check;
  check.positive("seq_len", c.seq_len);
  check.at_least("tp", c.tp, 1);
  check.at_least("cp", c.cp, 1);
  check.at_least("etp", c.etp, 1);
  check.positive("activation_bytes", c.activation_bytes);
  check.non_negative("matmul_input_bytes", c.matmul_input_bytes);
  check.positive("routed_load", c.routed_load);
  check.throw_if_any();
}

}  // namespace

std::vector<OpLayout> layouts_of(const std::vector<Op>& ops, const SavedContext& context) {
  check_context(context);
  std::map<std::string, int> index;
  std::vector<OpLayout> layouts;
  layouts.reserve(ops.size());
  LayoutBuilder builder(context);
  for (const Op& op : ops) {
    int producer = static_cast<int>(layouts.size()) - 1;
    if (op.input == kBlockInput) {
      producer = -1;
    } else if (!op.input.empty()) {
      const auto found = index.find(op.input);
      if (found == index.end()) {
        throw ConfigError({{op.name + ".input", op.input, "the name of an earlier op of the block, or \"block\"", ""}});
      }
      producer = found->second;
    }
    index[op.name] = static_cast<int>(layouts.size());
    layouts.push_back(builder.next(op, producer, layouts));
  }
  return layouts;
}

}  // namespace dts

#include "memory/tape_writer.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace dts {

bool is_matmul(const Op& op) { return op.kind == OpKind::Matmul || op.kind == OpKind::GroupedMatmul; }

namespace {

TapeSum sum_of(const std::vector<TapeTensor>& tensors, const std::vector<TapeEvent>& events) {
  TapeSum sum;
  double held = 0;
  for (std::size_t e = 0; e < events.size(); ++e) {
    const TapeTensor& t = tensors[static_cast<std::size_t>(events[e].tensor)];
    const double change = events[e].frees ? -t.bytes : t.bytes;
    sum.after[static_cast<std::size_t>(t.category)] += change;
    held += change;
    if (held > sum.highest) sum.highest = held, sum.peak = sum.after, sum.event = e + 1;
  }
  return sum;
}

}  // namespace

void sum_events(BlockTape& tape) {
  tape.forward_sum = sum_of(tape.tensors, tape.forward), tape.backward_sum = sum_of(tape.tensors, tape.backward);
  tape.input_grad_sum = sum_of(tape.tensors, tape.input_grad),
  tape.weight_grad_sum = sum_of(tape.tensors, tape.weight_grad);
}

TapeWriter::TapeWriter(const std::vector<Op>& ops, const SavedContext& context, const TapeRules& rules)
    : ops_(ops), c_(context), r_(rules), layouts_(layouts_of(ops, context)) {
  describe_block();
}

int TapeWriter::declare(const std::string& op, const std::string& what, double bytes, MemoryCategory category) {
  tape_.tensors.push_back({op, what, std::round(bytes), category});  // whole bytes: sums are exact
  return static_cast<int>(tape_.tensors.size()) - 1;
}

int TapeWriter::temporary(std::size_t op, const std::string& what, double elements) {
  return declare(ops_[op].name, what, elements * r_.tokens * c_.activation_bytes);
}

void TapeWriter::describe_block() {
  for (const Op& op : ops_) {
    if (const double elements = weight_elements(op); elements > 0) tape_.weights.push_back(elements);
  }
  tape_.forward_launches = static_cast<double>(ops_.size()) * r_.forward_launches_per_op;
  tape_.backward_launches = static_cast<double>(ops_.size()) * r_.backward_launches_per_op;
}

bool TapeWriter::scatters(const Op& op) const {
  const bool table = op.kind == OpKind::Embedding && op.sharding == Sharding::Vocab;
  return (table || (op.kind == OpKind::Matmul && op.sharding == Sharding::Row)) && c_.sequence_parallel && c_.tp > 1;
}

void TapeWriter::cast_gradient(Events& events) {
  const bool last = std::any_of(ops_.begin(), ops_.end(), [](const Op& op) { return op.kind == OpKind::Embedding; });
  if (!r_.casts_gradients || !last || tape_.weights.empty()) return;
  const int copy = declare("gradients", "fp32 copy", 4 * *std::max_element(tape_.weights.begin(), tape_.weights.end()));
  take(events, copy), give(events, copy);
}

double TapeWriter::weight_elements(const Op& op) const {
  if ((!is_matmul(op) && op.kind != OpKind::Embedding) || !op.trainable) return 0;
  const bool split = op.sharding == Sharding::Column || op.sharding == Sharding::Row || op.sharding == Sharding::Vocab;
  const bool experts = op.kind == OpKind::GroupedMatmul;
  const double parts = experts ? op.experts / (r_.ep * static_cast<double>(c_.etp)) : 1.0 / (split ? c_.tp : 1);
  return op.in_features * op.out_features * parts;
}

int TapeWriter::weight_gradient(std::size_t i) {
  const double elements = r_.weight_gradients ? weight_elements(ops_[i]) : 0;
  return elements > 0 ? declare(ops_[i].name, "weight gradient", elements * c_.activation_bytes) : kNone;
}

bool TapeWriter::stays(int gradient, std::vector<std::int32_t>& until) const {
  const bool later = r_.gradients_until_end && gradient != kNone && tape_.tensors[at(gradient)].bytes > 0;
  if (later) until.push_back(gradient);
  return later;
}

}  // namespace dts

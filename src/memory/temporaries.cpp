#include "memory/temporaries.hpp"

#include <set>
#include <utility>

#include "memory/user_buffers.hpp"
#include "units.hpp"

namespace dts {

double head_backward_bytes(double tokens, double hidden, double vocab, int tp, bool sequence_parallel,
                           double activation_bytes) {
  const double input = tokens * hidden * activation_bytes;
  const double weight_gradient = vocab * hidden / tp * activation_bytes;
  return weight_gradient + input + (sequence_parallel ? input + input / tp : 0);
}

double dummy_gradient_bytes(const std::vector<Op>& ops, const SavedContext& context) {
  std::set<std::pair<double, double>> shapes;
  double elements = 0;
  for (const Op& op : ops) {
    if ((op.kind != OpKind::Matmul && op.kind != OpKind::GroupedMatmul) || !op.trainable) continue;
    const bool column = op.sharding == Sharding::Column, row = op.sharding == Sharding::Row;
    const bool expert_column = op.sharding == Sharding::ExpertColumn, expert_row = op.sharding == Sharding::ExpertRow;
    const double in = op.in_features / (row ? context.tp : expert_row ? context.etp : 1);
    const double out = op.out_features / (column ? context.tp : expert_column ? context.etp : 1);
    if (shapes.insert({in, out}).second) elements += in * out;
  }
  return elements * context.activation_bytes;
}

double gather_buffer_bytes(double tokens, double hidden, int buffers, double activation_bytes) {
  return tokens * hidden * activation_bytes * buffers;
}

double p2p_buffer_bytes(double boundary_bytes, int pp, int vpp) {
  if (pp <= 1) return 0;
  return boundary_bytes * (vpp > 1 ? 10 : 3);
}

double local_attention_buffer_bytes(double tokens, double seq_len, double heads, int tp, double activation_bytes) {
  return tokens * seq_len * heads / tp * activation_bytes;
}

double fsdp_live_bytes(double block_parameters, double root_parameters, double working_bytes, int ahead) {
  return block_parameters * ((3 + ahead) * working_bytes + 4) + root_parameters * working_bytes;
}

double fsdp_unsharded_bytes(double parameters, double block_parameters, double working_bytes) {
  return parameters * working_bytes + block_parameters * (2 * working_bytes + 4);
}

double torch_workspace_bytes(bool hopper_or_later) { return 2 * (hopper_or_later ? 32 : 8.125) * kMiB; }

double engine_workspace_bytes(bool hopper_or_later) { return (hopper_or_later ? 32 : 4) * kMiB; }

int engine_workspaces(bool grouped_matmul, bool user_buffers) {
  return (user_buffers ? kUserBufferStreams : 1) + (grouped_matmul ? 4 : 0);
}

}  // namespace dts

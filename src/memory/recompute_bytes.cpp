#include "memory/recompute_bytes.hpp"

#include <algorithm>

#include "error.hpp"

namespace dts {

namespace {

KeptBytes full(const std::vector<SavedTensor>& tensors, double block_input, double partition) {
  double rest = partition > 1 ? block_input : 0;  // a partitioned input is gathered before the block runs again
  for (const SavedTensor& t : tensors) rest += t.block_input ? 0 : t.bytes_per_token;
  return {block_input / partition, rest};
}

KeptBytes selective(const std::vector<SavedTensor>& tensors) {
  KeptBytes bytes;
  for (const SavedTensor& t : tensors) (t.attention_scores ? bytes.recomputed : bytes.kept) += t.bytes_per_token;
  return bytes;
}

}  // namespace

KeptBytes kept_bytes(const std::vector<Op>& ops, const SavedContext& context, Recompute recompute,
                     bool partition_block_input) {
  const std::vector<SavedTensor> tensors = saved_tensors(ops, context);
  if (recompute == Recompute::Selective) return selective(tensors);
  if (recompute == Recompute::Full) {
    const double partition = partition_block_input && !context.sequence_parallel ? context.tp : 1;
    return full(tensors, block_input_bytes_per_token(ops, context), partition);
  }
  return {saved_bytes_per_token(ops, context), 0};
}

KeptBytes kept_outputs(const std::vector<Op>& ops, const SavedContext& context,
                       const std::vector<double>& recomputed_shares) {
  Checker check;
  check.require(recomputed_shares.size() == ops.size(), "recomputed_shares",
                std::to_string(recomputed_shares.size()) + " shares", "one per op, " + std::to_string(ops.size()));
  for (double share : recomputed_shares) {
    check.require(share >= 0 && share <= 1, "recomputed_shares", number_text(share), "a share between 0 and 1");
  }
  check.throw_if_any();
  const std::vector<double> outputs = output_bytes_per_token(ops, context);
  KeptBytes bytes;
  bytes.kept = block_input_bytes_per_token(ops, context);
  for (std::size_t i = 0; i < ops.size(); ++i) bytes.kept += (1 - recomputed_shares[i]) * outputs[i];
  for (const SavedTensor& t : saved_tensors(ops, context)) {
    if (t.tensor == "log-sum-exp") {
      bytes.kept += (1 - recomputed_shares[static_cast<std::size_t>(t.op_index)]) * t.bytes_per_token;
    }
  }
  bytes.recomputed = std::max(0.0, saved_bytes_per_token(ops, context) - bytes.kept);
  return bytes;
}

}  // namespace dts

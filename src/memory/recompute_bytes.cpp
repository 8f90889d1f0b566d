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

KeptBytes selective(const std::vector<Op>& ops, const SavedContext& context, const std::vector<SavedTensor>& tensors,
                    const std::vector<RecomputeModule>& modules) {
  const SelectiveFates fates = selective_fates(ops, tensors, context, recompute_regions(ops, modules));
  KeptBytes bytes;
  for (std::size_t k = 0; k < tensors.size(); ++k) {
    bytes.kept += fates.tensors[k].kept;
    if (fates.tensors[k].region >= 0) bytes.recomputed += tensors[k].bytes_per_token;
  }
  return bytes;
}

class Fates {
 public:
  Fates(const std::vector<Op>& ops, const std::vector<SavedTensor>& tensors, const SavedContext& context,
        const std::vector<RecomputeRegion>& regions)
      : ops_(ops), tensors_(tensors), c_(context), regions_(regions), producers_(producers_of(ops)) {}

  SelectiveFates run() {
    SelectiveFates fates;
    for (const SavedTensor& t : tensors_) fates.tensors.push_back({t.bytes_per_token, -1});
    for (std::size_t r = 0; r < regions_.size(); ++r) {
      fates.rebuilt_before.push_back(needed_first(regions_[r]));
      for (std::size_t k = 0; k < tensors_.size(); ++k) decide(r, tensors_[k], fates.tensors[k]);
    }
    return fates;
  }

 private:
  static bool has(const RecomputeRegion& region, int op) { return op >= 0 && region.ops[static_cast<std::size_t>(op)]; }

  template <class Visit>
  void for_outer_readers(const RecomputeRegion& region, int op, Visit visit) const {
    for (std::size_t j = 0; j < ops_.size(); ++j) {
      const bool reads = op < 0 ? has(region, producers_[j]) : producers_[j] == op;
      if (reads && !region.ops[j] && keeps_input(ops_[j])) visit(j);
    }
  }

  // A reader inside a module that runs again from its input needs it when that module does.
  std::size_t needed_first(const RecomputeRegion& region) const {
    if (!region.discards_output) return region.last();
    std::size_t first = region.last();
    for_outer_readers(region, -1, [&](std::size_t j) {
      first = std::max(first, j);
      for (const RecomputeRegion& other : regions_) {
        if (!other.discards_output && other.ops[j]) first = std::max(first, other.last());
      }
    });
    return first;
  }

  void decide(std::size_t r, const SavedTensor& t, TensorFate& fate) const {
    const RecomputeRegion& region = regions_[r];
    if (fate.region >= 0) return;
    if (!has(region, t.made_by)) {
      const bool cast = c_.matmul_input_bytes > 0 && t.is_output && t.storage == kOwnStorage &&
                        ops_[static_cast<std::size_t>(t.op_index)].kind != OpKind::Attention;
      if (cast && !region.discards_output && has(region, t.op_index))
        fate.kept = t.bytes_per_token / c_.matmul_input_bytes * c_.activation_bytes;
      return;
    }
    bool stays = false;
    if (t.is_output && !region.discards_output)
      for_outer_readers(region, t.made_by, [&](std::size_t) { stays = true; });
    if (!stays) fate = {0, static_cast<int>(r)};
  }

  const std::vector<Op>& ops_;
  const std::vector<SavedTensor>& tensors_;
  const SavedContext& c_;
  const std::vector<RecomputeRegion>& regions_;
  std::vector<int> producers_;
};

}  // namespace

SelectiveFates selective_fates(const std::vector<Op>& ops, const std::vector<SavedTensor>& tensors,
                               const SavedContext& context, const std::vector<RecomputeRegion>& regions) {
  return Fates(ops, tensors, context, regions).run();
}

KeptBytes kept_bytes(const std::vector<Op>& ops, const SavedContext& context, Recompute recompute,
                     bool partition_block_input, const std::vector<RecomputeModule>& modules) {
  const std::vector<SavedTensor> tensors = saved_tensors(ops, context);
  if (recompute == Recompute::Selective) return selective(ops, context, tensors, modules);
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

#include "step/plan/update_cost.hpp"

#include <algorithm>

#include "compute/optimizer.hpp"
#include "memory/static_bytes.hpp"

namespace dts {

namespace {

class Update {
 public:
  Update(const Job& job, const GroupPricer& groups) : job_(job), s_(job.strategy), groups_(groups) {}

  double elementwise_s(double parameters) const {
    return optimizer_time_s(job_.device, parameters, elementwise_bytes() + scaling());
  }

  double seconds(const std::vector<const BlockCost*>& blocks) const {
    double all = 0, matrices = 0, iterations_s = 0;
    const double dense_shards = shards(false), expert_shards = shards(true);
    for (const BlockCost* block : blocks)
      all += block->dense_trainable / dense_shards + block->expert_trainable / expert_shards;
    if (s_.optimizer == Optimizer::Muon) {
      std::vector<WeightMatrix> dealt;
      for (const BlockCost* block : blocks) dealt.insert(dealt.end(), block->matrices.begin(), block->matrices.end());
      for (const WeightMatrix& m : dealt) matrices += m.count * m.gram * m.summed / shards(m.expert);
      iterations_s = muon_s(dealt);
    }
    const double rest = std::max(0.0, all - matrices);
    const double update =
        elementwise_s(rest) + optimizer_time_s(job_.device, matrices, kMuonBytes + overhead() + scaling());
    return update + iterations_s + found_infinity_s(all);
  }

 private:
  double shards(bool expert) const { return s_.zero > 0 ? groups_.grid().size(groups_.grid().shard_axis(expert)) : 1; }

  // What the framework moves besides a fused Adam.
  double overhead() const { return std::max(0.0, job_.profile.optimizer_bytes - fused_update_bytes(2)); }

  double scaling() const { return s_.precision == DType::FP16 ? kUnscaleBytes : 0; }

  double adam_bytes() const {
    const double copy = bytes_of(s_.precision) < 4 ? 2 : 0;
    switch (s_.optimizer_kernels) {
      case OptimizerKernels::Fused: return fused_update_bytes(2, 4, 4, copy);
      case OptimizerKernels::Foreach: return foreach_adamw_bytes(4) + copy;
      default: return job_.profile.optimizer_bytes;
    }
  }

  double elementwise_bytes() const {
    if (s_.optimizer == Optimizer::Adafactor) return adafactor_bytes(4) + overhead();
    const double moments = s_.optimizer == Optimizer::Muon ? moment_bytes(Optimizer::Adam) : moment_bytes(s_.optimizer);
    return std::max(0.0, adam_bytes() - 2 * (moment_bytes(Optimizer::Adam) - moments));
  }

  // The iterations of the fullest rank, and what they exchange.
  double muon_s(const std::vector<WeightMatrix>& matrices) const {
    double dense_s = 0, expert_s = 0, largest_s = 0, exchanged = 0, exchanged_experts = 0;
    for (const WeightMatrix& m : matrices) {
      const double one_s = matrix_s(m);
      (m.expert ? expert_s : dense_s) += m.count * one_s / shards(m.expert);
      largest_s = std::max(largest_s, one_s);
      (m.expert ? exchanged_experts : exchanged) += 2 * m.count * m.gram * m.summed / shards(m.expert);
    }
    double total = std::max(dense_s + expert_s, largest_s);
    if (s_.zero == 3) {
      total += 2 * groups_.seconds({CollectiveKind::AllToAll, groups_.grid().shard_axis(false), exchanged});
      total += 2 * groups_.seconds({CollectiveKind::AllToAll, groups_.grid().shard_axis(true), exchanged_experts});
    }
    return total;
  }

  // One matrix; `summed` is the dimension that tensor parallelism splits, where it splits one.
  double matrix_s(const WeightMatrix& m) const {
    const Axis axis = m.expert ? Axis::ETP : Axis::TP;
    const double whole = m.summed * m.split;
    if (m.split > 1 && s_.muon_tp == MuonTp::Distributed) {
      const double sum_s = groups_.seconds({CollectiveKind::AllReduce, axis, 2 * m.gram * m.gram});
      return newton_schulz_time_s(job_.device, m.gram, m.summed, 1) + kMuonIterations * sum_s;
    }
    if (m.split > 1 && s_.muon_tp == MuonTp::Duplicated) {
      const double gather_s = groups_.seconds({CollectiveKind::AllGather, axis, 2 * m.gram * whole});
      return gather_s + newton_schulz_time_s(job_.device, std::min(m.gram, whole), std::max(m.gram, whole), 1);
    }
    return newton_schulz_time_s(job_.device, std::min(m.gram, m.summed), std::max(m.gram, m.summed), 1);
  }

  // A flag over the ranks that hold a replica's gradients: all ranks where states are sharded.
  double found_infinity_s(double parameters) const {
    if (s_.precision != DType::FP16 || parameters <= 0) return 0;
    std::vector<int> ranks;
    for (int rank = 0; rank < groups_.grid().world(); ++rank) {
      if (s_.zero > 0 || in_first_replica(rank)) ranks.push_back(rank);
    }
    return groups_.among_s(CollectiveKind::AllReduce, 4, ranks);
  }

  bool in_first_replica(int rank) const {
    return groups_.grid().coordinate(rank, Axis::DP) == 0 && groups_.grid().coordinate(rank, Axis::CP) == 0;
  }

  const Job& job_;
  const Strategy& s_;
  const GroupPricer& groups_;
};

}  // namespace

double host_update_bytes(const Strategy& s, double gradient_bytes) {
  if (s.optimizer == Optimizer::Adafactor) return adafactor_bytes(4);
  const double copy = bytes_of(s.precision) < 4 ? 2 : 0;
  return fused_update_bytes(2, 4, gradient_bytes, copy) -
         2 * (moment_bytes(Optimizer::Adam) - moment_bytes(s.optimizer));
}

double device_update_s(const Job& job, const GroupPricer& groups, double parameters) {
  return Update(job, groups).elementwise_s(parameters);
}

double update_s(const Job& job, const GroupPricer& groups, const std::vector<const BlockCost*>& blocks) {
  return Update(job, groups).seconds(blocks);
}

}  // namespace dts

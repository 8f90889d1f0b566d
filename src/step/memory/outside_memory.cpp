#include "step/memory/outside_memory.hpp"

#include <algorithm>
#include <utility>

#include "memory/communicator_bytes.hpp"
#include "memory/user_buffers.hpp"

namespace dts {

namespace {

constexpr double kScalarBytes = 4;  // of a loss or a norm

// What runs on the groups of one axis.
struct Use {
  std::vector<std::pair<CollectiveKind, double>> calls;  // with their bytes
  bool exchanges = false;                                // every member sends to every other
  bool to_next = false;                                  // and in a ring of sends
};

class Library {
 public:
  explicit Library(const Job& job) : job_(job), cluster_(job.network.cluster()) {}
  bool known() const { return cluster_ && job_.profile.communication.granularity_bytes > 0; }

  double bytes(const RankGroup& group, const Use& use) const {
    Communicator made;
    made.span = group.span;
    for (const auto& [kind, bytes] : use.calls)
      add_algorithm(made, job_.network.cost(kind, bytes, group).algorithm.c_str());
    const int near = group.span.ranks_per_domain - 1, far = group.span.ranks - group.span.ranks_per_domain;
    if (use.exchanges) made.near_peers = near, made.far_peers = far;
    if (use.to_next) made.near_peers = std::min(near, far > 0 ? 1 : 2), made.far_peers = std::min(far, 1);
    return communicator_bytes(job_.profile.communication, *cluster_, made);
  }
  // Groups of an axis may lie differently; the largest.
  double bytes(const GroupPricer& groups, Axis axis, const Use& use) const {
    double most = 0;
    for (const RankGroup& group : groups.groups_of(axis)) most = std::max(most, bytes(group, use));
    return most;
  }
  double world() const {
    const int ranks = job_.network.device_count(), domain = std::min(domain_devices(*cluster_), ranks);
    RankGroup all;
    all.span = {ranks, domain, (ranks + domain - 1) / domain, 1};
    return bytes(all, {{{CollectiveKind::AllReduce, kScalarBytes}}});
  }
  // A pipeline rank's communicator with all of its pipeline: sends to and from the ranks beside it.
  double pipeline(const GroupPricer& groups, int stage) const {
    double most = 0;
    const int pp = job_.strategy.pp;
    for (const RankGroup& group : groups.groups_of(Axis::PP)) {
      Communicator made;
      made.span = group.span;
      for (int other : {stage - 1, stage + 1}) {
        if (job_.strategy.vpp > 1) other = (other + pp) % pp;
        if (other < 0 || other >= pp || (pp == 2 && other == stage - 1 && job_.strategy.vpp > 1)) continue;
        const auto rank = [&](int of) { return group.ranks[static_cast<std::size_t>(of)]; };
        ++(groups.near(rank(stage), rank(other)) ? made.near_peers : made.far_peers);
      }
      most = std::max(most, communicator_bytes(job_.profile.communication, *cluster_, made));
    }
    return most;
  }
  // Between the two copies of a tied embedding.
  double embedding(const GroupPricer& groups, double bytes_moved) const {
    double most = 0;
    for (const RankGroup& group : groups.groups_of(Axis::PP)) {
      const RankGroup ends = job_.network.group({group.ranks.front(), group.ranks.back()});
      most = std::max(most, bytes(ends, {{{CollectiveKind::AllReduce, bytes_moved}}}));
    }
    return most;
  }

 private:
  const Job& job_;
  const ClusterSpec* cluster_;
};

Use tensor_parallel(const Strategy& s, double activation) {
  Use use{{{CollectiveKind::AllReduce, kScalarBytes}}};  // of the loss
  if (s.sequence_parallel) {
    use.calls.push_back({CollectiveKind::AllGather, activation});
    use.calls.push_back({CollectiveKind::ReduceScatter, activation});
  } else {
    use.calls.push_back({CollectiveKind::AllReduce, activation});
  }
  return use;
}

double context_parallel(const Library& library, const GroupPricer& groups, const Strategy& s, double activation) {
  Use exchange, ring;
  exchange.exchanges = true, ring.to_next = true;
  switch (s.cp_comm) {
    case ContextComm::P2P: return library.bytes(groups, Axis::CP, ring);
    case ContextComm::A2A: return library.bytes(groups, Axis::CP, exchange);
    case ContextComm::AllGather:
      return library.bytes(
          groups, Axis::CP,
          {{{CollectiveKind::AllGather, activation * s.cp}, {CollectiveKind::ReduceScatter, activation * s.cp}}});
    case ContextComm::A2AP2P:
      return library.bytes(groups, Axis::CP_HEADS, exchange) + library.bytes(groups, Axis::CP_SEQUENCE, ring);
  }
  return 0;
}

// DeepEP's buffers are its own.
Use expert_parallel(Dispatcher dispatcher, double gathered) {
  Use use;
  if (dispatcher == Dispatcher::AllToAll) use.exchanges = true;
  if (dispatcher == Dispatcher::AllGather) {
    use.calls = {{CollectiveKind::AllGather, gathered}, {CollectiveKind::ReduceScatter, gathered}};
  }
  return use;
}

// Groups that reduce gradients and gather weights: all of them, or shards and the replicas of a shard.
double gradients(const Library& library, const GroupPricer& groups, const Job& job, bool expert) {
  const double bucket = std::max(job.profile.bucket_parameters, 1.0) * job.profile.grad_reduce_bytes;
  const Use reduced{{{CollectiveKind::AllReduce, bucket}}};
  const Use sharded{{{CollectiveKind::ReduceScatter, bucket}, {CollectiveKind::AllGather, bucket}}};
  const Use& whole = job.strategy.zero > 0 ? sharded : reduced;
  if (job.strategy.dp_replicas == 1) return library.bytes(groups, expert ? Axis::EDP : Axis::DP_CP, whole);
  return library.bytes(groups, expert ? Axis::EDP_SHARD : Axis::DP_SHARD, whole) +
         library.bytes(groups, expert ? Axis::EDP_REPLICA : Axis::DP_REPLICA, reduced);
}

}  // namespace

bool uses_user_buffers(const Job& job, const GroupPricer& groups) {
  return job.profile.tp_overlap == TpOverlap::Userbuffers && job.strategy.tp > 1 && job.strategy.sequence_parallel &&
         groups.within_domain(Axis::TP);
}

OutsideMemory::OutsideMemory(const Job& job, const GroupPricer& groups, const LocalSizes& sizes)
    : job_(job), groups_(groups), activation_(sizes.tokens * job.model.hidden * sizes.activation_bytes) {
  const Strategy& s = job.strategy;
  if (uses_user_buffers(job, groups)) {
    const double operand_bytes = std::min(bytes_of(s.precision), sizes.activation_bytes);
    user_buffers_ = user_buffer_bytes(sizes.tokens, job.model.hidden, operand_bytes, sizes.activation_bytes);
  }
  const Library library(job);
  if (!library.known() || job.network.device_count() < 2) return;
  const auto of = [&](CommunicatorKind kind) -> double& { return alike_[static_cast<std::size_t>(kind)]; };
  of(CommunicatorKind::World) = library.world();
  of(CommunicatorKind::TensorParallel) = library.bytes(groups, Axis::TP, tensor_parallel(s, activation_));
  of(CommunicatorKind::ContextParallel) = context_parallel(library, groups, s, activation_);
  of(CommunicatorKind::DataParallel) = gradients(library, groups, job, false);
  if (!has_experts(job.model)) return;
  of(CommunicatorKind::ExpertParallel) =
      library.bytes(groups, Axis::EP, expert_parallel(sizes.routing.dispatcher, activation_ * s.ep));
  if (s.etp > 1 && s.etp != s.tp)
    of(CommunicatorKind::ExpertParallel) += library.bytes(groups, Axis::ETP, tensor_parallel(s, activation_));
  if (s.ep > 1) of(CommunicatorKind::ExpertDataParallel) = gradients(library, groups, job, true);
}

void OutsideMemory::fill(MemoryReport& report, int stage) const {
  report.context = job_.profile.context_bytes;
  report.user_buffers = user_buffers_;
  report.communicators = alike_;
  const Library library(job_);
  if (!library.known() || job_.strategy.pp == 1) return;
  const auto of = [&](CommunicatorKind kind) -> double& {
    return report.communicators[static_cast<std::size_t>(kind)];
  };
  of(CommunicatorKind::Pipeline) = library.pipeline(groups_, stage);
  if (job_.model.tied_embeddings && (stage == 0 || stage + 1 == job_.strategy.pp))
    of(CommunicatorKind::Embedding) = library.embedding(groups_, activation_);
}

}  // namespace dts

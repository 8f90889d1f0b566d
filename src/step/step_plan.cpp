#include "step/step_plan.hpp"

#include <algorithm>

#include "compute/optimizer.hpp"
#include "parallel/stages.hpp"
#include "pricing/group_pricer.hpp"

namespace dts {

namespace {

double gather_bytes_per_parameter(const LocalSizes& sizes) { return sizes.activation_bytes; }

class Planner {
 public:
  Planner(const Job& job, const RankGrid& grid) : job_(job), s_(job.strategy), groups_(job.network, grid) {}

  PlannedStep plan() {
    PlannedStep step;
    price(step.priced);
    place(step);
    for (StageCost& stage : step.plan.stages) step.plan.comm.push_back(stage_comm(stage));
    pipeline_transfers(step.plan);
    for (int rank = 0; rank < s_.pp; ++rank) step.plan.optimizer_s.push_back(optimizer_s(step.plan, rank));
    if (job_.model.tied_embeddings && s_.pp > 1) step.plan.tied_reduce_s = tied_reduce_s();
    StepPlan& p = step.plan;
    p.micro_batches = job_.micro_batches();
    p.order = pipeline_order(s_, p.micro_batches);
    p.zero = s_.zero;
    p.overlap_grad_reduce = s_.overlap_grad_reduce;
    p.overlap_param_gather = s_.overlap_param_gather;
    p.reshard_after_forward = job_.profile.reshard_after_forward;
    p.reduce_every_micro_batch = job_.profile.fsdp_reduce_every_micro_batch;
    return step;
  }

 private:
  void price(PricedModel& priced) {
    priced.sizes = local_sizes(job_.model, s_, job_.seq_len);
    const BlockContext context{job_.device, job_.profile, groups_, priced.sizes, s_.recompute, s_.precision};
    const auto add = [&](const Block& block, bool is_head) {
      priced.blocks.push_back(std::make_unique<BlockCost>(price_block(block, context, is_head)));
    };
    add(job_.model.stem, false);
    for (const LayerRun& run : job_.model.layers) add(run.block, false);
    add(job_.model.head, true);
    if (job_.model.tied_embeddings && s_.pp == 1) {  // one table serves both ends
      priced.blocks.back()->dense_parameters -= embedding_parameters();
      priced.blocks.back()->dense_trainable -= embedding_parameters();
    }
    sizes_ = priced.sizes;
  }

  void place(PlannedStep& step) const {
    std::vector<const BlockCost*> layers;
    for (std::size_t run = 0; run < job_.model.layers.size(); ++run) {
      layers.insert(layers.end(), static_cast<std::size_t>(job_.model.layers[run].repeat), step.priced.blocks[run + 1].get());
    }
    for (const ChunkLayers& chunk : partition(job_.model, s_)) {
      StageCost stage;
      if (chunk.has_stem && !job_.model.stem.ops.empty()) stage.blocks.push_back(step.priced.blocks.front().get());
      const auto first = layers.begin() + chunk.first;
      stage.blocks.insert(stage.blocks.end(), first, first + chunk.count);
      if (chunk.has_head && !job_.model.head.ops.empty()) stage.blocks.push_back(step.priced.blocks.back().get());
      step.plan.stages.push_back(std::move(stage));
    }
  }

  // Dense weights are replicated over dp * cp, experts over edp: one collective each.
  double data_parallel_s(CollectiveKind kind, double dense_bytes, double expert_bytes) const {
    return groups_.seconds({kind, Axis::DP_CP, dense_bytes}) + groups_.seconds({kind, Axis::EDP, expert_bytes});
  }

  double reduce_s(double dense, double expert) const {
    const double bytes = job_.profile.grad_reduce_bytes;
    return data_parallel_s(s_.zero == 0 ? CollectiveKind::AllReduce : CollectiveKind::ReduceScatter, bytes * dense,
                           bytes * expert);
  }

  double gather_s(double dense, double expert) const {
    const double bytes = gather_bytes_per_parameter(sizes_);
    return data_parallel_s(CollectiveKind::AllGather, bytes * dense, bytes * expert);
  }

  StageComm stage_comm(const StageCost& stage) const {
    StageComm comm;
    if (s_.dp * s_.cp == 1) return comm;
    if (s_.zero == 3) {
      for (const BlockCost* block : stage.blocks) {
        comm.block_gather_s.push_back(gather_s(block->dense_parameters, block->expert_parameters));
        comm.block_reduce_s.push_back(reduce_s(block->dense_trainable, block->expert_trainable));
      }
      return comm;
    }
    double dense = 0, expert = 0;  // of the open bucket
    for (std::size_t b = 0; b < stage.blocks.size(); ++b) {
      dense += stage.blocks[b]->dense_trainable;
      expert += stage.blocks[b]->expert_trainable;
      if (dense + expert < job_.profile.bucket_parameters && b + 1 < stage.blocks.size()) continue;
      comm.bucket_end.push_back(b + 1);
      comm.bucket_reduce_s.push_back(reduce_s(dense, expert));
      if (s_.zero > 0) comm.bucket_gather_s.push_back(gather_s(dense, expert));
      dense = expert = 0;
    }
    return comm;
  }

  void pipeline_transfers(StepPlan& plan) const {
    const std::vector<int> ranks = groups_.grid().group(0, Axis::PP);
    const double bytes = sizes_.tokens / sizes_.token_share() * job_.model.hidden * sizes_.activation_bytes;
    const auto hop_s = [&](std::size_t from, std::size_t to) {
      const std::size_t pp = ranks.size();
      return groups_.seconds(CollectiveKind::SendRecv, bytes, {ranks[from % pp], ranks[to % pp]});
    };
    for (std::size_t v = 0; s_.pp > 1 && v + 1 < plan.stages.size(); ++v) {
      plan.comm[v].send_forward_s = hop_s(v, v + 1);
      plan.comm[v + 1].send_backward_s = hop_s(v + 1, v);
    }
  }

  double optimizer_s(const StepPlan& plan, int rank) const {
    double dense = 0, expert = 0;
    for (std::size_t v = static_cast<std::size_t>(rank); v < plan.stages.size(); v += static_cast<std::size_t>(s_.pp)) {
      for (const BlockCost* block : plan.stages[v].blocks) {
        dense += block->dense_trainable;
        expert += block->expert_trainable;
      }
    }
    if (s_.zero > 0) {
      dense /= s_.dp * s_.cp;
      expert /= groups_.grid().size(Axis::EDP);
    }
    return optimizer_time_s(job_.device, dense + expert, job_.profile.optimizer_bytes);
  }

  double embedding_parameters() const {  // of the table alone, on one rank
    for (const Op& op : job_.model.stem.ops) {
      if (op.kind == OpKind::Embedding) return op.in_features * op.out_features / s_.tp;
    }
    return 0;
  }

  double tied_reduce_s() const {
    const std::vector<int> ranks = groups_.grid().group(0, Axis::PP);
    return groups_.seconds(CollectiveKind::AllReduce, embedding_parameters() * job_.profile.grad_reduce_bytes,
                           {ranks.front(), ranks.back()});
  }

  const Job& job_;
  const Strategy& s_;
  GroupPricer groups_;
  LocalSizes sizes_;
};

}  // namespace

PlannedStep plan_step(const Job& job, const RankGrid& grid) { return Planner(job, grid).plan(); }

int coupled_dp(const Strategy& s) {
  const int inner = s.tp * s.cp;
  return std::min(s.dp, std::max(1, s.ep * s.etp / inner));
}

}  // namespace dts

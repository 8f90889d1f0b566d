#include "step/step_plan.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "parallel/stages.hpp"
#include "pricing/group_pricer.hpp"
#include "schedule/check_order.hpp"
#include "step/data_parallel.hpp"
#include "step/step_memory.hpp"
#include "step/update_cost.hpp"

namespace dts {

namespace {

constexpr double kMetadataBytes = 64;  // shape and type of a tensor

bool predicts(const Block& block) {
  return std::any_of(block.ops.begin(), block.ops.end(), [](const Op& op) { return op.kind == OpKind::CrossEntropy; });
}

bool trains(const Block& block) { return std::any_of(block.ops.begin(), block.ops.end(), trains_weights); }

void drop_backward(BlockCost& cost) {
  cost.recompute = cost.backward = cost.data_grad = cost.weight_grad = {};
  cost.recompute_calls.clear(), cost.backward_calls.clear();
  cost.backward_flops = cost.recompute_flops = 0;
}

class Planner {
 public:
  Planner(const Job& job, const RankGrid& grid) : job_(job), s_(job.strategy), placement_(placement(s_)), groups_(job.network, grid, job.kinds), parallel_(job, groups_) {}

  PlannedStep plan() {
    PlannedStep step;
    price(step.priced);
    place(step);
    for (std::size_t v = 0; v < step.plan.stages.size(); ++v) {
      step.plan.comm.emplace_back();
      step.plan.comm.back().units = parallel_.units(step.plan.stages[v], v == 0);
    }
    pipeline_transfers(step.plan);
    schedule(step);
    for (int rank = 0; rank < s_.pp; ++rank) step.plan.optimizer_s.push_back(optimizer_s(step.plan, rank));
    StepPlan& p = step.plan;
    if ((job_.model.tied_embeddings || !job_.model.prediction.empty()) && !placement_.ends_meet()) tied_reduce(p);
    if (placement_.copies() == 2) copy_reduce(p);
    parallel_.set_rules(p);
    if (s_.offload_activations > 0) price_activation_copies(job_, step, groups_.grid());
    return step;
  }

 private:
  void price(PricedModel& priced) {
    priced.sizes = local_sizes(job_.model, s_, job_.profile, job_.seq_len);
    BlockContext context{job_.device, job_.profile, groups_, priced.sizes, s_.recompute, s_.precision, s_.fp8_recipe,
                         s_.zero, static_cast<double>(job_.micro_batches()), splits_backward(s_), s_.int8_recipe};
    const auto price = [&](const Block& block, BlockRole role) { return std::make_unique<BlockCost>(price_block(block, context, role)); };
    priced.blocks.push_back(price(job_.model.stem, BlockRole::Stem));
    for (const LayerRun& run : job_.model.layers) priced.blocks.push_back(price(run.block, BlockRole::Layer));
    priced.blocks.push_back(price(job_.model.head, BlockRole::Head));
    for (const LayerRun& run : job_.model.prediction) {
      priced.prediction.push_back(price(run.block, predicts(run.block) ? BlockRole::Head : BlockRole::Layer));
    }
    bool trained = false;  // gradients flow back to the first trained weight of an encoder
    for (const LayerRun& run : job_.model.encoder) {
      context.sizes = encoder_sizes(job_.model, run.block, s_, job_.profile, job_.seq_len);
      priced.encoder.push_back(price(run.block, BlockRole::Encoder));
      trained |= trains(run.block);
      if (!trained) drop_backward(*priced.encoder.back());
    }
    const double width = priced.sizes.activation_bytes;
    if (!job_.model.prediction.empty() && !job_.model.tied_embeddings && !placement_.ends_meet()) {
      add_table(*priced.prediction.front(), 1, width);  // its copy
    }
    if (job_.model.tied_embeddings && placement_.ends_meet()) add_table(*priced.blocks.back(), -1, width);  // one serves both ends
    sizes_ = priced.sizes;
  }

  // One embedding table more or less, with the first op that can hold it.
  void add_table(BlockCost& block, int count, double width) const {
    const double table = count * embedding_parameters();
    block.dense_parameters += table, block.dense_trainable += table, block.dense_gathered_bytes += table * width;
    for (OpCost& op : block.ops) {
      if (op.trainable + table < 0) continue;
      op.trainable += table, op.gathered_bytes += table * width;
      break;
    }
  }

  void place(PlannedStep& step) const {
    std::vector<const BlockCost*> layers;
    for (std::size_t run = 0; run < job_.model.layers.size(); ++run) {
      layers.insert(layers.end(), static_cast<std::size_t>(job_.model.layers[run].repeat), step.priced.blocks[run + 1].get());
    }
    for (const ChunkLayers& chunk : partition(job_.model, s_)) {
      StageCost stage;
      if (chunk.has_stem) append(stage, job_.model.encoder, step.priced.encoder);
      if (chunk.has_stem && !job_.model.stem.ops.empty()) stage.blocks.push_back(step.priced.blocks.front().get());
      const auto first = layers.begin() + chunk.first;
      stage.blocks.insert(stage.blocks.end(), first, first + chunk.count);
      if (chunk.has_head) append(stage, job_.model.prediction, step.priced.prediction);
      if (chunk.has_head && !job_.model.head.ops.empty()) stage.blocks.push_back(step.priced.blocks.back().get());
      step.plan.stages.push_back(std::move(stage));
    }
  }

  static void append(StageCost& stage, const std::vector<LayerRun>& runs, const std::vector<std::unique_ptr<BlockCost>>& prices) {
    for (std::size_t i = 0; i < runs.size(); ++i) {
      stage.blocks.insert(stage.blocks.end(), static_cast<std::size_t>(runs[i].repeat), prices[i].get());
    }
  }

  void schedule(PlannedStep& step) const {
    StepPlan& plan = step.plan;
    plan.micro_batches = job_.micro_batches();
    plan.stage_map = placement_.map;
    plan.order = pipeline_order(s_, plan.micro_batches, needs_pass_times(s_.schedule) ? pass_times(step) : PassTimes{});
    if (!s_.custom_order.empty()) check_order(plan.order, placement_, plan.micro_batches);
  }

  PassTimes pass_times(const PlannedStep& step) const {
    PassTimes times;
    for (const StageCost& stage : step.plan.stages) {
      times.forward_s.push_back(stage.pass_s(PassKind::Forward));
      times.input_s.push_back(stage.pass_s(PassKind::BackwardInput));
      times.weight_s.push_back(stage.pass_s(PassKind::BackwardWeight));
    }
    for (const StageComm& comm : step.plan.comm) {
      times.transfer_s = std::max({times.transfer_s, comm.send_forward_s, comm.send_backward_s});
    }
    times.weight_share = weight_share(job_, step, groups_.grid());
    return times;
  }

  bool blocking() const {
    if (s_.p2p != PipelineTransfers::Framework) return s_.p2p == PipelineTransfers::Blocking;
    const bool own = s_.custom_order.empty() && (s_.schedule == PipelineSchedule::OneFOneB || s_.schedule == PipelineSchedule::GPipe);
    return own && (s_.vpp > 1 ? job_.profile.p2p_blocking_interleaved : job_.profile.p2p_blocking);
  }

  void pipeline_transfers(StepPlan& plan) const {
    plan.blocking_p2p = blocking() && s_.pp > 1;
    if (s_.pp == 1) return;
    const std::vector<std::vector<int>> pipelines = groups_.grid().groups(Axis::PP);
    plan.send_bytes = sizes_.tokens / sizes_.token_share() * job_.model.hidden * sizes_.activation_bytes;
    if (job_.profile.p2p_sliced_over_tp && s_.tp > 1 && !sizes_.sequence_parallel) {
      plan.send_gather_bytes = plan.send_bytes;
      plan.send_bytes /= s_.tp;
    }
    const double gather_s = plan.send_gather_bytes > 0 ? groups_.seconds({CollectiveKind::AllGather, Axis::TP, plan.send_gather_bytes}) : 0;
    std::map<std::pair<std::size_t, std::size_t>, double> known;
    const auto hop_s = [&](int stage, int next) {
      const auto from = static_cast<std::size_t>(placement_.rank_of(stage)), to = static_cast<std::size_t>(placement_.rank_of(next));
      if (from == to) return 0.0;
      const auto [hop, is_new] = known.try_emplace({from, to}, 0);
      if (is_new) {
        hop->second = groups_.slowest_hop_s(plan.send_bytes, pipelines, from, to) + gather_s +
                      job_.profile.p2p_metadata_messages * groups_.slowest_hop_s(kMetadataBytes, pipelines, from, to);
      }
      return hop->second;
    };
    for (int stage = 0; stage < placement_.stages(); ++stage) {
      const int next = placement_.next(stage);
      if (next < 0) continue;
      plan.comm[static_cast<std::size_t>(stage)].send_forward_s = hop_s(stage, next);
      plan.comm[static_cast<std::size_t>(next)].send_backward_s = hop_s(next, stage);
    }
  }

  double updated_parameters(const StepPlan& plan, int rank) const {  // whose gradients this rank holds in the end
    double dense = 0, expert = 0;
    for (int chunk = 0; chunk < placement_.chunks; ++chunk) {
      for (const BlockCost* block : plan.stages[static_cast<std::size_t>(placement_.stage_of(rank, chunk))].blocks) {
        dense += block->dense_trainable;
        expert += block->expert_trainable;
      }
    }
    return parallel_.owned(dense, expert);
  }

  double optimizer_s(const StepPlan& plan, int rank) const {
    std::vector<const BlockCost*> blocks;
    for (int chunk = 0; chunk < placement_.chunks; ++chunk) {
      const std::vector<const BlockCost*>& more = plan.stages[static_cast<std::size_t>(placement_.stage_of(rank, chunk))].blocks;
      blocks.insert(blocks.end(), more.begin(), more.end());
    }
    return update_s(job_, groups_, blocks);
  }

  double embedding_parameters() const {  // of the table alone, on one rank
    for (const Op& op : job_.model.stem.ops) {
      if (op.kind == OpKind::Embedding) return op.in_features * op.out_features / s_.tp;
    }
    return 0;
  }

  void tied_reduce(StepPlan& plan) const {
    const std::vector<int> ranks = groups_.grid().group(0, Axis::PP);
    plan.tied_reduce_bytes = embedding_parameters() * parallel_.gradient_bytes();
    plan.tied_reduce_s = groups_.between_stages_s(CollectiveKind::AllReduce, plan.tied_reduce_bytes, ranks.front(), ranks.back());
  }

  // Ranks r and pp-1-r hold the same two stages, one of each copy: they reduce what data parallelism left of them.
  void copy_reduce(StepPlan& plan) const {
    const std::vector<int> ranks = groups_.grid().group(0, Axis::PP);
    for (std::size_t r = 0; r < ranks.size(); ++r) {
      const double bytes = updated_parameters(plan, static_cast<int>(r)) * parallel_.gradient_bytes();
      plan.copy_reduce_bytes.push_back(bytes);
      plan.copy_reduce_s.push_back(groups_.between_stages_s(CollectiveKind::AllReduce, bytes, ranks[r], ranks[ranks.size() - 1 - r]));
    }
  }

  const Job& job_;
  const Strategy& s_;
  StagePlacement placement_;
  GroupPricer groups_;
  DataParallel parallel_;
  LocalSizes sizes_;
};

}  // namespace

PlannedStep plan_step(const Job& job, const RankGrid& grid) { return Planner(job, grid).plan(); }

}  // namespace dts

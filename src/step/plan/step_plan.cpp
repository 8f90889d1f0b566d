#include "step/plan/step_plan.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "parallel/stages.hpp"
#include "pricing/group_pricer.hpp"
#include "schedule/check_order.hpp"
#include "schedule/windows.hpp"
#include "step/memory/step_memory.hpp"
#include "step/plan/data_parallel.hpp"
#include "step/plan/update_cost.hpp"

namespace dts {

namespace {

constexpr double kMetadataBytes = 64;  // shape and type of a tensor

class Planner {
 public:
  Planner(const Job& job, const RankGrid& grid, PriceBook& book)
      : job_(job), s_(job.strategy), placement_(placement(s_)), book_(book), shared_groups_(book.groups(job, grid)),
        groups_(*shared_groups_), parallel_(job, groups_) {}

  PlannedStep plan(WantedOps ops) {
    PlannedStep step;
    step.groups = shared_groups_;
    step.priced = book_.priced(job_, groups_);
    step.tapes = book_.tapes(job_, *step.priced);
    place(step);
    set_units(step.plan);
    pipeline_transfers(step.plan, step.priced->sizes);
    order_passes(job_, step, groups_.grid(), book_, ops);
    for (int rank = 0; rank < s_.pp; ++rank) step.plan.optimizer_s.push_back(optimizer_s(step.plan, rank));
    StepPlan& p = step.plan;
    if ((job_.model.tied_embeddings || !job_.model.prediction.empty()) && !placement_.ends_meet()) tied_reduce(p);
    if (placement_.copies() == 2) copy_reduce(p);
    parallel_.set_rules(p);
    if (s_.offload_activations > 0) price_activation_copies(job_, step, groups_.grid());
    return step;
  }

 private:
  void place(PlannedStep& step) const {
    for (const ChunkLayers& chunk : partition(job_.model, s_)) {
      step.plan.stages.push_back(stage_of(job_.model, *step.priced, chunk));
    }
  }

  // Stages of the same blocks have the same units; the first stage may cut its buckets its own way, and copies of
  // activations depend on the place.
  void set_units(StepPlan& plan) const {
    std::vector<int> kinds;
    for (std::size_t v = 0; v < plan.stages.size(); ++v) {
      const auto same = std::find_if(kinds.begin(), kinds.end(), [&](int kind) {
        return kind > 0 && s_.offload_activations == 0 &&
               plan.stages[static_cast<std::size_t>(kind)].blocks == plan.stages[v].blocks;
      });
      const bool is_new = same == kinds.end();
      plan.alike.push_back(is_new ? static_cast<int>(v) : *same);
      if (is_new) kinds.push_back(static_cast<int>(v));
      StageComm& comm = plan.comm.emplace_back();
      if (is_new) {
        comm.units = parallel_.units(plan.stages[v], v == 0);
      } else {
        comm.units = plan.comm[static_cast<std::size_t>(plan.alike.back())].units;
      }
    }
  }

  // Whether the framework sends in batches that a rank waits for, under any schedule; an order by hand has none.
  bool batched() const {
    if (s_.p2p != PipelineTransfers::Framework) return s_.p2p == PipelineTransfers::Blocking;
    if (!s_.custom_order.empty()) return false;
    return s_.vpp > 1 ? job_.profile.p2p_blocking_interleaved : job_.profile.p2p_blocking;
  }

  bool blocking() const {
    const bool own = s_.schedule == PipelineSchedule::OneFOneB || s_.schedule == PipelineSchedule::GPipe;
    return batched() && (own || s_.p2p == PipelineTransfers::Blocking);
  }

  void pipeline_transfers(StepPlan& plan, const LocalSizes& sizes) const {
    plan.blocking_p2p = blocking() && s_.pp > 1;
    if (s_.pp == 1) return;
    plan.send_bytes = sizes.tokens / sizes.token_share() * job_.model.hidden * sizes.activation_bytes;
    if (job_.profile.p2p_sliced_over_tp && s_.tp > 1 && !sizes.sequence_parallel) {
      plan.send_gather_bytes = plan.send_bytes;
      plan.send_bytes /= s_.tp;
    }
    const double gather_s =
        plan.send_gather_bytes > 0 ? groups_.seconds({CollectiveKind::AllGather, Axis::TP, plan.send_gather_bytes}) : 0;
    const double launch_s = batched() ? job_.profile.p2p_launch_s : 0;
    std::map<std::pair<std::size_t, std::size_t>, double> known;
    const auto hop_s = [&](int stage, int next) {
      const auto from = static_cast<std::size_t>(placement_.rank_of(stage)),
                 to = static_cast<std::size_t>(placement_.rank_of(next));
      if (from == to) return 0.0;
      const auto [hop, is_new] = known.try_emplace({from, to}, 0);
      if (is_new) {
        hop->second = launch_s + groups_.slowest_hop_s(plan.send_bytes, from, to) + gather_s +
                      job_.profile.p2p_metadata_messages * groups_.slowest_hop_s(kMetadataBytes, from, to);
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
      const std::vector<const BlockCost*>& more =
          plan.stages[static_cast<std::size_t>(placement_.stage_of(rank, chunk))].blocks;
      blocks.insert(blocks.end(), more.begin(), more.end());
    }
    return update_s(job_, groups_, blocks);
  }

  void tied_reduce(StepPlan& plan) const {
    const std::vector<int> ranks = groups_.grid().group(0, Axis::PP);
    plan.tied_reduce_bytes = embedding_parameters(job_.model, s_) * parallel_.gradient_bytes();
    plan.tied_reduce_s =
        groups_.between_stages_s(CollectiveKind::AllReduce, plan.tied_reduce_bytes, ranks.front(), ranks.back());
  }

  // Ranks r and pp-1-r hold the same two stages, one of each copy: they reduce what data parallelism left of them.
  void copy_reduce(StepPlan& plan) const {
    const std::vector<int> ranks = groups_.grid().group(0, Axis::PP);
    for (std::size_t r = 0; r < ranks.size(); ++r) {
      const double bytes = updated_parameters(plan, static_cast<int>(r)) * parallel_.gradient_bytes();
      plan.copy_reduce_bytes.push_back(bytes);
      plan.copy_reduce_s.push_back(
          groups_.between_stages_s(CollectiveKind::AllReduce, bytes, ranks[r], ranks[ranks.size() - 1 - r]));
    }
  }

  const Job& job_;
  const Strategy& s_;
  StagePlacement placement_;
  PriceBook& book_;
  std::shared_ptr<const GroupPricer> shared_groups_;
  const GroupPricer& groups_;
  DataParallel parallel_;
};

PassTimes pass_times(const Job& job, const PlannedStep& step, const RankGrid& grid) {
  PassTimes times;
  for (const StageCost& stage : step.plan.stages) {
    times.forward_s.push_back(stage.pass_s(PassKind::Forward));
    times.input_s.push_back(stage.pass_s(PassKind::BackwardInput));
    times.weight_s.push_back(stage.pass_s(PassKind::BackwardWeight));
  }
  for (const StageComm& comm : step.plan.comm) {
    times.transfer_s = std::max({times.transfer_s, comm.send_forward_s, comm.send_backward_s});
  }
  times.weight_share = weight_share(job, step, grid);
  return times;
}

}  // namespace

PlannedStep plan_step(const Job& job, const RankGrid& grid, PriceBook& book, WantedOps ops) {
  return Planner(job, grid, book).plan(ops);
}

void order_passes(const Job& job, PlannedStep& step, const RankGrid& grid, PriceBook& book, WantedOps ops) {
  StepPlan& plan = step.plan;
  const Strategy& s = job.strategy;
  plan.stage_map = placement(s).map;
  plan.micro_batches = job.micro_batches(), plan.skipped_micro_batches = 0;
  step.ops = nullptr;
  plan.period = order_period(s);
  plan.lockstep = !plan.blocking_p2p && runs_in_lockstep(s);
  const int period = plan.period;
  const int shortest = plan.lockstep ? shortest_lockstep(s) : shortest_order(s, kept_windows(s) + 1);
  const bool repeats = ops == WantedOps::Repeated && period > 0 && plan.micro_batches >= shortest + period;
  const int skipped = repeats ? (plan.micro_batches - shortest) / period * period : 0;
  if (plan.lockstep) {
    plan.skipped_micro_batches = skipped, plan.micro_batches -= skipped;
  } else if (repeats) {
    step.ops = book.ops(s, plan.micro_batches - skipped, plan.blocking_p2p);
    if (step.ops && !step.ops->repeats()) step.ops = nullptr;
    if (step.ops) plan.skipped_micro_batches = skipped, plan.micro_batches -= skipped;
  }
  if (needs_pass_times(s.schedule) && s.custom_order.empty()) {
    plan.order = pipeline_order(s, plan.micro_batches, pass_times(job, step, grid));
  } else {
    plan.order = book.order(s, plan.micro_batches);
    if (!step.ops && !plan.lockstep && ops != WantedOps::None && s.custom_order.empty())
      step.ops = book.ops(s, plan.micro_batches, plan.blocking_p2p);
  }
  if (!s.custom_order.empty()) check_order(plan.order, placement(s), plan.micro_batches);
}

}  // namespace dts

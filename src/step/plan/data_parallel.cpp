#include "step/plan/data_parallel.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "step/memory/rank_states.hpp"
#include "step/plan/update_cost.hpp"

namespace dts {

namespace {

constexpr std::size_t kLookBack = 4;  // units; most are like the one before

// Where in a block an op stands: the share of the block's kernels before it.
double share_before(const BlockCost& block, std::size_t op, bool forward) {
  if (op == 0) return 0;
  double before = 0, all = 0;
  for (std::size_t i = 0; i < block.ops.size(); ++i) {
    const OpCost& o = block.ops[i];
    const double seconds = forward ? o.forward_s : o.data_grad_s + o.weight_grad_s;
    all += seconds;
    if (i < op) before += seconds;
  }
  return all > 0 ? before / all : 0;
}

}  // namespace

bool DataParallel::Sums::operator==(const Sums& o) const noexcept {
  return dense == o.dense && expert == o.expert && dense_gathered == o.dense_gathered &&
         expert_gathered == o.expert_gathered;
}

void DataParallel::Sums::add(const BlockCost& block) {
  dense += block.dense_trainable, expert += block.expert_trainable;
  dense_gathered += block.dense_gathered_bytes, expert_gathered += block.expert_gathered_bytes;
}

void DataParallel::Sums::add(const OpCost& op) {
  (op.expert ? expert : dense) += op.trainable;
  (op.expert ? expert_gathered : dense_gathered) += op.gathered_bytes;
}

DataParallel::DataParallel(const Job& job, const GroupPricer& groups) : job_(job), s_(job.strategy), groups_(groups) {
  const RankGrid& grid = groups.grid();
  dense_axis_ = grid.shard_axis(false), expert_axis_ = grid.shard_axis(true);
  if (s_.zero > 0) dense_shards_ = grid.size(Axis::DP_SHARD), expert_shards_ = grid.size(Axis::EDP_SHARD);
}

// Gradients of 4-byte weights are reduced as they are.
double DataParallel::gradient_bytes() const noexcept {
  return s_.grad_dtype == GradDType::Framework && (s_.precision == DType::FP32 || s_.precision == DType::TF32)
             ? 4
             : job_.profile.grad_reduce_bytes;
}

double DataParallel::bucket_size(bool first_stage) const {
  const FrameworkProfile& p = job_.profile;
  const bool one =
      (!s_.overlap_grad_reduce && !p.buckets_without_overlap) || (p.bucket_first_stage_only && !first_stage);
  if (one) return std::numeric_limits<double>::infinity();
  return std::max(p.bucket_parameters, p.bucket_parameters_per_rank * s_.dp * s_.cp);
}

std::vector<DataParallel::Start> DataParallel::starts(const StageCost& stage, bool first) const {
  const double most = s_.zero == 3 ? 0 : bucket_size(first);  // 0: a block each
  double limit = most > 0 && job_.profile.first_bucket_parameters > 0
                     ? std::min(most, job_.profile.first_bucket_parameters)
                     : most;
  std::vector<Start> found;  // backwards
  Sums open;
  const auto cut = [&](std::size_t block, std::size_t op, bool communicates) {
    found.push_back({block, op, communicates, communicates ? open : Sums{}});
    if (communicates) open = {}, limit = most;
  };
  for (std::size_t b = stage.blocks.size(); b-- > 0;) {
    const BlockCost& block = *stage.blocks[b];
    if (limit > 0 && open.trained() + block.dense_trainable + block.expert_trainable >= limit) {
      for (std::size_t i = block.ops.size(); i-- > 0;) {
        open.add(block.ops[i]);
        if (open.trained() >= limit) cut(b, i, true);
      }
    } else {
      open.add(block);
    }
    const bool start_known = !found.empty() && found.back().block == b && found.back().op == 0;
    if (most == 0 && (s_.zero == 3 || open.trained() > 0)) {
      cut(b, 0, true);
    } else if (s_.offload_activations > 0 && !start_known) {
      cut(b, 0, false);
    }
  }
  const bool left = open.trained() + open.dense_gathered + open.expert_gathered > 0;
  if (found.empty() || left) {
    if (!found.empty() && found.back().block == 0 && found.back().op == 0) {
      found.back().communicates = true, found.back().sums = open;
    } else {
      cut(0, 0, true);
    }
  }
  found.back().block = found.back().op = 0;  // ops before the first parameter
  std::reverse(found.begin(), found.end());
  return found;
}

std::vector<StageComm::Unit> DataParallel::units(const StageCost& stage, bool first) const {
  const RankGrid& grid = groups_.grid();
  const bool alone = grid.size(Axis::DP_CP) == 1 && grid.size(Axis::EDP) == 1;
  if ((alone && s_.offload_optimizer == OffloadTier::None && s_.offload_activations == 0) || stage.blocks.empty())
    return {};
  double dense = 0;
  for (const BlockCost* block : stage.blocks) dense += block->dense_trainable;
  const std::vector<Start> cuts = starts(stage, first);
  std::vector<StageComm::Unit> list;
  for (std::size_t u = 0; u < cuts.size(); ++u) {
    std::size_t like = u > kLookBack ? u - kLookBack : 0;
    while (like < u && !(cuts[like].sums == cuts[u].sums)) ++like;
    StageComm::Unit made = like < u ? list[like] : unit(cuts[u].sums, dense);
    if (u + 1 < cuts.size()) {
      const Start& end = cuts[u + 1];
      made.end = end.block;
      made.forward_share = share_before(*stage.blocks[end.block], end.op, true);
      made.backward_share = share_before(*stage.blocks[end.block], end.op, false);
    } else {
      made.end = stage.blocks.size(), made.forward_share = made.backward_share = 0;
    }
    list.push_back(std::move(made));
  }
  const bool moves = s_.offload_activations > 0 ||
                     std::any_of(list.begin(), list.end(), [&](const StageComm::Unit& u) { return communicates(u); });
  return moves ? list : std::vector<StageComm::Unit>{};
}

std::vector<CollectiveCall> DataParallel::calls(CollectiveKind kind, Axis dense_axis, double dense, Axis expert_axis,
                                                double expert) const {
  std::vector<CollectiveCall> list;
  if (dense > 0 && groups_.grid().size(dense_axis) > 1) list.push_back({kind, dense_axis, dense});
  if (expert > 0 && groups_.grid().size(expert_axis) > 1) list.push_back({kind, expert_axis, expert});
  return list;
}

StageComm::Unit DataParallel::unit(const Sums& sums, double stage_dense) const {
  const double gradient = gradient_bytes();
  StageComm::Unit u;
  if (s_.zero > 0) {
    u.gather = calls(CollectiveKind::AllGather, dense_axis_, sums.dense_gathered, expert_axis_, sums.expert_gathered);
  }
  const bool to_owner = job_.profile.reduce_to_owner && (s_.zero == 1 || s_.zero == 2);
  const CollectiveKind kind = s_.zero == 0 ? CollectiveKind::AllReduce
                              : to_owner   ? CollectiveKind::Reduce
                                           : CollectiveKind::ReduceScatter;
  u.reduce = calls(kind, dense_axis_, sums.dense * gradient, expert_axis_, sums.expert * gradient);
  if (to_owner && !u.reduce.empty() && u.reduce.front().axis == dense_axis_) {
    // One for each owner whose slice of the stage the bucket touches.
    const double owners = std::min(dense_shards_, std::ceil(sums.dense / stage_dense * dense_shards_));
    u.reduce.front().bytes /= owners;
    u.reduce.insert(u.reduce.begin(), static_cast<std::size_t>(owners) - 1, CollectiveCall(u.reduce.front()));
  }
  u.replica = calls(CollectiveKind::AllReduce, Axis::DP_REPLICA, sums.dense * gradient / dense_shards_,
                    Axis::EDP_REPLICA, sums.expert * gradient / expert_shards_);
  if (s_.zero == 3 && s_.reshard_after_forward > 1) {
    const RankGrid& grid = groups_.grid();
    const Axis dense = grid.size(Axis::DP_RESHARD) < grid.size(Axis::DP_SHARD) ? Axis::DP_RESHARD : dense_axis_;
    const Axis expert = grid.size(Axis::EDP_RESHARD) < grid.size(Axis::EDP_SHARD) ? Axis::EDP_RESHARD : expert_axis_;
    u.regather = calls(CollectiveKind::AllGather, dense, sums.dense_gathered, expert, sums.expert_gathered);
  }
  set_seconds(u);
  add_copies(u, sums);
  return u;
}

void DataParallel::set_seconds(StageComm::Unit& u) const {
  u.gather_s = u.gather.empty() ? -1 : seconds(u.gather);
  u.regather_s = u.regather.empty() ? -1 : seconds(u.regather);
  u.reduce_s = u.reduce.empty() ? -1 : seconds(u.reduce);
  u.replica_s = u.replica.empty() ? -1 : seconds(u.replica);
  if (!job_.profile.interference || job_.device.sm_count <= 0) return;
  for (const auto* calls : {&u.gather, &u.regather, &u.reduce, &u.replica}) {
    for (const CollectiveCall& call : *calls) u.held = std::max(u.held, groups_.price(call).sms / job_.device.sm_count);
  }
}

bool DataParallel::communicates(const StageComm::Unit& u) const {
  return u.gather_s >= 0 || u.reduce_s >= 0 || u.replica_s >= 0 || u.update_s >= 0;
}

// What the rank owns is updated by its host, at the bandwidth of its memory that a vectorised update reaches, or by the
// device, which gets the states for it. What lies behind the host passes its memory.
void DataParallel::add_copies(StageComm::Unit& u, const Sums& sums) const {
  if (s_.offload_optimizer == OffloadTier::None || sums.dense + sums.expert <= 0) return;
  const bool on_host = s_.offload_update == OffloadUpdate::Host;
  const double updated = owned(sums.dense, sums.expert), copy_Bps = job_.host.copy_Bps;
  const double states = updated * state_recipe_of(job_).optimizer_bytes,
               gradients = on_host ? updated * gradient_bytes() : 0;
  u.state_bytes = states;
  const bool cast_there = s_.zero == 3 && job_.profile.fp32_shards && bytes_of(s_.precision) < 4;  // on the device
  const double weights = owned(sums.dense_gathered, sums.expert_gathered) * (cast_there ? 2 : 1);
  if (on_host || s_.offload_parameters != OffloadTier::None) u.param_upload_s = weights / copy_Bps;
  if (on_host) {
    u.grad_offload_s = gradients / copy_Bps;
    u.update_s = updated * host_update_bytes(s_, gradient_bytes()) /
                 (job_.profile.host_update_efficiency * job_.host.memory_Bps);
  } else {
    u.state_upload_s = states / copy_Bps;
    u.state_download_s = (states + (s_.offload_parameters != OffloadTier::None ? weights : 0)) / copy_Bps;
    u.update_s = device_update_s(job_, groups_, updated);
  }
  const TierRate* parameters = job_.host.behind(s_.offload_parameters);
  if (parameters) u.param_read_s = weights / parameters->read_Bps, u.state_write_s = weights / parameters->write_Bps;
  const TierRate* tier = job_.host.behind(s_.offload_optimizer);
  if (!tier) return;
  if (on_host) u.grad_write_s = gradients / tier->write_Bps;
  u.state_read_s = (states + gradients) / tier->read_Bps;
  u.state_write_s = states / tier->write_Bps + std::max(u.state_write_s, 0.0);
}

double DataParallel::seconds(const std::vector<CollectiveCall>& list) const {
  double total = 0;
  for (std::size_t i = 0; i < list.size();) {
    std::size_t same = i;
    while (same < list.size() && !(list[i] < list[same]) && !(list[same] < list[i])) ++same;
    total += groups_.seconds(list[i]) * static_cast<double>(same - i);
    i = same;
  }
  return total;
}

void DataParallel::set_rules(StepPlan& plan) const {
  const FrameworkProfile& p = job_.profile;
  const bool under_pp = p.fsdp_keeps_under_pp && s_.pp > 1;  // torch pipelining: one reduction after the last backward
  plan.ranks_meet = !s_.optimizer_post_validation;
  plan.interference = p.interference;
  plan.zero = s_.zero;
  plan.overlap_grad_reduce = s_.overlap_grad_reduce;
  plan.overlap_param_gather = s_.overlap_param_gather;
  plan.backward_prefetch = p.fsdp_backward_prefetch;
  plan.gather_ahead = p.param_gather_ahead;
  plan.reductions_in_flight = s_.zero == 3 ? p.fsdp_reductions_in_flight : 0;
  plan.keeps_gathered = s_.zero == 3 && under_pp && s_.reshard_after_forward < 1;
  plan.unsharded_stages = p.fsdp_unsharded_stages;
  plan.reshard_after_forward = s_.reshard_after_forward < 0 ? p.reshard_after_forward : s_.reshard_after_forward > 0;
  plan.reduce_every_micro_batch = p.fsdp_reduce_every_micro_batch && !under_pp;
  plan.offload_optimizer = s_.offload_optimizer != OffloadTier::None;
  plan.upload_before_gather = s_.offload_parameters != OffloadTier::None;
  plan.offloads_activations = s_.offload_activations > 0;
  plan.reads_storage = job_.host.behind(s_.offload_optimizer) || job_.host.behind(s_.offload_parameters) ||
                       (plan.offloads_activations && job_.host.behind(s_.activation_tier));
}

}  // namespace dts

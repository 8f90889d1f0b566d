#include "step/memory/rank_residents.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "memory/temporaries.hpp"
#include "parallel/stages.hpp"
#include "step/memory/gathered_bytes.hpp"
#include "step/memory/outside_memory.hpp"
#include "step/memory/rank_states.hpp"

namespace dts {

namespace {

struct BlocksOfRank {
  std::vector<std::size_t> runs;              // of layers, each once
  double largest = 0, root = 0, trained = 0;  // parameters
  double heads = 0;
};

void add_runs(const Job& job, const PlannedStep& step, const ChunkLayers& chunk, BlocksOfRank& own) {
  int first = 0;
  for (std::size_t run = 0; run < job.model.layers.size(); ++run) {
    const int end = first + job.model.layers[run].repeat;
    const bool held = first < chunk.first + chunk.count && end > chunk.first;
    first = end;
    if (!held || std::find(own.runs.begin(), own.runs.end(), run) != own.runs.end()) continue;
    own.runs.push_back(run);
    const BlockCost& cost = *step.priced->blocks[run + 1];
    own.largest = std::max(own.largest, cost.dense_parameters + cost.expert_parameters);
    for (const Op& op : job.model.layers[run].block.ops)
      own.heads = std::max(own.heads, op.kind == OpKind::Attention ? op.heads : 0);
  }
}

BlocksOfRank blocks_of_rank(const Job& job, const PlannedStep& step, const std::vector<ChunkLayers>& chunks, int rank) {
  BlocksOfRank own;
  for_rank_blocks(step.plan, rank,
                  [&](const BlockCost& block) { own.trained += block.dense_trainable + block.expert_trainable; });
  const auto widen = [&](const std::vector<std::unique_ptr<BlockCost>>& blocks) {
    for (const auto& block : blocks)
      own.largest = std::max(own.largest, block->dense_parameters + block->expert_parameters);
  };
  const StagePlacement place = placement(job.strategy);
  for (int c = 0; c < place.chunks; ++c) {
    const ChunkLayers& chunk = chunks[static_cast<std::size_t>(place.stage_of(rank, c))];
    add_runs(job, step, chunk, own);
    if (chunk.has_stem) own.root += step.priced->blocks.front()->dense_parameters;
    if (chunk.has_head) own.root += step.priced->blocks.back()->dense_parameters;
    if (chunk.has_stem) widen(step.priced->encoder);
    if (chunk.has_head) widen(step.priced->prediction);
  }
  return own;
}

}  // namespace

// Ranks with the same kinds of layers keep the same.
double RankResidents::dummy_gradients(const std::vector<std::size_t>& runs) {
  const auto [known, is_new] = dummy_gradients_.try_emplace(runs, 0);
  if (!is_new) return known->second;
  std::vector<Op> ops;
  for (std::size_t run : runs) {
    const std::vector<Op>& more = job_.model.layers[run].block.ops;
    ops.insert(ops.end(), more.begin(), more.end());
  }
  return known->second = dummy_gradient_bytes(ops, step_.tapes->layer_context());
}

// Of the other micro-batches than the one whose loss runs.
double RankResidents::kept_logits(int rank) const {
  const StagePlacement place = placement(job_.strategy);
  if (!job_.profile.keeps_stage_outputs || job_.strategy.pp == 1 || job_.model.head.ops.empty()) return 0;
  bool has_head = false;
  for (int c = 0; c < place.chunks; ++c)
    has_head |= chunks_[static_cast<std::size_t>(place.stage_of(rank, c))].has_head;
  const Op& last = job_.model.head.ops.back();
  if (!has_head || last.kind != OpKind::CrossEntropy) return 0;
  const SavedContext& context = step_.tapes->layer_context();
  return (job_.micro_batches() - 1) * last.in_features / context.tp * step_.priced->sizes.tokens *
         context.activation_bytes;
}

TierBytes RankResidents::hold(int rank, RankTape& tape) {
  const Job& job = job_;
  const PlannedStep& step = step_;
  const SavedContext& context = step.tapes->layer_context();
  const Strategy& s = job.strategy;
  const FrameworkProfile& p = job.profile;
  const LocalSizes& sizes = step.priced->sizes;
  const double width = context.activation_bytes, hidden = job.model.hidden;
  const auto add = [](std::vector<TapeTensor>& tensors, const char* what, double bytes, MemoryCategory category) {
    if (std::round(bytes) > 0) tensors.push_back({"", what, std::round(bytes), category});
  };
  const auto hold = [&](const char* what, double bytes, MemoryCategory category) {
    add(tape.resident, what, bytes, category);
  };
  const RankStates states = rank_states(job, step, grid_, rank);
  tape.resident.reserve(8);
  hold("weights", states.weights, MemoryCategory::Weights);
  hold("gradients", states.gradients, MemoryCategory::Gradients);
  hold("optimizer states", states.optimizer, MemoryCategory::Optimizer);
  tape.made_by_update = states.made_by_update;
  hold("cuBLAS workspaces", p.workspace_bytes, MemoryCategory::Workspace);
  hold("Transformer Engine workspaces",
       p.engine_workspace_bytes * engine_workspaces(has_experts(job.model), uses_user_buffers(job, *step.groups)),
       MemoryCategory::Workspace);
  const BlocksOfRank own = blocks_of_rank(job, step, chunks_, rank);
  if (p.keeps_gradients) hold("working gradients", own.trained * width, MemoryCategory::Gradients);
  if (p.dummy_weight_gradients) hold("dummy weight gradients", dummy_gradients(own.runs), MemoryCategory::Temporaries);
  if (s.zero == 3) {
    const GatheredSizes gathered{own.largest, own.root, width};
    tape.accumulated = accumulated_gradients(step.plan, rank, p.main_grad_bytes);
    hold("gathered parameters", gathered_bytes(gathered, step.plan, rank, s.reshard_after_forward),
         MemoryCategory::GatheredParameters);
  }
  if (context.sequence_parallel) {
    const double buffers = gather_buffer_bytes(sizes.tokens, hidden, p.gather_buffers, width);
    hold("all-gather buffers", buffers, MemoryCategory::CommunicationBuffers);
  }
  if (p.score_buffer && !p.flash_attention) {
    const double scores = local_attention_buffer_bytes(sizes.tokens, context.seq_len, own.heads, s.tp, width);
    hold("score buffer", scores, MemoryCategory::Workspace);
  }
  const double boundary = sizes.tokens / sizes.token_share() * hidden * width;
  add(tape.in_passes, "pipeline transfers", p2p_buffer_bytes(boundary, s.pp, s.vpp),
      MemoryCategory::CommunicationBuffers);
  if (const double logits = kept_logits(rank); logits > 0) {
    add(tape.in_passes, "logits of all micro-batches", logits, MemoryCategory::Activations);
    tape.in_passes.back().pieces = static_cast<int>(job.micro_batches() - 1);
  }
  if (p.flat_reduce_bucket && s.dp * s.cp > 1) {
    const double bucket = std::min(own.trained, p.bucket_parameters) * p.grad_reduce_bytes;
    add(tape.reduction, "flattened bucket", bucket, MemoryCategory::CommunicationBuffers);
  }
  if (p.casts_gradient_slice && s.zero > 0 && s.zero < 3) {
    const double slice = own.trained / (s.dp * s.cp);
    add(tape.update, "flattened gradients", slice * p.main_grad_bytes, MemoryCategory::Gradients);
    if (p.main_grad_bytes < 4) add(tape.update, "fp32 gradients", slice * 4, MemoryCategory::Gradients);
  }
  if (p.flat_weight_gather && s.zero > 0 && s.zero < 3 && s.dp * s.cp > 1) {
    const double ranks = s.dp * s.cp;
    add(tape.update, "flattened slice", own.trained * width / ranks, MemoryCategory::GatheredParameters);
    add(tape.update, "gathered slices", own.trained * width, MemoryCategory::GatheredParameters);
    if (!tape.update.empty()) tape.update.back().pieces = static_cast<int>(ranks);
  }
  add(tape.update, "states under update", states.staged, MemoryCategory::Optimizer);
  return states.tiers;
}

}  // namespace dts

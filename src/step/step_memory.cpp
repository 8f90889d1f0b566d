#include "step/step_memory.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "compute/gemm.hpp"
#include "memory/recompute_bytes.hpp"
#include "memory/saved_bytes.hpp"
#include "memory/static_bytes.hpp"
#include "memory/temporaries.hpp"
#include "parallel/stages.hpp"
#include "pricing/recompute.hpp"
#include "schedule/tape.hpp"

namespace dts {

namespace {

double net_bytes(const BlockTape& tape, const std::vector<TapeEvent>& events) {
  double sum = 0;
  for (const TapeEvent& e : events) {
    const double bytes = tape.tensors[static_cast<std::size_t>(e.tensor)].bytes;
    sum += e.frees ? -bytes : bytes;
  }
  return sum;
}

class StepMemory {
 public:
  StepMemory(const Job& job, const PlannedStep& step, const RankGrid& grid)
      : job_(job), s_(job.strategy), p_(job.profile), step_(step), grid_(grid), placement_(placement(s_)),
        chunks_(partition(job.model, s_)) {
    const LocalSizes& sizes = step.priced.sizes;
    tokens_ = sizes.tokens;
    context_.seq_len = sizes.seq_len;
    context_.tp = s_.tp, context_.cp = s_.cp, context_.etp = s_.etp;
    context_.sequence_parallel = sizes.sequence_parallel;
    context_.activation_bytes = sizes.activation_bytes;
    context_.flash_attention = p_.flash_attention;
    context_.attention_dropout = p_.attention_dropout > 0;
    context_.eager_norm = p_.eager_norm, context_.eager_gate = p_.eager_gate;
    head_context_ = context_;
    const bool narrow = bytes_of(s_.precision) < 2;
    context_.matmul_input_bytes = narrow && p_.cached_casts ? operand_bytes(s_.precision) : 0;
    context_.attention_output_copy = head_split(s_) > 1;  // what all-to-all brings back is packed anew
    context_.attention_output_copy |= p_.batch_first_attention && s_.micro_batch > 1;
    head_context_.attention_output_copy = false;
    stem_ = add(job.model.stem, context_, BlockRole::Stem);
    for (const LayerRun& run : job.model.layers) {
      runs_.push_back(add(run.block, context_of(run.block), BlockRole::Layer));
      for (int i = 0; i < run.repeat; ++i) run_of_layer_.push_back(runs_.size() - 1);
    }
    head_ = add(job.model.head, head_context_, BlockRole::Head);
  }

  double weight_share() const {
    double most = 0;
    for (int stage = 0; stage < placement_.stages(); ++stage) {
      const ChunkTape tape = tape_of(stage);
      if (tape.forward_bytes > 0) most = std::max(most, tape.weight_bytes / tape.forward_bytes);
    }
    return std::min(most, 1.0);
  }

  StepTapes tapes() {
    StepTapes made;
    for (int rank = 0; rank < s_.pp; ++rank) {
      RankTape tape;
      residents(rank, tape);
      for (int c = 0; c < placement_.chunks; ++c) tape.chunks.push_back(blocks_of(placement_.stage_of(rank, c)));
      tape.passes = step_.plan.order[static_cast<std::size_t>(rank)];
      made.ranks.push_back(std::move(tape));
    }
    made.blocks = std::move(tapes_);
    return made;
  }

 private:
  // Experts keep the rows of the fullest rank.
  SavedContext context_of(const Block& block) const {
    SavedContext context = context_;
    for (const Op& op : block.ops) {
      if (op.kind != OpKind::GroupedMatmul) continue;
      const LocalSizes& sizes = step_.priced.sizes;
      context.routed_load = routed_load(sizes.routing, static_cast<int>(op.experts), op.top_k, s_.ep,
                                        sizes.tokens / sizes.token_share()).fullest;
    }
    return context;
  }

  const BlockTape* add(const Block& block, const SavedContext& context, BlockRole role) {
    TapeRules rules;
    rules.tokens = tokens_;
    rules.ep = s_.ep;
    rules.logits_peak_bytes = p_.logits_peak_bytes;
    rules.gather_buffers = p_.gather_buffers > 0 && !(p_.layers_gather_anew && role == BlockRole::Layer);
    rules.weight_gradients = role != BlockRole::Layer || !p_.dummy_weight_gradients;
    if (role == BlockRole::Layer) {
      rules.recompute = s_.recompute;
      const bool by_output = s_.recompute == Recompute::Selective && p_.selective == SelectiveRule::AlternateMatmuls;
      if (by_output) rules.dropped_outputs = dropped_shares(block);
    }
    tapes_.push_back(std::make_unique<BlockTape>(block_tape(block.ops, context, rules)));
    return tapes_.back().get();
  }

  // What is recomputed is not kept; nor is, by a compiler, the last matmul's output, which only the residual adds.
  std::vector<double> dropped_shares(const Block& block) const {
    std::vector<double> shares = recomputed_shares(block, s_.recompute, p_);
    for (std::size_t i = block.ops.size(); p_.compiled_blocks && i-- > 0;) {
      if (block.ops[i].kind != OpKind::Matmul) continue;
      shares[i] = 1;
      break;
    }
    return shares;
  }

  std::vector<const BlockTape*> blocks_of(int stage) const {
    const ChunkLayers& chunk = chunks_[static_cast<std::size_t>(stage)];
    std::vector<const BlockTape*> blocks;
    if (chunk.has_stem && !job_.model.stem.ops.empty()) blocks.push_back(stem_);
    for (int layer = chunk.first; layer < chunk.first + chunk.count; ++layer) {
      blocks.push_back(runs_[run_of_layer_[static_cast<std::size_t>(layer)]]);
    }
    if (chunk.has_head && !job_.model.head.ops.empty()) blocks.push_back(head_);
    return blocks;
  }

  ChunkTape tape_of(int stage) const {
    ChunkTape tape;
    for (const BlockTape* block : blocks_of(stage)) {
      tape.forward_bytes += net_bytes(*block, block->forward);
      tape.weight_bytes += net_bytes(*block, block->forward) + net_bytes(*block, block->input_grad);
    }
    return tape;
  }

  template <class Visit>
  void for_blocks(int rank, Visit visit) const {
    for (int chunk = 0; chunk < placement_.chunks; ++chunk) {
      const auto stage = static_cast<std::size_t>(placement_.stage_of(rank, chunk));
      for (const BlockCost* block : step_.plan.stages[stage].blocks) visit(*block);
    }
  }

  void states(int rank, MemoryReport& r) const {
    LocalParameters all, trained;
    for_blocks(rank, [&](const BlockCost& block) {
      all.dense += block.dense_parameters, all.expert += block.expert_parameters;
      trained.dense += block.dense_trainable, trained.expert += block.expert_trainable;
    });
    all.dense_shards = trained.dense_shards = s_.dp * s_.cp;
    all.expert_shards = trained.expert_shards = grid_.size(Axis::EDP);
    StateFacts facts;
    facts.gradients = p_.main_grad_bytes >= 4 ? GradientStorage::Fp32 : GradientStorage::Working;
    facts.fp32_shards = s_.zero == 3 && p_.fp32_shards;
    facts.dp_buckets = p_.gradient_buckets;
    const StateRecipe recipe = state_recipe(s_.precision, s_.optimizer, facts);
    const StateBytes held = state_bytes(all, recipe, s_.zero), owned = state_bytes(trained, recipe, s_.zero);
    r.weights = held.weights;
    for_blocks(rank, [&](const BlockCost& block) { r.weights += block.cast_bytes; });
    r.gradients = owned.gradients + owned.buckets;
    r.optimizer = owned.optimizer;
  }

  // What stands from the first step on, by category; buffers and dummy gradients appear in the first.
  void residents(int rank, RankTape& tape) const {
    MemoryReport r;
    states(rank, r);
    const auto hold = [&](const char* what, double bytes, MemoryCategory category) {
      if (bytes > 0) tape.resident.push_back({"", what, std::round(bytes), category});
    };
    hold("weights", r.weights, MemoryCategory::Weights);
    hold("gradients", r.gradients, MemoryCategory::Gradients);
    hold("optimizer states", r.optimizer, MemoryCategory::Optimizer);
    hold("library workspaces", p_.workspace_bytes, MemoryCategory::Workspace);
    persistent(rank, tape, hold);
    if (p_.flat_weight_gather && s_.zero > 0 && s_.zero < 3) {
      double parameters = 0;
      for_blocks(rank, [&](const BlockCost& block) { parameters += block.dense_trainable + block.expert_trainable; });
      const double bytes = optimizer_gather_bytes(parameters, s_.dp * s_.cp, context_.activation_bytes);
      if (bytes > 0) tape.update.push_back({"", "gathered weights", std::round(bytes), MemoryCategory::GatheredParameters});
    }
  }

  template <class Hold>
  void persistent(int rank, RankTape& tape, const Hold& hold) const {
    const double width = context_.activation_bytes;
    std::vector<Op> ops;
    double largest_block = 0, root = 0, scores = 0;
    for (int c = 0; c < placement_.chunks; ++c) {
      const ChunkLayers& chunk = chunks_[static_cast<std::size_t>(placement_.stage_of(rank, c))];
      for (int layer = chunk.first; layer < chunk.first + chunk.count; ++layer) {
        const std::size_t run = run_of_layer_[static_cast<std::size_t>(layer)];
        const BlockCost& cost = *step_.priced.blocks[run + 1];
        largest_block = std::max(largest_block, cost.dense_parameters + cost.expert_parameters);
        const bool first_of_run = layer == chunk.first || run != run_of_layer_[static_cast<std::size_t>(layer) - 1];
        if (!first_of_run) continue;
        const std::vector<Op>& own = job_.model.layers[run].block.ops;
        if (p_.dummy_weight_gradients) ops.insert(ops.end(), own.begin(), own.end());
        for (const Op& op : own) scores = std::max(scores, op.kind == OpKind::Attention ? op.heads : 0);
      }
      if (chunk.has_stem) root += step_.priced.blocks.front()->dense_parameters;
      if (chunk.has_head) root += step_.priced.blocks.back()->dense_parameters;
    }
    if (!ops.empty()) hold("dummy weight gradients", dummy_gradient_bytes(ops, context_), MemoryCategory::Temporaries);
    if (s_.zero == 3) {
      hold("gathered parameters", step_.plan.gather_once ? kept_gathered(rank) : fsdp_live_bytes(largest_block, root, width),
           MemoryCategory::GatheredParameters);
    }
    if (context_.sequence_parallel) {
      hold("all-gather buffers", gather_buffer_bytes(tokens_, job_.model.hidden, p_.gather_buffers, width),
           MemoryCategory::CommunicationBuffers);
    }
    const double boundary = tokens_ / step_.priced.sizes.token_share() * job_.model.hidden * width;
    const double transfers = std::round(p2p_buffer_bytes(boundary, s_.pp, s_.vpp));
    if (transfers > 0) tape.in_passes.push_back({"", "pipeline transfers", transfers, MemoryCategory::CommunicationBuffers});
    if (p_.score_buffer && !p_.flash_attention) {
      hold("score buffer", local_attention_buffer_bytes(tokens_, context_.seq_len, scores, s_.tp, width), MemoryCategory::Workspace);
    }
  }

  // Unsharded parameters and their accumulating gradients, for the whole step.
  double kept_gathered(int rank) const {
    double parameters = 0;
    for_blocks(rank, [&](const BlockCost& block) { parameters += block.dense_parameters + block.expert_parameters; });
    return parameters * (context_.activation_bytes + p_.main_grad_bytes);
  }

  const Job& job_;
  const Strategy& s_;
  const FrameworkProfile& p_;
  const PlannedStep& step_;
  const RankGrid& grid_;
  StagePlacement placement_;
  std::vector<ChunkLayers> chunks_;  // per virtual stage
  double tokens_ = 0;
  SavedContext context_, head_context_;
  std::vector<std::unique_ptr<BlockTape>> tapes_;
  const BlockTape *stem_ = nullptr, *head_ = nullptr;
  std::vector<const BlockTape*> runs_;
  std::vector<std::size_t> run_of_layer_;
};

}  // namespace

double weight_share(const Job& job, const PlannedStep& step, const RankGrid& grid) {
  return StepMemory(job, step, grid).weight_share();
}

StepTapes tapes_of_step(const Job& job, const PlannedStep& step, const RankGrid& grid) {
  return StepMemory(job, step, grid).tapes();
}

std::vector<MemoryReport> memory_of_step(const Job& job, const StepTapes& tapes) {
  std::vector<MemoryReport> reports;
  for (const RankTape& tape : tapes.ranks) {
    const CategoryBytes peak = peak_of(tape).bytes;
    const auto of = [&](MemoryCategory category) { return peak[static_cast<std::size_t>(category)]; };
    MemoryReport r;
    r.weights = of(MemoryCategory::Weights), r.gradients = of(MemoryCategory::Gradients);
    r.optimizer = of(MemoryCategory::Optimizer), r.activations = of(MemoryCategory::Activations);
    r.temporaries = of(MemoryCategory::Temporaries);
    r.gathered_parameters = of(MemoryCategory::GatheredParameters);
    r.communication_buffers = of(MemoryCategory::CommunicationBuffers);
    r.workspace = of(MemoryCategory::Workspace);
    r.context = job.profile.context_bytes;
    r.update = total(update_bytes(tape));
    reports.push_back(r);
  }
  return reports;
}

}  // namespace dts

#include "step/step_memory.hpp"

#include <algorithm>

#include "compute/gemm.hpp"
#include "memory/in_flight.hpp"
#include "memory/recompute_bytes.hpp"
#include "memory/saved_bytes.hpp"
#include "memory/static_bytes.hpp"
#include "memory/temporaries.hpp"
#include "parallel/stages.hpp"
#include "pricing/recompute.hpp"

namespace dts {

namespace {

class StepMemory {
 public:
  StepMemory(const Job& job, const PlannedStep& step, const RankGrid& grid)
      : job_(job), s_(job.strategy), p_(job.profile), step_(step), grid_(grid) {
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
    for (const LayerRun& run : job.model.layers) {
      runs_.push_back(kept(run.block));
      for (int i = 0; i < run.repeat; ++i) run_of_layer_.push_back(runs_.size() - 1);
    }
  }

  MemoryReport report(int rank) const {
    MemoryReport r;
    states(rank, r);
    activations(rank, r);
    temporaries(rank, r);
    r.workspace = p_.workspace_bytes;
    r.context = p_.context_bytes;
    return r;
  }

 private:
  struct Kept {
    double kept = 0, transient = 0;  // bytes of one block and micro-batch
  };

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

  Kept kept(const Block& block) const {
    const SavedContext context = context_of(block);
    const bool by_output = s_.recompute == Recompute::Selective && p_.selective == SelectiveRule::AlternateMatmuls;
    const KeptBytes bytes = by_output ? kept_outputs(block.ops, context, dropped_shares(block))
                                      : kept_bytes(block.ops, context, s_.recompute);
    return {tokens_ * bytes.kept,
            tokens_ * (bytes.recomputed + backward_extra_bytes_per_token(block.ops, context))};
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

  template <class Visit>
  void for_blocks(int rank, Visit visit) const {
    for (std::size_t v = static_cast<std::size_t>(rank); v < step_.plan.stages.size(); v += static_cast<std::size_t>(s_.pp)) {
      for (const BlockCost* block : step_.plan.stages[v].blocks) visit(*block);
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
    const StateRecipe recipe = state_recipe(s_.precision, s_.optimizer, facts);
    const StateBytes held = state_bytes(all, recipe, s_.zero), owned = state_bytes(trained, recipe, s_.zero);
    r.weights = held.weights;
    for_blocks(rank, [&](const BlockCost& block) { r.weights += block.cast_bytes; });
    r.gradients = owned.gradients + owned.buckets;
    r.optimizer = owned.optimizer;
  }

  // Passes in flight x what one chunk keeps; the head's tape and the stem's stand once.
  void activations(int rank, MemoryReport& r) const {
    const std::vector<ChunkLayers> chunks = partition(job_.model, s_);
    double sum = 0;
    for (std::size_t v = static_cast<std::size_t>(rank); v < chunks.size(); v += static_cast<std::size_t>(s_.pp)) {
      for (int layer = chunks[v].first; layer < chunks[v].first + chunks[v].count; ++layer) {
        sum += runs_[run_of_layer_[static_cast<std::size_t>(layer)]].kept;
      }
      if (chunks[v].has_stem) sum += tokens_ * saved_bytes_per_token(job_.model.stem.ops, context_);
      if (chunks[v].has_head) r.activations += heads_in_flight() * tokens_ * saved_bytes_per_token(job_.model.head.ops, head_context_);
    }
    // A pair of overlapped passes holds one chunk more, as far as there are micro-batches.
    const long long most = static_cast<long long>(step_.plan.micro_batches) * s_.vpp;
    const long long in_flight = std::min(most, chunks_in_flight(s_.schedule, s_.pp, s_.vpp, rank, step_.plan.micro_batches) +
                                                   (s_.overlap_moe_1f1b ? 1 : 0));
    r.activations += sum / s_.vpp * static_cast<double>(in_flight);
  }

  void temporaries(int rank, MemoryReport& r) const {
    const std::vector<ChunkLayers> chunks = partition(job_.model, s_);
    const double width = context_.activation_bytes;
    std::vector<Op> ops;
    double largest_block = 0, root = 0;
    for (std::size_t v = static_cast<std::size_t>(rank); v < chunks.size(); v += static_cast<std::size_t>(s_.pp)) {
      for (int layer = chunks[v].first; layer < chunks[v].first + chunks[v].count; ++layer) {
        const std::size_t run = run_of_layer_[static_cast<std::size_t>(layer)];
        r.temporaries = std::max(r.temporaries, runs_[run].transient);
        const BlockCost& cost = *step_.priced.blocks[run + 1];
        largest_block = std::max(largest_block, cost.dense_parameters + cost.expert_parameters);
        const bool first_of_run = layer == chunks[v].first || run != run_of_layer_[static_cast<std::size_t>(layer) - 1];
        const std::vector<Op>& own = job_.model.layers[run].block.ops;
        if (first_of_run && p_.dummy_weight_gradients) ops.insert(ops.end(), own.begin(), own.end());
      }
      if (chunks[v].has_stem) root += step_.priced.blocks.front()->dense_parameters;
      if (chunks[v].has_head) {
        root += step_.priced.blocks.back()->dense_parameters;
        r.temporaries = std::max(r.temporaries, head_bytes());
      }
    }
    if (!ops.empty()) r.temporaries += dummy_gradient_bytes(ops, context_, s_.ep);
    if (s_.zero == 3) {
      r.gathered_parameters = step_.plan.gather_once ? kept_gathered(rank) : fsdp_live_bytes(largest_block, root, width);
    }
    if (context_.sequence_parallel) {
      r.communication_buffers += gather_buffer_bytes(tokens_, job_.model.hidden, p_.gather_buffers, width);
    }
    const double boundary = tokens_ / step_.priced.sizes.token_share() * job_.model.hidden * width;
    r.communication_buffers += p2p_buffer_bytes(boundary, s_.pp, s_.vpp);
  }

  // Unsharded parameters and their accumulating gradients, for the whole step.
  double kept_gathered(int rank) const {
    double parameters = 0;
    for_blocks(rank, [&](const BlockCost& block) { parameters += block.dense_parameters + block.expert_parameters; });
    return parameters * (context_.activation_bytes + p_.main_grad_bytes);
  }

  // 1F1B runs backward right after the head's forward; GPipe keeps the logits of every micro-batch.
  double heads_in_flight() const {
    return s_.schedule == PipelineSchedule::GPipe ? step_.plan.micro_batches : 1;
  }

  double head_bytes() const {
    double vocabulary = 0;
    for (const Op& op : job_.model.head.ops) {
      if (op.kind == OpKind::CrossEntropy) vocabulary = op.in_features;
    }
    return heads_in_flight() * logits_bytes(tokens_, vocabulary, s_.tp, p_.logits_peak_bytes) +
           head_backward_bytes(tokens_, job_.model.hidden, vocabulary, s_.tp, context_.sequence_parallel,
                               context_.activation_bytes);
  }

  const Job& job_;
  const Strategy& s_;
  const FrameworkProfile& p_;
  const PlannedStep& step_;
  const RankGrid& grid_;
  double tokens_ = 0;
  SavedContext context_, head_context_;
  std::vector<Kept> runs_;
  std::vector<std::size_t> run_of_layer_;
};

}  // namespace

std::vector<MemoryReport> memory_of_step(const Job& job, const PlannedStep& step, const RankGrid& grid) {
  const StepMemory memory(job, step, grid);
  std::vector<MemoryReport> reports;
  for (int rank = 0; rank < job.strategy.pp; ++rank) reports.push_back(memory.report(rank));
  return reports;
}

}  // namespace dts

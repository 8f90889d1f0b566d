#include "step/step_memory.hpp"

#include <algorithm>

#include "compute/gemm.hpp"
#include "memory/recompute_bytes.hpp"
#include "memory/saved_bytes.hpp"
#include "memory/temporaries.hpp"
#include "parallel/stages.hpp"
#include "pricing/recompute.hpp"
#include "schedule/tape.hpp"
#include "step/gathered_bytes.hpp"
#include "step/state_memory.hpp"

namespace dts {

namespace {

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
    for (const LayerRun& run : job.model.layers) {
      runs_.push_back(kept(run.block));
      for (int i = 0; i < run.repeat; ++i) run_of_layer_.push_back(runs_.size() - 1);
    }
    for (const LayerRun& run : job.model.prediction) prediction_.push_back(kept(run.block));
    for (const LayerRun& run : job.model.encoder) encoder_.push_back(kept_by_encoder(run.block));
  }

  double weight_share() const {
    double most = 0;
    for (int stage = 0; stage < placement_.stages(); ++stage) {
      const ChunkTape tape = tape_of(stage);
      if (tape.forward_bytes > 0) most = std::max(most, tape.weight_bytes / tape.forward_bytes);
    }
    return std::min(most, 1.0);
  }

  // What a stage's unit copies to the host: of every unit but the last, which backward needs at once.
  double offloaded_bytes(std::size_t stage, std::size_t unit) const {
    const StageComm& comm = step_.plan.comm[stage];
    if (unit + 1 >= comm.units.size()) return 0;
    const ChunkLayers& chunk = chunks_[stage];
    const std::size_t first = chunk.has_stem ? blocks_before_layers() : 0;
    double bytes = 0;
    for_unit_blocks(comm, unit, true, [&](std::size_t block, double share) {
      const bool layer = block >= first && block < first + static_cast<std::size_t>(chunk.count);
      if (layer) bytes += share * runs_[run_of_layer_[static_cast<std::size_t>(chunk.first) + block - first]].kept;
    });
    return s_.offload_activations * bytes;
  }

  MemoryReport report(int rank) const {
    MemoryReport r;
    add_states(job_, step_, grid_, rank, r);
    activations(rank, r);
    temporaries(rank, r);
    r.workspace = p_.workspace_bytes;
    r.context = p_.context_bytes;
    return r;
  }

 private:
  struct Kept {
    double kept = 0, transient = 0, for_weights = 0;  // bytes of one block and micro-batch
  };

  std::size_t blocks_before_layers() const {  // encoder and stem
    std::size_t count = job_.model.stem.ops.empty() ? 0 : 1;
    for (const LayerRun& run : job_.model.encoder) count += static_cast<std::size_t>(run.repeat);
    return count;
  }

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
            tokens_ * (bytes.recomputed + backward_extra_bytes_per_token(block.ops, context)),
            tokens_ * weight_grad_bytes_per_token(block.ops, context)};
  }

  // Encoder blocks that no gradient reaches keep nothing.
  Kept kept_by_encoder(const Block& block) {
    if (step_.priced.encoder[encoder_.size()]->backward.total_s <= 0) return {};
    const SavedContext outer = context_;
    const double tokens = tokens_;
    const LocalSizes sizes = encoder_sizes(job_.model, block, s_, p_, job_.seq_len);
    context_.seq_len = sizes.seq_len, context_.cp = 1, context_.matmul_input_bytes = 0, tokens_ = sizes.tokens;
    const Kept bytes = kept(block);
    context_ = outer, tokens_ = tokens;
    return bytes;
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

  // The fullest moment of the rank's own order of passes.
  void activations(int rank, MemoryReport& r) const {
    std::vector<ChunkTape> tapes, host;
    double in_transit = 0;  // two units: one is copied while the other computes
    for (int chunk = 0; chunk < placement_.chunks; ++chunk) {
      const auto stage = static_cast<std::size_t>(placement_.stage_of(rank, chunk));
      tapes.push_back(tape_of(static_cast<int>(stage))), host.push_back({});
      for (std::size_t u = 0; s_.offload_activations > 0 && u < step_.plan.comm[stage].units.size(); ++u) {
        const double bytes = offloaded_bytes(stage, u);
        host.back().forward_bytes += bytes;
        in_transit = std::max(in_transit, 2 * bytes);
      }
      tapes.back().forward_bytes -= host.back().forward_bytes;
    }
    const std::vector<Pass>& passes = step_.plan.order[static_cast<std::size_t>(rank)];
    r.activations = peak_tape_bytes(passes, tapes) + in_transit;
    r.host_bytes += peak_tape_bytes(passes, host);
  }

  ChunkTape tape_of(int stage) const {
    const ChunkLayers& chunk = chunks_[static_cast<std::size_t>(stage)];
    ChunkTape tape;
    for (int layer = chunk.first; layer < chunk.first + chunk.count; ++layer) {
      const Kept& kept = runs_[run_of_layer_[static_cast<std::size_t>(layer)]];
      tape.forward_bytes += kept.kept, tape.weight_bytes += kept.for_weights;
    }
    if (chunk.has_stem) add(tape, job_.model.encoder, encoder_);
    if (chunk.has_head) add(tape, job_.model.prediction, prediction_);
    if (chunk.has_stem) tape.forward_bytes += tokens_ * saved_bytes_per_token(job_.model.stem.ops, context_);
    if (chunk.has_head) {
      tape.forward_bytes += tokens_ * saved_bytes_per_token(job_.model.head.ops, head_context_);
      tape.weight_bytes += tokens_ * weight_grad_bytes_per_token(job_.model.head.ops, head_context_);
    }
    return tape;
  }

  static void add(ChunkTape& tape, const std::vector<LayerRun>& runs, const std::vector<Kept>& kept) {
    for (std::size_t i = 0; i < runs.size(); ++i) {
      tape.forward_bytes += runs[i].repeat * kept[i].kept, tape.weight_bytes += runs[i].repeat * kept[i].for_weights;
    }
  }

  // The largest block and the fullest moment among the extra blocks of one end.
  static void widen(MemoryReport& r, double& largest, const std::vector<std::unique_ptr<BlockCost>>& blocks,
                    const std::vector<Kept>& kept) {
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      r.temporaries = std::max(r.temporaries, kept[i].transient);
      largest = std::max(largest, blocks[i]->dense_parameters + blocks[i]->expert_parameters);
    }
  }

  void temporaries(int rank, MemoryReport& r) const {
    const double width = context_.activation_bytes;
    std::vector<Op> ops;
    double largest_block = 0, root = 0;
    for (int c = 0; c < placement_.chunks; ++c) {
      const ChunkLayers& chunk = chunks_[static_cast<std::size_t>(placement_.stage_of(rank, c))];
      for (int layer = chunk.first; layer < chunk.first + chunk.count; ++layer) {
        const std::size_t run = run_of_layer_[static_cast<std::size_t>(layer)];
        r.temporaries = std::max(r.temporaries, runs_[run].transient);
        const BlockCost& cost = *step_.priced.blocks[run + 1];
        largest_block = std::max(largest_block, cost.dense_parameters + cost.expert_parameters);
        const bool first_of_run = layer == chunk.first || run != run_of_layer_[static_cast<std::size_t>(layer) - 1];
        const std::vector<Op>& own = job_.model.layers[run].block.ops;
        if (first_of_run && p_.dummy_weight_gradients) ops.insert(ops.end(), own.begin(), own.end());
      }
      if (chunk.has_stem) widen(r, largest_block, step_.priced.encoder, encoder_);
      if (chunk.has_head) widen(r, largest_block, step_.priced.prediction, prediction_);
      if (chunk.has_stem) root += step_.priced.blocks.front()->dense_parameters;
      if (chunk.has_head) {
        root += step_.priced.blocks.back()->dense_parameters;
        r.temporaries = std::max(r.temporaries, head_bytes(rank, c));
      }
    }
    if (!ops.empty()) r.temporaries += dummy_gradient_bytes(ops, context_, s_.ep);
    if (s_.zero == 3) {
      r.gathered_parameters = gathered_bytes({largest_block, root, width, p_.main_grad_bytes}, step_.plan, rank, s_.reshard_after_forward);
    }
    if (context_.sequence_parallel) {
      r.communication_buffers += gather_buffer_bytes(tokens_, job_.model.hidden, p_.gather_buffers, width);
    }
    const double boundary = tokens_ / step_.priced.sizes.token_share() * job_.model.hidden * width;
    r.communication_buffers += p2p_buffer_bytes(boundary, s_.pp, s_.vpp);
  }

  // 1F1B runs backward right after the head's forward; GPipe keeps the logits of every micro-batch.
  double head_bytes(int rank, int head_chunk) const {
    std::vector<ChunkTape> tapes(static_cast<std::size_t>(placement_.chunks));
    tapes[static_cast<std::size_t>(head_chunk)].forward_bytes = 1;
    const double in_flight = peak_tape_bytes(step_.plan.order[static_cast<std::size_t>(rank)], tapes);
    double vocabulary = 0, losses = 1;
    for (const Op& op : job_.model.head.ops) {
      if (op.kind == OpKind::CrossEntropy) vocabulary = op.in_features;
    }
    for (const LayerRun& run : job_.model.prediction) {  // their logits wait for backward beside the head's
      for (const Op& op : run.block.ops) losses += op.kind == OpKind::CrossEntropy ? run.repeat : 0;
    }
    return in_flight * losses * logits_bytes(tokens_, vocabulary, s_.tp, p_.logits_peak_bytes) +
           head_backward_bytes(tokens_, job_.model.hidden, vocabulary, s_.tp, context_.sequence_parallel,
                               context_.activation_bytes);
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
  std::vector<Kept> runs_, encoder_, prediction_;
  std::vector<std::size_t> run_of_layer_;
};

}  // namespace

double weight_share(const Job& job, const PlannedStep& step, const RankGrid& grid) {
  return StepMemory(job, step, grid).weight_share();
}

void price_activation_copies(const Job& job, PlannedStep& step, const RankGrid& grid) {
  const StepMemory memory(job, step, grid);
  for (std::size_t stage = 0; stage < step.plan.comm.size(); ++stage) {
    std::vector<StageComm::Unit>& units = step.plan.comm[stage].units;
    for (std::size_t u = 0; u < units.size(); ++u) {
      const double bytes = memory.offloaded_bytes(stage, u);
      if (bytes > 0) units[u].activation_copy_s = bytes / job.host.copy_Bps;
    }
  }
}

std::vector<MemoryReport> memory_of_step(const Job& job, const PlannedStep& step, const RankGrid& grid) {
  const StepMemory memory(job, step, grid);
  std::vector<MemoryReport> reports;
  for (int rank = 0; rank < job.strategy.pp; ++rank) reports.push_back(memory.report(rank));
  return reports;
}

}  // namespace dts

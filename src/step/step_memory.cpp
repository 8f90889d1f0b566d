#include "step/step_memory.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "compute/gemm.hpp"
#include "memory/saved_bytes.hpp"
#include "parallel/stages.hpp"
#include "pricing/recompute.hpp"
#include "schedule/tape.hpp"
#include "step/rank_residents.hpp"

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
        chunks_(partition(job.model, s_)), context_(layer_context()), head_context_(context_) {
    const LocalSizes& sizes = step.priced.sizes;
    tokens_ = sizes.tokens;
    const bool narrow = bytes_of(s_.precision) < 2;
    context_.matmul_input_bytes = narrow && p_.cached_casts ? operand_bytes(s_.precision) : 0;
    // What all-to-all brings back is packed anew; a batch-first kernel's output is transposed.
    context_.attention_output_copy = head_split(s_) > 1 || (p_.batch_first_attention && s_.micro_batch > 1);
    stem_ = add(job.model.stem, context_, BlockRole::Stem);
    for (const LayerRun& run : job.model.layers) {
      runs_.push_back(add(run.block, context_of(run.block), BlockRole::Layer));
      if (s_.offload_activations > 0) copied_.push_back(add(run.block, context_of(run.block), BlockRole::Layer, s_.offload_activations));
      for (int i = 0; i < run.repeat; ++i) run_of_layer_.push_back(runs_.size() - 1);
    }
    for (const LayerRun& run : job.model.prediction) prediction_.push_back(add(run.block, context_of(run.block), BlockRole::Layer));
    for (const LayerRun& run : job.model.encoder) encoder_.push_back(add_encoder(run.block));
    head_ = add(job.model.head, head_context_, BlockRole::Head);
  }

  double weight_share() const {
    double most = 0;
    for (int stage = 0; stage < placement_.stages(); ++stage) {
      double forward = 0, weights = 0;
      for (const BlockTape* block : blocks_of(stage)) {
        forward += net_bytes(*block, block->forward);
        weights += net_bytes(*block, block->forward) + net_bytes(*block, block->input_grad);
      }
      if (forward > 0) most = std::max(most, weights / forward);
    }
    return std::min(most, 1.0);
  }

  // What a stage's unit copies to the host: of every unit but the last, which backward needs at once.
  double offloaded_bytes(std::size_t stage, std::size_t unit) const {
    const StageComm& comm = step_.plan.comm[stage];
    if (unit + 1 >= comm.units.size()) return 0;
    double bytes = 0;
    for_unit_blocks(comm, unit, true, [&](std::size_t block, double share) {
      const int layer = layer_at(stage, block);
      if (layer >= 0) bytes += share * kept_bytes_of(*runs_[run_of_layer_[static_cast<std::size_t>(layer)]]);
    });
    return s_.offload_activations * bytes;
  }

  StepTapes tapes() {
    StepTapes made;
    for (int rank = 0; rank < s_.pp; ++rank) {
      RankTape tape;
      double host = hold_residents(job_, step_, grid_, context_, rank, tape);
      for (int c = 0; c < placement_.chunks; ++c) tape.chunks.push_back(blocks_of(placement_.stage_of(rank, c)));
      tape.passes = step_.plan.order[static_cast<std::size_t>(rank)];
      if (s_.offload_activations > 0) host += activations_on_host(rank, tape);
      made.ranks.push_back(std::move(tape));
      made.host_bytes.push_back(host);
    }
    made.blocks = std::move(tapes_);
    return made;
  }

 private:
  SavedContext layer_context() const {
    const LocalSizes& sizes = step_.priced.sizes;
    SavedContext c;
    c.seq_len = sizes.seq_len;
    c.tp = s_.tp, c.cp = s_.cp, c.etp = s_.etp;
    c.sequence_parallel = sizes.sequence_parallel;
    c.activation_bytes = sizes.activation_bytes;
    c.flash_attention = p_.flash_attention;
    c.attention_dropout = p_.attention_dropout > 0;
    c.eager_norm = p_.eager_norm, c.eager_gate = p_.eager_gate;
    return c;
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

  const BlockTape* add(const Block& block, const SavedContext& context, BlockRole role, double on_host = 0) {
    TapeRules rules;
    rules.tokens = tokens_;
    rules.ep = s_.ep;
    rules.on_host = on_host;
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

  // Encoder blocks that no gradient reaches keep nothing.
  const BlockTape* add_encoder(const Block& block) {
    if (step_.priced.encoder[encoder_.size()]->backward.total_s <= 0) {
      tapes_.push_back(std::make_unique<BlockTape>());
      return tapes_.back().get();
    }
    const double tokens = tokens_;
    const LocalSizes sizes = encoder_sizes(job_.model, block, s_, p_, job_.seq_len);
    SavedContext context = context_;
    context.seq_len = sizes.seq_len, context.cp = 1, context.matmul_input_bytes = 0, tokens_ = sizes.tokens;
    const BlockTape* made = add(block, context, BlockRole::Layer);
    tokens_ = tokens;
    return made;
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

  static double kept_bytes_of(const BlockTape& block) { return net_bytes(block, block.forward); }

  std::size_t blocks_before_layers() const {  // encoder and stem
    std::size_t count = job_.model.stem.ops.empty() ? 0 : 1;
    for (const LayerRun& run : job_.model.encoder) count += static_cast<std::size_t>(run.repeat);
    return count;
  }

  int layer_at(std::size_t stage, std::size_t block) const {  // -1: not a layer
    const ChunkLayers& chunk = chunks_[stage];
    const std::size_t first = chunk.has_stem ? blocks_before_layers() : 0;
    const bool inside = block >= first && block < first + static_cast<std::size_t>(chunk.count);
    return inside ? chunk.first + static_cast<int>(block - first) : -1;
  }

  // In the order of StageCost::blocks.
  std::vector<const BlockTape*> blocks_of(int stage) const {
    const auto v = static_cast<std::size_t>(stage);
    const ChunkLayers& chunk = chunks_[v];
    std::vector<const BlockTape*> blocks;
    if (chunk.has_stem) append(blocks, job_.model.encoder, encoder_);
    if (chunk.has_stem && !job_.model.stem.ops.empty()) blocks.push_back(stem_);
    for (int layer = chunk.first; layer < chunk.first + chunk.count; ++layer) {
      blocks.push_back(runs_[run_of_layer_[static_cast<std::size_t>(layer)]]);
    }
    if (chunk.has_head) append(blocks, job_.model.prediction, prediction_);
    if (chunk.has_head && !job_.model.head.ops.empty()) blocks.push_back(head_);
    if (!copied_.empty()) use_copied(v, blocks);
    return blocks;
  }

  static void append(std::vector<const BlockTape*>& blocks, const std::vector<LayerRun>& runs,
                     const std::vector<const BlockTape*>& tapes) {
    for (std::size_t i = 0; i < runs.size(); ++i) blocks.insert(blocks.end(), static_cast<std::size_t>(runs[i].repeat), tapes[i]);
  }

  // Layers whose larger part lies in a unit that is copied to the host.
  void use_copied(std::size_t stage, std::vector<const BlockTape*>& blocks) const {
    if (step_.plan.comm.size() <= stage) return;
    const StageComm& comm = step_.plan.comm[stage];
    for (std::size_t u = 0; u + 1 < comm.units.size(); ++u) {
      for_unit_blocks(comm, u, true, [&](std::size_t block, double share) {
        const int layer = layer_at(stage, block);
        if (layer >= 0 && share >= 0.5) blocks[block] = copied_[run_of_layer_[static_cast<std::size_t>(layer)]];
      });
    }
  }

  // Bytes on the host; on the device two units are on their way: one is copied while the other computes.
  double activations_on_host(int rank, RankTape& tape) const {
    std::vector<ChunkTape> host;
    double in_transit = 0;
    for (int chunk = 0; chunk < placement_.chunks; ++chunk) {
      const auto stage = static_cast<std::size_t>(placement_.stage_of(rank, chunk));
      host.push_back({});
      for (std::size_t u = 0; u < step_.plan.comm[stage].units.size(); ++u) {
        const double bytes = offloaded_bytes(stage, u);
        host.back().forward_bytes += bytes;
        in_transit = std::max(in_transit, 2 * bytes);
      }
    }
    if (in_transit > 0) tape.in_passes.push_back({"", "copies to the host", std::round(in_transit), MemoryCategory::Activations});
    return peak_tape_bytes(tape.passes, host);
  }

  const Job& job_;
  const Strategy& s_;
  const FrameworkProfile& p_;
  const PlannedStep& step_;
  const RankGrid& grid_;
  StagePlacement placement_;
  std::vector<ChunkLayers> chunks_;  // per virtual stage
  SavedContext context_, head_context_;
  double tokens_ = 0;
  std::vector<std::unique_ptr<BlockTape>> tapes_;
  const BlockTape *stem_ = nullptr, *head_ = nullptr;
  std::vector<const BlockTape*> runs_, copied_, encoder_, prediction_;  // copied_: runs_ with activations on the host
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

StepTapes tapes_of_step(const Job& job, const PlannedStep& step, const RankGrid& grid) {
  return StepMemory(job, step, grid).tapes();
}

std::vector<MemoryReport> memory_of_step(const Job& job, const StepTapes& tapes) {
  std::vector<MemoryReport> reports;
  for (std::size_t rank = 0; rank < tapes.ranks.size(); ++rank) {
    const CategoryBytes peak = peak_of(tapes.ranks[rank]).bytes;
    const auto of = [&](MemoryCategory category) { return peak[static_cast<std::size_t>(category)]; };
    MemoryReport r;
    r.weights = of(MemoryCategory::Weights), r.gradients = of(MemoryCategory::Gradients);
    r.optimizer = of(MemoryCategory::Optimizer), r.activations = of(MemoryCategory::Activations);
    r.temporaries = of(MemoryCategory::Temporaries);
    r.gathered_parameters = of(MemoryCategory::GatheredParameters);
    r.communication_buffers = of(MemoryCategory::CommunicationBuffers);
    r.workspace = of(MemoryCategory::Workspace);
    r.context = job.profile.context_bytes;
    r.host_bytes = tapes.host_bytes[rank];
    r.update = total(update_bytes(tapes.ranks[rank]));
    reports.push_back(r);
  }
  return reports;
}

}  // namespace dts

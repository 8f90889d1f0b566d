#include "step/memory/model_tapes.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "compute/gemm.hpp"
#include "memory/unit_tapes.hpp"
#include "parallel/recompute_layers.hpp"
#include "parallel/stages.hpp"
#include "pricing/recompute.hpp"

namespace dts {

namespace {

SavedContext layer_context(const Job& job, const LocalSizes& sizes) {
  const Strategy& s = job.strategy;
  const FrameworkProfile& p = job.profile;
  SavedContext c;
  c.seq_len = sizes.seq_len;
  c.tp = s.tp, c.cp = s.cp, c.etp = s.etp;
  c.sequence_parallel = sizes.sequence_parallel;
  c.activation_bytes = sizes.activation_bytes;
  c.flash_attention = p.flash_attention;
  c.attention_dropout = p.attention_dropout > 0;
  c.packed_attention = p.packed_attention;
  c.eager_norm = p.eager_norm, c.eager_gate = p.eager_gate;
  return c;
}

// What is recomputed is not kept; nor is, by a compiler, the last matmul's output, which only the residual adds.
std::vector<double> dropped_shares(const Job& job, const Block& block) {
  std::vector<double> shares =
      recomputed_shares(block, job.strategy.recompute, job.strategy.recompute_modules, job.profile);
  for (std::size_t i = block.ops.size(); job.profile.compiled_blocks && i-- > 0;) {
    if (block.ops[i].kind != OpKind::Matmul) continue;
    shares[i] = 1;
    break;
  }
  return shares;
}

}  // namespace

ModelTapes::ModelTapes(const Job& job, const PricedModel& priced) {
  const Strategy& s = job.strategy;
  context_ = dts::layer_context(job, priced.sizes);
  SavedContext head_context = context_;
  head_context.keep_gathered_input = job.profile.head_keeps_gathered_input;
  const double tokens = priced.sizes.tokens;
  const bool narrow = bytes_of(s.precision) < 2;
  context_.matmul_input_bytes = narrow && job.profile.cached_casts ? operand_bytes(s.precision) : 0;
  context_.attention_output_copy = head_split(s) > 1;  // what all-to-all brings back is packed anew
  stem = add(job, job.model.stem, context_, {}, tokens);
  if (recompute_unit(s) > 1) add_units(job, priced);
  else add_layers(job, priced, 0, layers);
  if (s.offload_activations > 0) add_layers(job, priced, s.offload_activations, copied);
  for (const LayerRun& run : job.model.prediction) {
    prediction.push_back(
        add(job, run.block, context_of(job, priced, run.block), {true, recomputes_prediction(s)}, tokens));
  }
  for (const LayerRun& run : job.model.encoder) encoder.push_back(add_encoder(job, priced, run.block));
  head = add(job, job.model.head, head_context, {}, tokens);
}

void ModelTapes::add_layers(const Job& job, const PricedModel& priced, double on_host,
                            std::vector<const BlockTape*>& tapes) {
  const std::vector<char> again = recomputed_layers(job.model, job.strategy);
  for (const LayerRun& run : job.model.layers) {
    const SavedContext context = context_of(job, priced, run.block);
    std::array<const BlockTape*, 2> kinds{};  // kept, recomputed
    for (int i = 0; i < run.repeat; ++i) {
      const bool kind = again[tapes.size()];
      if (!kinds[kind]) kinds[kind] = add(job, run.block, context, {true, kind, on_host}, priced.sizes.tokens);
      tapes.push_back(kinds[kind]);
    }
  }
}

// Full recomputation of several layers from one input.
void ModelTapes::add_units(const Job& job, const PricedModel& priced) {
  std::vector<const Block*> blocks;
  for (const LayerRun& run : job.model.layers)
    blocks.insert(blocks.end(), static_cast<std::size_t>(run.repeat), &run.block);
  layers.assign(blocks.size(), nullptr);
  std::map<std::vector<const Block*>, std::vector<const BlockTape*>> known;
  for (const ChunkLayers& chunk : partition(job.model, job.strategy)) {
    for (int from = 0; from < chunk.count; from += recompute_unit(job.strategy)) {
      const int size = std::min(recompute_unit(job.strategy), chunk.count - from);
      const auto first = blocks.begin() + chunk.first + from;
      auto [unit, is_new] = known.try_emplace({first, first + size});
      if (is_new) {
        std::vector<SavedContext> contexts;
        for (const Block* block : unit->first) contexts.push_back(context_of(job, priced, *block));
        for (BlockTape& tape : unit_tapes(unit->first, contexts,
                                          rules_of(job, *unit->first.front(), {true, true}, priced.sizes.tokens))) {
          unit->second.push_back(add(std::move(tape)));
        }
      }
      std::copy(unit->second.begin(), unit->second.end(), layers.begin() + chunk.first + from);
    }
  }
}

// Experts keep the rows of the fullest rank.
SavedContext ModelTapes::context_of(const Job& job, const PricedModel& priced, const Block& block) const {
  SavedContext context = context_;
  for (const Op& op : block.ops) {
    if (op.kind != OpKind::GroupedMatmul) continue;
    const LocalSizes& sizes = priced.sizes;
    context.routed_load = routed_load(sizes.routing, static_cast<int>(op.experts), op.top_k, job.strategy.ep,
                                      sizes.tokens / sizes.token_share())
                              .fullest;
  }
  return context;
}

TapeRules ModelTapes::rules_of(const Job& job, const Block& block, Kind kind, double tokens) const {
  const FrameworkProfile& p = job.profile;
  const Strategy& s = job.strategy;
  TapeRules rules;
  rules.tokens = tokens;
  rules.ep = s.ep;
  rules.on_host = kind.on_host;
  rules.offload_modules = s.offload_modules;
  rules.loss_kernel = p.loss_kernel, rules.loss_chunks = p.loss_chunks;
  rules.gradients_until_end = p.accumulates_after_backward,
  rules.casts_gradients = p.keeps_gradients && p.main_grad_bytes > 2;
  rules.gather_buffers = p.gather_buffers > 0 && !(p.layers_gather_anew && kind.is_layer);
  rules.weight_gradients = (!kind.is_layer || !p.dummy_weight_gradients) && !p.keeps_gradients;
  rules.forward_launches_per_op = p.queue_forward_per_op, rules.backward_launches_per_op = p.queue_backward_per_op;
  if (!kind.is_layer || !kind.again) return rules;
  rules.recompute = s.recompute;
  rules.modules = recomputed_modules(s.recompute_modules);
  if (keeps_outputs(s.recompute, s.recompute_modules, p)) rules.dropped_outputs = dropped_shares(job, block);
  return rules;
}

const BlockTape* ModelTapes::add(BlockTape tape) {
  tapes_.push_back(std::make_unique<BlockTape>(std::move(tape)));
  return tapes_.back().get();
}

const BlockTape* ModelTapes::add(const Job& job, const Block& block, const SavedContext& context, Kind kind,
                                 double tokens) {
  return add(block_tape(block.ops, context, rules_of(job, block, kind, tokens)));
}

// Encoder blocks that no gradient reaches keep nothing.
const BlockTape* ModelTapes::add_encoder(const Job& job, const PricedModel& priced, const Block& block) {
  if (priced.encoder[encoder.size()]->backward.total_s <= 0) {
    return add(BlockTape());
  }
  const LocalSizes sizes = encoder_sizes(job.model, block, job.strategy, job.profile, job.seq_len);
  SavedContext context = context_;
  context.seq_len = sizes.seq_len, context.cp = 1, context.matmul_input_bytes = 0;
  return add(job, block, context, {true, true}, sizes.tokens);
}

}  // namespace dts

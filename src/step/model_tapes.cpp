#include "step/model_tapes.hpp"

#include "compute/gemm.hpp"
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
  std::vector<double> shares = recomputed_shares(block, job.strategy.recompute, job.profile);
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
  const SavedContext head_context = context_;
  const double tokens = priced.sizes.tokens;
  const bool narrow = bytes_of(s.precision) < 2;
  context_.matmul_input_bytes = narrow && job.profile.cached_casts ? operand_bytes(s.precision) : 0;
  context_.attention_output_copy = head_split(s) > 1;  // what all-to-all brings back is packed anew
  stem = add(job, job.model.stem, context_, false, tokens);
  for (const LayerRun& run : job.model.layers) {
    const SavedContext context = context_of(job, priced, run.block);
    runs.push_back(add(job, run.block, context, true, tokens));
    if (s.offload_activations > 0) copied.push_back(add(job, run.block, context, true, tokens, s.offload_activations));
    run_of_layer.insert(run_of_layer.end(), static_cast<std::size_t>(run.repeat), runs.size() - 1);
  }
  for (const LayerRun& run : job.model.prediction) prediction.push_back(add(job, run.block, context_of(job, priced, run.block), true, tokens));
  for (const LayerRun& run : job.model.encoder) encoder.push_back(add_encoder(job, priced, run.block));
  head = add(job, job.model.head, head_context, false, tokens);
}

// Experts keep the rows of the fullest rank.
SavedContext ModelTapes::context_of(const Job& job, const PricedModel& priced, const Block& block) const {
  SavedContext context = context_;
  for (const Op& op : block.ops) {
    if (op.kind != OpKind::GroupedMatmul) continue;
    const LocalSizes& sizes = priced.sizes;
    context.routed_load = routed_load(sizes.routing, static_cast<int>(op.experts), op.top_k, job.strategy.ep,
                                      sizes.tokens / sizes.token_share()).fullest;
  }
  return context;
}

const BlockTape* ModelTapes::add(const Job& job, const Block& block, const SavedContext& context, bool is_layer, double tokens, double on_host) {
  const FrameworkProfile& p = job.profile;
  TapeRules rules;
  rules.tokens = tokens;
  rules.ep = job.strategy.ep;
  rules.on_host = on_host;
  rules.loss_kernel = p.loss_kernel, rules.loss_chunks = p.loss_chunks;
  rules.gradients_until_end = p.accumulates_after_backward, rules.casts_gradients = p.keeps_gradients && p.main_grad_bytes > 2;
  rules.gather_buffers = p.gather_buffers > 0 && !(p.layers_gather_anew && is_layer);
  rules.weight_gradients = (!is_layer || !p.dummy_weight_gradients) && !p.keeps_gradients;
  rules.forward_launches_per_op = p.queue_forward_per_op, rules.backward_launches_per_op = p.queue_backward_per_op;
  if (is_layer) {
    rules.recompute = job.strategy.recompute;
    const bool by_output = job.strategy.recompute == Recompute::Selective && p.selective != SelectiveRule::CoreAttention;
    if (by_output) rules.dropped_outputs = dropped_shares(job, block);
  }
  tapes_.push_back(std::make_unique<BlockTape>(block_tape(block.ops, context, rules)));
  return tapes_.back().get();
}

// Encoder blocks that no gradient reaches keep nothing.
const BlockTape* ModelTapes::add_encoder(const Job& job, const PricedModel& priced, const Block& block) {
  if (priced.encoder[encoder.size()]->backward.total_s <= 0) {
    tapes_.push_back(std::make_unique<BlockTape>());
    return tapes_.back().get();
  }
  const LocalSizes sizes = encoder_sizes(job.model, block, job.strategy, job.profile, job.seq_len);
  SavedContext context = context_;
  context.seq_len = sizes.seq_len, context.cp = 1, context.matmul_input_bytes = 0;
  return add(job, block, context, true, sizes.tokens);
}

}  // namespace dts

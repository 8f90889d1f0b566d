#include "step/plan/priced_model.hpp"

#include <utility>

#include "parallel/recompute_layers.hpp"
#include "parallel/stage_map.hpp"
#include "step/plan/block_uses.hpp"

namespace dts {

namespace {

void drop_backward(BlockCost& cost) {
  cost.recompute = cost.backward = cost.data_grad = cost.weight_grad = {};
  cost.recompute_calls.clear(), cost.backward_calls.clear();
  cost.backward_flops = cost.recompute_flops = 0;
}

// One embedding table more or less, with the first op that can hold it.
void add_table(BlockCost& block, double table, double width) {
  block.dense_parameters += table, block.dense_trainable += table, block.dense_gathered_bytes += table * width;
  for (OpCost& op : block.ops) {
    if (op.trainable + table < 0) continue;
    op.trainable += table, op.gathered_bytes += table * width;
    break;
  }
}

}  // namespace

namespace {

// Full recomputation may leave out some layers; then each run has two prices.
void price_kept_layers(const Job& job, BlockContext context, PricedModel& priced) {
  const std::vector<LayerRun>& runs = job.model.layers;
  context.recompute = Recompute::None;
  for (std::size_t run = 0; run < runs.size() && recomputes_by_place(job.strategy); ++run) {
    priced.kept.push_back(std::make_unique<BlockCost>(price_block(runs[run].block, context, BlockRole::Layer)));
  }
  const std::vector<char> again = recomputed_layers(job.model, job.strategy);
  for (std::size_t run = 0; run < runs.size(); ++run) {
    for (int i = 0; i < runs[run].repeat; ++i) {
      priced.layers.push_back(again[priced.layers.size()] ? priced.blocks[run + 1].get() : priced.kept[run].get());
    }
  }
}

}  // namespace

double embedding_parameters(const ModelSpec& model, const Strategy& strategy) {
  for (const Op& op : model.stem.ops) {
    if (op.kind == OpKind::Embedding) return op.in_features * op.out_features / strategy.tp;
  }
  return 0;
}

PricedModel price_model(const Job& job, const GroupPricer& groups, ProductTimes& products) {
  const ModelSpec& model = job.model;
  const Strategy& s = job.strategy;
  PricedModel priced;
  priced.sizes = local_sizes(model, s, job.profile, job.seq_len);
  visit_blocks(job, groups, priced.sizes, [&](const BlockUse& use) {
    BlockContext context = use.context;
    context.products = &products;
    auto cost = std::make_unique<BlockCost>(price_block(use.block, context, use.role));
    if (!use.backward) drop_backward(*cost);
    using Part = BlockUse::Part;
    (use.part == Part::Encoder      ? priced.encoder
     : use.part == Part::Prediction ? priced.prediction
                                    : priced.blocks)
        .push_back(std::move(cost));
  });
  BlockContext context = block_context(job, groups, priced.sizes);
  context.products = &products;
  price_kept_layers(job, std::move(context), priced);
  const double width = priced.sizes.activation_bytes, table = embedding_parameters(model, s);
  const bool ends_meet = placement(s).ends_meet();
  if (!model.prediction.empty() && !model.tied_embeddings && !ends_meet)
    add_table(*priced.prediction.front(), table, width);                                    // its copy
  if (model.tied_embeddings && ends_meet) add_table(*priced.blocks.back(), -table, width);  // one serves both ends
  return priced;
}

StageCost stage_of(const ModelSpec& model, const PricedModel& priced, const ChunkLayers& chunk) {
  StageCost stage;
  const auto append = [&](const std::vector<LayerRun>& runs, const std::vector<std::unique_ptr<BlockCost>>& prices) {
    for (std::size_t i = 0; i < runs.size(); ++i) {
      stage.blocks.insert(stage.blocks.end(), static_cast<std::size_t>(runs[i].repeat), prices[i].get());
    }
  };
  if (chunk.has_stem) append(model.encoder, priced.encoder);
  if (chunk.has_stem && !model.stem.ops.empty()) stage.blocks.push_back(priced.blocks.front().get());
  const auto first = priced.layers.begin() + chunk.first;
  stage.blocks.insert(stage.blocks.end(), first, first + chunk.count);
  if (chunk.has_head) append(model.prediction, priced.prediction);
  if (chunk.has_head && !model.head.ops.empty()) stage.blocks.push_back(priced.blocks.back().get());
  return stage;
}

}  // namespace dts

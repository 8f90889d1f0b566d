#include "step/plan/block_uses.hpp"

#include <algorithm>

#include "parallel/recompute_layers.hpp"
#include "schedule/pipeline.hpp"

namespace dts {

namespace {

using Part = BlockUse::Part;

bool predicts(const Block& block) {
  return std::any_of(block.ops.begin(), block.ops.end(), [](const Op& op) { return op.kind == OpKind::CrossEntropy; });
}

bool trains(const Block& block) { return std::any_of(block.ops.begin(), block.ops.end(), trains_weights); }

UnitCopies unit_copies(const Job& job, const GroupPricer& groups) {
  const Strategy& s = job.strategy;
  const FrameworkProfile& p = job.profile;
  if (s.zero < 3 || groups.grid().size(Axis::DP_SHARD) < 2) return UnitCopies::None;
  if (p.fsdp_keeps_under_pp && s.pp > 1 && s.reshard_after_forward < 1) return UnitCopies::None;
  const bool again = s.reshard_after_forward < 0 ? p.reshard_after_forward : s.reshard_after_forward > 0;
  return again ? UnitCopies::BothWays : UnitCopies::Forward;
}

}  // namespace

BlockContext block_context(const Job& job, const GroupPricer& groups, const LocalSizes& sizes) {
  const Strategy& s = job.strategy;
  return {job.device,
          job.profile,
          groups,
          sizes,
          s.recompute,
          s.precision,
          s.fp8_recipe,
          s.zero,
          static_cast<double>(job.micro_batches()),
          splits_backward(s),
          s.int8_recipe,
          s.recompute_modules,
          unit_copies(job, groups)};
}

void visit_blocks(const Job& job, const GroupPricer& groups, const LocalSizes& sizes,
                  const std::function<void(const BlockUse&)>& visit) {
  const ModelSpec& model = job.model;
  BlockContext context = block_context(job, groups, sizes);
  visit({Part::Stem, model.stem, context, BlockRole::Stem});
  const std::vector<char> again = recomputed_layers(model, job.strategy);
  auto next = again.begin();
  for (const LayerRun& run : model.layers) {
    const auto end = next + run.repeat;
    visit({Part::Layer, run.block, context, BlockRole::Layer, run.repeat,
           static_cast<int>(std::count_if(next, end, [](char a) { return a != 0; }))});
    next = end;
  }
  visit({Part::Head, model.head, context, BlockRole::Head});
  context.recompute = recomputes_prediction(job.strategy) ? job.strategy.recompute : Recompute::None;
  for (const LayerRun& run : model.prediction) {
    visit({Part::Prediction, run.block, context, predicts(run.block) ? BlockRole::Head : BlockRole::Layer, run.repeat,
           run.repeat});
  }
  context.recompute = job.strategy.recompute;
  bool trained = false;  // gradients flow back to the first trained weight of an encoder
  for (const LayerRun& run : model.encoder) {
    context.sizes = encoder_sizes(model, run.block, job.strategy, job.profile, job.seq_len);
    trained |= trains(run.block);
    visit({Part::Encoder, run.block, context, BlockRole::Encoder, run.repeat, run.repeat, trained});
  }
}

}  // namespace dts

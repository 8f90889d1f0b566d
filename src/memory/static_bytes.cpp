#include "memory/static_bytes.hpp"

#include "compute/optimizer.hpp"
#include "error.hpp"

namespace dts {

namespace {

StateBytes share(double parameters, double shards, const StateRecipe& recipe, int zero) {
  const auto divided_from = [&](int stage, double bytes) { return parameters * bytes / (zero >= stage ? shards : 1); };
  return {divided_from(3, recipe.weight_bytes), divided_from(2, recipe.gradient_bytes),
          divided_from(1, recipe.optimizer_bytes), shards > 1 ? parameters * recipe.bucket_bytes : 0};
}

}  // namespace

double moment_bytes(Optimizer optimizer) noexcept {
  switch (optimizer) {
    case Optimizer::Adam: return 8;
    case Optimizer::Adam8bit: return 2 * kEightBitMomentBytes;
    case Optimizer::Momentum:
    case Optimizer::Muon: return 4;
    default: return 0;
  }
}

StateRecipe state_recipe(DType precision, Optimizer optimizer, const StateFacts& facts) {
  const double full = precision == DType::FP64 ? 8 : 4;
  // Types below 16 bits are cast from 16-bit weights at each use.
  const bool mixed = bytes_of(precision) < 4;
  const double working = mixed ? 2 : full;
  StateRecipe recipe;
  recipe.weight_bytes = facts.fp32_shards ? full : working;
  recipe.gradient_bytes = facts.gradients == GradientStorage::Fp32 || facts.fp32_shards ? full : working;
  if (mixed && facts.gradients == GradientStorage::Both) recipe.gradient_bytes = working + full;
  const bool master = mixed && !facts.fp32_shards;
  const double moments = moment_bytes(optimizer) * (optimizer == Optimizer::Adam8bit ? 1 : full / 4);
  recipe.optimizer_bytes = moments + full * (master ? 1 : 0);
  recipe.moment_bytes = moments;
  recipe.bucket_bytes = facts.dp_buckets ? working : 0;
  return recipe;
}

StateBytes state_bytes(const LocalParameters& parameters, const StateRecipe& recipe, int zero) {
  Checker check;
  check.require(zero >= 0 && zero <= 3, "zero", std::to_string(zero), "0, 1, 2 or 3");
  check.non_negative("parameters.dense", parameters.dense);
  check.non_negative("parameters.expert", parameters.expert);
  check.require(parameters.dense_shards >= 1,
                [&] { return Violation{"dense_shards", number_text(parameters.dense_shards), "at least 1", ""}; });
  check.require(parameters.expert_shards >= 1,
                [&] { return Violation{"expert_shards", number_text(parameters.expert_shards), "at least 1", ""}; });
  check.throw_if_any();
  const StateBytes dense = share(parameters.dense, parameters.dense_shards, recipe, zero);
  const StateBytes expert = share(parameters.expert, parameters.expert_shards, recipe, zero);
  return {dense.weights + expert.weights, dense.gradients + expert.gradients, dense.optimizer + expert.optimizer,
          dense.buckets + expert.buckets};
}

}  // namespace dts

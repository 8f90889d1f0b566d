// Bytes that live through the whole step: weights, gradients and optimizer state of the parameters one rank holds.
// ZeRO stages divide them over the data-parallel group (Rajbhandari et al. 2020, arXiv:1910.02054 §5: 2Ψ + 2Ψ + KΨ);
// routed experts have a group of their own. A recipe is bytes per local parameter; frameworks differ in the facts of
// `StateFacts`. Padding of parameters and buckets is left out (< 0.01 % at every published size).
#pragma once

#include "hardware/dtype.hpp"
#include "parallel/strategy.hpp"

namespace dts {

enum class GradientStorage {
  Working,  // in the type the weights are used in
  Fp32,     // accumulated in one fp32 buffer (Megatron "main gradients")
  Both,     // working-type gradients beside an fp32 accumulator
};

// Bytes of the update rule's moments per parameter, fp32 unless they are 8-bit; Adafactor's factors round to none.
// Muon: of a matrix it orthogonalises.
double moment_bytes(Optimizer optimizer) noexcept;

struct StateFacts {
  GradientStorage gradients = GradientStorage::Working;
  bool fp32_shards = false;  // stored weights are fp32 and cast when used (FSDP mixed precision)
  bool dp_buckets = false;   // working-type buckets beside the gradients when dp > 1 (nanotron's DDP)
};

struct StateRecipe {  // bytes per local parameter
  double weight_bytes = 2;
  double gradient_bytes = 2;
  double optimizer_bytes = 12;  // master weight and moments
  double moment_bytes = 8;      // of them
  double bucket_bytes = 0;      // held only when dp > 1, never sharded
};

// The recipe of a precision and optimizer; below fp32 the optimizer keeps an fp32 master weight.
StateRecipe state_recipe(DType precision, Optimizer optimizer, const StateFacts& facts = {});

struct LocalParameters {  // after tensor, pipeline and expert parallelism
  double dense = 0, expert = 0;
  double dense_shards = 1;   // data-parallel size, context parallelism included
  double expert_shards = 1;  // data-parallel size of an expert: world / (pp * ep * etp)
};

struct StateBytes {
  double weights = 0, gradients = 0, optimizer = 0, buckets = 0;
  double total() const noexcept { return weights + gradients + optimizer + buckets; }
};

// ZeRO stage 1 divides the optimizer state by the shards, 2 the gradients too, 3 the weights too. Throws ConfigError.
StateBytes state_bytes(const LocalParameters& parameters, const StateRecipe& recipe, int zero);

}  // namespace dts

#include "parallel/recompute_check.hpp"

#include <algorithm>
#include <string>

#include "parallel/recompute_layers.hpp"
#include "parallel/recompute_modules.hpp"

namespace dts {

namespace {

constexpr RecomputeModule kAll[] = {RecomputeModule::CoreAttention, RecomputeModule::Mlp,
                                    RecomputeModule::Moe,           RecomputeModule::MoeActivation,
                                    RecomputeModule::LayerNorm,     RecomputeModule::MlaUpProjection,
                                    RecomputeModule::SharedExperts};

bool has(const ModelSpec& model, RecomputeModule module) {
  return std::any_of(model.layers.begin(), model.layers.end(),
                     [&](const LayerRun& run) { return !recompute_regions(run.block.ops, {module}).empty(); });
}

std::string modules_of(const ModelSpec& model) {
  std::string names;
  for (RecomputeModule module : kAll) {
    if (has(model, module)) names += (names.empty() ? "" : ", ") + std::string(name_of(module));
  }
  return names.empty() ? "none: its layers have no such part" : names;
}

void check_modules(Checker& check, const ModelSpec& model, const Strategy& s) {
  const auto named = [&](RecomputeModule module) {
    return std::count(s.recompute_modules.begin(), s.recompute_modules.end(), module) > 0;
  };
  const std::string where = "strategy.recompute_modules";
  for (RecomputeModule module : kAll) {
    if (!named(module)) continue;
    const std::string name(name_of(module));
    check.require(has(model, module), where, name, "modules that " + model.name + " has: " + modules_of(model));
  }
  check.require(s.recompute == Recompute::Selective || s.recompute_modules.empty(), where,
                std::to_string(s.recompute_modules.size()) + " modules", "none unless recompute is selective",
                "use recompute=\"selective\"");
  // Refused by Megatron-Core (transformer_config.py __post_init__) as well.
  check.require(!named(RecomputeModule::SharedExperts) || !s.overlap_shared_experts, where, "shared_experts",
                "other modules while overlap_shared_experts runs them beside the exchange");
  check.require(!named(RecomputeModule::Moe) || !s.overlap_moe_1f1b, where, "moe",
                "other modules while overlap_moe_1f1b runs the exchange beside another pass",
                "recompute moe_act or layernorm instead");
  const bool past_scales = s.precision == DType::FP8 && s.fp8_recipe == Fp8Recipe::Delayed;
  for (RecomputeModule module : {RecomputeModule::MoeActivation, RecomputeModule::LayerNorm}) {
    check.require(!named(module) || !past_scales, where, std::string(name_of(module)),
                  "other modules under fp8 with delayed scaling", "use fp8_recipe=\"tensorwise\", say");
  }
}

void check_layers(Checker& check, const Strategy& s) {
  const bool given = s.recompute_layers >= 0;
  const std::string layers = std::to_string(s.recompute_layers), where = "strategy.recompute_layers";
  check.require(s.recompute == Recompute::Full || (!given && s.recompute_method == RecomputeMethod::Uniform),
                given ? where : "strategy.recompute_method", given ? layers : "a choice of layers",
                "none unless recompute is full", "use recompute=\"full\"");
  check.require(s.recompute_layers >= -1, where, layers, "a number of layers");
  check.require(s.recompute_method == RecomputeMethod::Block || s.recompute_layers != 0, where, "0",
                "at least 1 unless recompute_method is block", "use recompute_method=\"block\" or recompute=\"none\"");
  if (s.recompute != Recompute::Full || s.recompute_method != RecomputeMethod::Uniform || s.recompute_layers <= 1)
    return;
  check.require(s.zero < 3, where, layers, "1 under zero=3, which gathers weights for one layer at a time",
                "use recompute_method=\"block\" to recompute fewer layers");
  check.require(s.offload_activations == 0, where, layers, "1 where the kept inputs are offloaded");
}

constexpr OffloadModule kOffloadable[] = {
    OffloadModule::AttnNorm, OffloadModule::QkvLinear, OffloadModule::CoreAttention, OffloadModule::AttnProj,
    OffloadModule::MlpNorm,  OffloadModule::ExpertFc1, OffloadModule::MoeActivation};

bool has(const ModelSpec& model, OffloadModule module) {
  return std::any_of(model.layers.begin(), model.layers.end(), [&](const LayerRun& run) {
    const std::vector<char> inputs = offloaded_inputs(run.block.ops, {module});
    return std::find(inputs.begin(), inputs.end(), 1) != inputs.end();
  });
}

void check_offloaded(Checker& check, const ModelSpec& model, const Strategy& s) {
  const auto named = [&](OffloadModule module) {
    return std::count(s.offload_modules.begin(), s.offload_modules.end(), module) > 0;
  };
  std::string known;
  for (OffloadModule module : kOffloadable) {
    if (has(model, module)) known += (known.empty() ? "" : ", ") + std::string(name_of(module));
  }
  for (OffloadModule module : kOffloadable) {
    check.require(!named(module) || has(model, module), "strategy.offload_modules", std::string(name_of(module)),
                  "modules that " + model.name + " has: " + known);
  }
  check.require(!named(OffloadModule::AttnProj) || named(OffloadModule::CoreAttention), "strategy.offload_modules",
                "attn_proj", "core_attn beside it: attention's backward reads the same tensor", "add core_attn");
  const bool whole = s.recompute == Recompute::Full && !recomputes_by_place(s);
  check.require(s.offload_modules.empty() || !whole, "strategy.offload_modules",
                std::to_string(s.offload_modules.size()) + " modules",
                "none under full recomputation, which keeps no input of a module", "use recompute=\"selective\"");
}

}  // namespace

void check_recompute(Checker& check, const ModelSpec& model, const Strategy& s) {
  if (!s.recompute_modules.empty()) check_modules(check, model, s);
  if (s.recompute_layers != -1 || s.recompute_method != RecomputeMethod::Uniform) check_layers(check, s);
  if (!s.offload_modules.empty()) check_offloaded(check, model, s);
}

}  // namespace dts

#include "memory/plan_variants.hpp"

#include <algorithm>
#include <utility>

namespace dts {

namespace {

constexpr const char* kZeroSource = "Rajbhandari et al. 2020, arXiv:1910.02054: 2P + 2P + KP, sharded by stage";
constexpr const char* kRecomputeSource = "Korthikanti et al. 2022, arXiv:2205.05198: forward is a third of the step";
constexpr const char* kOffloadSource = "Ren et al. 2021, arXiv:2101.06840; Rajbhandari et al. 2021, arXiv:2104.07857";

class Table {
 public:
  Table(const MemoryPlan& base, const Tiers& tiers) : base_(base), tiers_(tiers) {
    rows_.push_back({"base", "the plan as given", base, estimate(base, tiers), 0, 0, 0, 0});
  }

  template <typename Change>
  void add(const std::string& name, const char* source, Change change) {
    StrategyRow row;
    row.name = name;
    row.source = source;
    row.plan = base_;
    change(row.plan);
    row.estimate = estimate(row.plan, tiers_);
    const MemoryEstimate& base = rows_.front().estimate;
    row.saved_bytes = base.hbm_bytes() - row.estimate.hbm_bytes();
    row.extra_flops_fraction = row.estimate.extra_flops_fraction - base.extra_flops_fraction;
    row.extra_communication_bytes = row.estimate.communication_bytes - base.communication_bytes;
    row.extra_transfer_s = row.estimate.transfer_s - base.transfer_s;
    rows_.push_back(std::move(row));
  }

  void add_offload(const std::string& what, MemoryTier MemoryPlan::*field) {
    for (MemoryTier tier : {MemoryTier::CPU, MemoryTier::DISK}) {
      if (base_.*field == tier) continue;
      add("offload " + what + " to " + std::string(name_of(tier)), kOffloadSource,
          [&](MemoryPlan& p) { p.*field = tier; });
    }
  }

  std::vector<StrategyRow> take() { return std::move(rows_); }

 private:
  const MemoryPlan& base_;
  const Tiers& tiers_;
  std::vector<StrategyRow> rows_;
};

void add_precision(Table& table, const MemoryPlan& base) {
  if (bytes_of(base.precision) < 4) {
    table.add("fp32", "4P + 4P + moments", [](MemoryPlan& p) { p.precision = DType::FP32; });
  } else {
    table.add("mixed precision bf16", "Micikevicius et al. 2018, arXiv:1710.03740: 2P + 2P + fp32 master and moments",
              [](MemoryPlan& p) { p.precision = DType::BF16; });
  }
}

}  // namespace

std::vector<StrategyRow> strategy_table(const MemoryPlan& base, const Tiers& tiers) {
  Table table(base, tiers);
  add_precision(table, base);
  for (int stage = 0; stage <= 3 && base.devices > 1; ++stage) {
    if (stage == base.zero) continue;
    table.add("zero " + std::to_string(stage), kZeroSource, [&](MemoryPlan& p) { p.zero = stage; });
  }
  const bool blocks = base.blocks.blocks > 0;
  for (Recompute recompute : {Recompute::Selective, Recompute::Full}) {
    if (!blocks || recompute == base.recompute) continue;
    table.add(recompute == Recompute::Full ? "full recompute" : "selective recompute", kRecomputeSource,
              [&](MemoryPlan& p) { p.recompute = recompute; });
  }
  table.add_offload("optimizer", &MemoryPlan::optimizer_tier);
  if (blocks) {
    table.add_offload("parameters", &MemoryPlan::parameter_tier);
    table.add_offload("activations", &MemoryPlan::activation_tier);
  }
  const int single = static_cast<int>(std::min(base.samples_per_device, 2147483647.0));
  if (single > base.accumulation_steps) {
    table.add("gradient accumulation", "activations of one micro-batch of one sample",
              [&](MemoryPlan& p) { p.accumulation_steps = single; });
  }
  return table.take();
}

}  // namespace dts

// What each memory strategy saves and costs, one change at a time against a plan: the same estimate, run twice.
#pragma once

#include <string>
#include <vector>

#include "memory/plan.hpp"

namespace dts {

struct StrategyRow {
  std::string name;    // e.g. "zero 2"
  std::string source;  // formula and paper
  MemoryPlan plan;
  MemoryEstimate estimate;
  double saved_bytes = 0;           // HBM of the base minus HBM of this plan; negative = needs more
  double extra_flops_fraction = 0;  // the rest: this plan minus the base
  double extra_communication_bytes = 0;
  double extra_transfer_s = 0;
};

// The base plan first, then every strategy that differs from it and applies: the other precision, the ZeRO stages
// (several devices), recomputation and offloads (those that work block by block when the blocks are known), and one
// sample per micro-batch. Throws ConfigError as `estimate` does.
std::vector<StrategyRow> strategy_table(const MemoryPlan& base, const Tiers& tiers);

}  // namespace dts

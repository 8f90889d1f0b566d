#include "step/tasks/gather_order.hpp"

#include <algorithm>
#include <cstddef>

namespace dts {

namespace {

bool contains(const std::vector<int>& all, int stage) { return std::find(all.begin(), all.end(), stage) != all.end(); }

}  // namespace

GatherOrder::GatherOrder(const StepPlan& plan) : plan_(plan), stages_(plan.order.size()), begin_(plan.order.size()) {
  for (std::size_t rank = 0; rank < plan.order.size(); ++rank) {
    if (plan.zero == 3) {
      plan.keeps_gathered ? window(rank) : every_pass(rank);
    } else if (plan.zero > 0 && plan.overlap_param_gather) {
      first_forwards(rank);
    }
  }
}

void GatherOrder::set(std::size_t rank, std::size_t pass, const int* stages, std::size_t count) {
  begin_[rank].resize(pass + 1, static_cast<std::uint32_t>(stages_[rank].size()));
  stages_[rank].insert(stages_[rank].end(), stages, stages + count);
}

int GatherOrder::stage_of(std::size_t rank, const Pass& pass) const {
  return plan_.placement().stage_of(static_cast<int>(rank), pass.chunk);
}

// FSDP: for forward, and for backward of what was resharded. A weight gradient alone needs no weights.
void GatherOrder::every_pass(std::size_t rank) {
  const std::vector<Pass>& passes = plan_.order[rank];
  stages_[rank].reserve(passes.size()), begin_[rank].reserve(passes.size());
  for (std::size_t k = 0; k < passes.size(); ++k) {
    const bool forward = passes[k].kind == PassKind::Forward;
    if (forward || (gives_input_gradient(passes[k].kind) && plan_.reshard_after_forward)) {
      const int stage = stage_of(rank, passes[k]);
      set(rank, k, &stage, 1);
    }
  }
}

// Sharded optimizer states: once, before the first forward. Of several chunks the first two are gathered when the step
// starts, each further one when the chunk before it starts (Megatron-Core schedules.py, param_sync_func).
void GatherOrder::first_forwards(std::size_t rank) {
  const std::vector<Pass>& passes = plan_.order[rank];
  std::vector<char> seen(static_cast<std::size_t>(plan_.placement().chunks), 0);
  std::vector<std::size_t> firsts;
  for (std::size_t k = 0; k < passes.size() && firsts.size() < seen.size(); ++k) {
    const auto chunk = static_cast<std::size_t>(passes[k].chunk);
    if (passes[k].kind != PassKind::Forward || seen[chunk]) continue;
    seen[chunk] = 1, firsts.push_back(k);
  }
  for (std::size_t i = 0; i < firsts.size(); ++i) {
    const int stage = stage_of(rank, passes[firsts[i]]);
    set(rank, firsts[i < 2 ? 0 : i - 1], &stage, 1);
  }
}

void GatherOrder::window(std::size_t rank) {
  const std::vector<std::vector<int>> held = gathered_stages(plan_, static_cast<int>(rank));
  for (std::size_t k = 0; k < held.size(); ++k) {
    std::vector<int> anew;
    for (int stage : held[k]) {
      if (k == 0 || !contains(held[k - 1], stage)) anew.push_back(stage);
    }
    set(rank, k, anew.data(), anew.size());
  }
}

std::vector<std::vector<int>> gathered_stages(const StepPlan& plan, int rank) {
  if (!plan.keeps_gathered) return {};
  const StagePlacement placement = plan.placement();
  const std::vector<Pass>& passes = plan.order[static_cast<std::size_t>(rank)];
  const auto chunks = static_cast<std::size_t>(placement.chunks);
  const std::size_t most =
      plan.unsharded_stages > 0 ? std::min(chunks, static_cast<std::size_t>(plan.unsharded_stages)) : chunks;
  std::vector<std::vector<int>> held(passes.size());
  std::vector<int> next;  // distinct stages from pass k on, nearest first
  for (std::size_t k = passes.size(); k-- > 0;) {
    const int stage = placement.stage_of(rank, passes[k].chunk);
    next.erase(std::remove(next.begin(), next.end(), stage), next.end());
    next.insert(next.begin(), stage);
    held[k].assign(next.begin(), next.begin() + static_cast<std::ptrdiff_t>(std::min(most, next.size())));
  }
  return held;
}

}  // namespace dts

#include "schedule/windows.hpp"

#include <algorithm>

namespace dts {

namespace {

std::vector<std::size_t> boundaries(const std::vector<Pass>& passes, int period) {
  std::vector<std::size_t> at;
  int next = 0;
  for (std::size_t i = 0; i < passes.size(); ++i) {
    const Pass& pass = passes[i];
    if (pass.kind != PassKind::Forward || pass.chunk != 0 || pass.micro_batch != next) continue;
    at.push_back(i);
    next += period;
  }
  return at;
}

// Whether the window at `a` is that at `b` with other micro-batches, the same number later each.
bool alike(const std::vector<Pass>& passes, std::size_t a, std::size_t b, std::size_t length) {
  const int later = passes[b].micro_batch - passes[a].micro_batch;
  return std::equal(passes.begin() + static_cast<std::ptrdiff_t>(a),
                    passes.begin() + static_cast<std::ptrdiff_t>(a + length),
                    passes.begin() + static_cast<std::ptrdiff_t>(b), [&](const Pass& x, const Pass& y) {
                      return x.kind == y.kind && x.chunk == y.chunk && x.with_next == y.with_next &&
                             y.micro_batch - x.micro_batch == later;
                    });
}

}  // namespace

int order_period(const Strategy& s) {
  if (!s.custom_order.empty()) return 0;
  switch (s.schedule) {
    case PipelineSchedule::OneFOneB:
      return s.vpp == 1 && s.micro_batch_group == 0 ? 1 : s.micro_batch_group > 0 ? s.micro_batch_group : s.pp;
    case PipelineSchedule::ZbH1:
    case PipelineSchedule::ZbH2:
    case PipelineSchedule::ZbV:
    case PipelineSchedule::VHalf:
    case PipelineSchedule::VMin:
    case PipelineSchedule::DualPipeV: return 1;
    case PipelineSchedule::DualPipe: return 2;
    default: return 0;  // all of one kind first, greedy, or fitted to times
  }
}

int kept_windows(const Strategy& s) { return s.schedule == PipelineSchedule::OneFOneB && s.vpp > 1 ? 2 : 3; }

int shortest_order(const Strategy& s, int windows) {
  const int period = order_period(s);
  const bool interleaves = s.schedule == PipelineSchedule::OneFOneB && (s.vpp > 1 || s.micro_batch_group > 0);
  if (interleaves) return (windows + 1) * std::max(period, s.pp);
  if (s.schedule == PipelineSchedule::OneFOneB) return s.pp + windows;
  return (s.schedule == PipelineSchedule::ZbH1 ? 1 : 3) * s.pp + (windows + 2) * period;
}

bool runs_in_lockstep(const Strategy& s) {
  if (!s.custom_order.empty() || s.overlap_moe_1f1b || (s.pp == 1 && s.vpp > 1)) return false;
  return s.schedule == PipelineSchedule::OneFOneB || s.schedule == PipelineSchedule::GPipe ||
         s.schedule == PipelineSchedule::LoopedBfs;
}

int shortest_lockstep(const Strategy& s) {
  return shortest_order(s, s.vpp > 1 || s.micro_batch_group > 0 ? 2 : kept_windows(s) + 1);
}

namespace {

// Of several: the one chunk of plain 1F1B's last rank begins where its windows do.
bool all_chunks_begin(const std::vector<Pass>& passes, std::size_t end) {
  std::vector<bool> begun;
  for (std::size_t i = 0; i < passes.size(); ++i) {
    const auto chunk = static_cast<std::size_t>(passes[i].chunk);
    if (chunk >= begun.size()) begun.resize(chunk + 1, false);
    if (i < end && passes[i].kind == PassKind::Forward) begun[chunk] = true;
  }
  return begun.size() > 1 && std::find(begun.begin(), begun.end(), false) == begun.end();
}

}  // namespace

OrderWindows windows_of(const PipelineOrder& order, int period) {
  OrderWindows windows;
  std::vector<std::vector<std::size_t>> starts;
  std::size_t most = order.empty() ? 0 : static_cast<std::size_t>(-1);
  for (const std::vector<Pass>& passes : order) {
    starts.push_back(boundaries(passes, period));
    most = std::min(most, starts.back().size());
  }
  if (most < 2) return windows;
  std::vector<bool> repeats(most - 1,
                            true);  // window k like window k + 1, on all ranks; the last window may not end here
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    const std::vector<std::size_t>& at = starts[rank];
    for (std::size_t k = 0; k + 1 < most; ++k) {
      const std::size_t length = at[k + 1] - at[k];
      const std::size_t end = k + 2 < at.size() ? at[k + 2] : order[rank].size();
      repeats[k] = repeats[k] && at[k + 1] + length <= end && (k + 2 >= at.size() || at[k + 2] - at[k + 1] == length) &&
                   alike(order[rank], at[k], at[k + 1], length);
    }
  }
  std::size_t best = 0, run = 0, last = 0;
  for (std::size_t k = 0; k < repeats.size(); ++k) {
    run = repeats[k] ? run + 1 : 0;
    if (run > best) best = run, last = k;
  }
  if (best == 0) return windows;
  windows.count = best + 1;
  windows.begun = true;
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    const std::size_t first = last + 1 - best;
    windows.first.push_back(starts[rank][first]);
    windows.begun = windows.begun && all_chunks_begin(order[rank], starts[rank][first]);
    windows.length.push_back(starts[rank][first + 1] - starts[rank][first]);
  }
  return windows;
}

}  // namespace dts

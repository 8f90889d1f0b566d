#include "schedule/pipeline.hpp"

#include <utility>

#include "parallel/schedule_check.hpp"
#include "schedule/custom_order.hpp"

namespace dts {

bool needs_pass_times(PipelineSchedule schedule) {
  return schedule == PipelineSchedule::Zb1p || schedule == PipelineSchedule::Zb2p;
}

bool splits_backward(const Strategy& s) {
  return !s.custom_order.empty() || s.delay_weight_grad || cuts_backward(s.schedule);
}

bool pairs_passes(const Strategy& s) {
  return s.overlap_moe_1f1b || s.schedule == PipelineSchedule::DualPipe || s.schedule == PipelineSchedule::DualPipeV;
}

PipelineOrder delay_weight_gradients(PipelineOrder order) {
  for (std::vector<Pass>& passes : order) {
    std::vector<Pass> split;
    split.reserve(passes.size() * 3 / 2);
    for (const Pass& pass : passes) {
      split.push_back(pass);
      if (pass.kind != PassKind::Backward) continue;
      split.back().kind = PassKind::BackwardInput;
      split.push_back({PassKind::BackwardWeight, pass.chunk, pass.micro_batch});
    }
    passes = std::move(split);
  }
  return order;
}

namespace {

PipelineOrder scheduled(const Strategy& s, int micro_batches, const PassTimes& times) {
  switch (s.schedule) {
    case PipelineSchedule::OneFOneB:
      return interleaved(s.pp, s.vpp, micro_batches, s.micro_batch_group, s.overlap_moe_1f1b);
    case PipelineSchedule::GPipe: return gpipe(s.pp, micro_batches);
    case PipelineSchedule::LoopedBfs: return looped_bfs(s.pp, s.vpp, micro_batches);
    case PipelineSchedule::ZbH1: return zero_bubble(s.pp, micro_batches, 1);
    case PipelineSchedule::ZbH2: return zero_bubble(s.pp, micro_batches, 2);
    case PipelineSchedule::Zb1p: return zero_bubble_auto(times, micro_batches, s.pp);
    case PipelineSchedule::Zb2p: return zero_bubble_auto(times, micro_batches, 2 * s.pp);
    case PipelineSchedule::ZbV: return zero_bubble_v(s.pp, micro_batches);
    case PipelineSchedule::VHalf: return v_half(s.pp, micro_batches);
    case PipelineSchedule::VMin: return v_min(s.pp, micro_batches);
    case PipelineSchedule::DualPipe: return dual_pipe(s.pp, micro_batches);
    case PipelineSchedule::DualPipeV: return dual_pipe_v(s.pp, micro_batches);
    case PipelineSchedule::Hanayo: return hanayo(s.pp, s.vpp, micro_batches);
  }
  return {};
}

}  // namespace

PipelineOrder pipeline_order(const Strategy& s, int micro_batches, const PassTimes& times) {
  if (!s.custom_order.empty()) return parse_order(s.custom_order);
  PipelineOrder order = scheduled(s, micro_batches, times);
  if (s.delay_weight_grad) order = delay_weight_gradients(std::move(order));
  return order;
}

}  // namespace dts

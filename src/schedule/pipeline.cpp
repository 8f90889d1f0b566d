#include "schedule/pipeline.hpp"

#include "schedule/custom_order.hpp"

namespace dts {

bool needs_pass_times(PipelineSchedule schedule) {
  return schedule == PipelineSchedule::Zb1p || schedule == PipelineSchedule::Zb2p;
}

bool splits_backward(const Strategy& s) {
  if (!s.custom_order.empty()) return true;
  switch (s.schedule) {
    case PipelineSchedule::OneFOneB:
    case PipelineSchedule::GPipe:
    case PipelineSchedule::LoopedBfs:
    case PipelineSchedule::Hanayo: return false;
    default: return true;
  }
}

PipelineOrder pipeline_order(const Strategy& s, int micro_batches, const PassTimes& times) {
  if (!s.custom_order.empty()) return parse_order(s.custom_order);
  switch (s.schedule) {
    case PipelineSchedule::OneFOneB: return interleaved(s.pp, s.vpp, micro_batches, s.micro_batch_group, s.overlap_moe_1f1b);
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

}  // namespace dts

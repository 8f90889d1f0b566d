// Pipeline schedules by rule. `pp` ranks, `vpp` chunks a rank; the placement of stages is parallel/stage_map.hpp.
// Published closed forms of bubble and memory: docs/guide/step.md; tests hold them.
#pragma once

#include "parallel/stage_map.hpp"
#include "parallel/strategy.hpp"
#include "schedule/pass.hpp"
#include "schedule/zero_bubble_auto.hpp"

namespace dts {

// GPipe (Huang et al. arXiv:1811.06965): all forwards, then all backwards.
PipelineOrder gpipe(int pp, int micro_batches);
// PipeDream-flush (Narayanan et al. arXiv:2006.09503): warm-up of pp-1-rank forwards, then one forward, one backward.
PipelineOrder one_f_one_b(int pp, int micro_batches);
// Interleaved 1F1B (Narayanan et al. arXiv:2104.04473): vpp chunks a rank, groups of `group` micro-batches (0 = pp).
// `pairs`: one forward more before the first backward, then each forward and the backward after it run as one
// (Megatron-Core combined_1f1b.py).
PipelineOrder interleaved(int pp, int vpp, int micro_batches, int group = 0, bool pairs = false);
// Forwards of a rank before its first backward in these, `pairs` aside.
int forwards_ahead(int rank, int pp, int vpp = 1, int group = 0);
// Breadth first (Lamy-Poirier arXiv:2211.05953): all micro-batches of a chunk before the next chunk.
PipelineOrder looped_bfs(int pp, int vpp, int micro_batches);
// ZB-H1 (depth 1, memory of 1F1B) and ZB-H2 (depth 2, twice that): Qi et al. arXiv:2401.10241.
PipelineOrder zero_bubble(int pp, int micro_batches, int depth);
// ZB-V: two chunks a rank in a V, memory of 1F1B (Qi et al. arXiv:2405.15362).
PipelineOrder zero_bubble_v(int pp, int micro_batches);
// V-Half and V-Min (same paper): half and a third of 1F1B's memory. micro_batches >= pp.
PipelineOrder v_half(int pp, int micro_batches);
PipelineOrder v_min(int pp, int micro_batches);
// DualPipe (DeepSeek-V3, arXiv:2412.19437): two copies of the model, half of the micro-batches each way. pp and
// micro_batches even, micro_batches >= 2 pp. DualPipeV: one copy, folded to a V; micro_batches >= 2 pp.
PipelineOrder dual_pipe(int pp, int micro_batches);
PipelineOrder dual_pipe_v(int pp, int micro_batches);
// Hanayo (Liu et al. arXiv:2308.15762): vpp / 2 waves.
PipelineOrder hanayo(int pp, int vpp, int micro_batches);

// Every whole backward in its two halves, one after the other: the input gradient leaves between them (Megatron-Core
// delay_wgrad_compute).
PipelineOrder delay_weight_gradients(PipelineOrder order);

// Whether the order depends on how long passes take (ZB-1p and ZB-2p: schedule/zero_bubble_auto.hpp).
bool needs_pass_times(PipelineSchedule schedule);

// Whether weight gradients run apart from input gradients in it.
bool splits_backward(const Strategy& strategy);

// Whether some of its passes run as one with the next (Pass::with_next).
bool pairs_passes(const Strategy& strategy);

// The order of a strategy: `custom_order` if given, else the schedule's.
PipelineOrder pipeline_order(const Strategy& strategy, int micro_batches, const PassTimes& times = {});

}  // namespace dts

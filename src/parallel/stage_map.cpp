#include "parallel/stage_map.hpp"

namespace dts {

bool StagePlacement::visits(int stage, int micro_batch, int micro_batches) const noexcept {
  if (micro_batch < 0 || micro_batch >= micro_batches) return false;
  return copies() == 1 || (micro_batch < micro_batches / 2) == (stage < pp);
}

StageMap stage_map(PipelineSchedule schedule) {
  switch (schedule) {
    case PipelineSchedule::ZbV:
    case PipelineSchedule::VHalf:
    case PipelineSchedule::VMin:
    case PipelineSchedule::DualPipeV:
    case PipelineSchedule::Hanayo: return StageMap::Wave;
    case PipelineSchedule::DualPipe: return StageMap::Bidirectional;
    default: return StageMap::Loop;
  }
}

StagePlacement placement(const Strategy& strategy) {
  const StageMap map = stage_map(strategy.schedule);
  return {map, strategy.pp, map == StageMap::Bidirectional ? 2 : strategy.vpp};
}

}  // namespace dts

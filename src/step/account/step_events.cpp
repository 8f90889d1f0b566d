#include "step/account/step_events.hpp"

namespace dts {

namespace {

using Places = std::vector<std::vector<std::uint32_t>>;

Places places_of(const std::vector<std::uint32_t>& first_members, const Places& members, EventRanks ranks) {
  Places places;
  for (std::uint32_t member : first_members) {
    places.push_back(members[member]);
    if (ranks == EventRanks::First) places.back().resize(1);
  }
  return places;
}

}  // namespace

EventRecorder::EventRecorder(const StepProgram& step, const StepPlan& plan, const RankGrid& grid,
                             const RankClasses& classes, const RankView* view, EventRanks ranks)
    : step_(step), plan_(plan), grid_(grid), view_(view) {
  if (!view) return;
  units_ = places_of(classes.first_unit, view->units, ranks);
  lanes_ = places_of(classes.first_lane, view->lanes, ranks);
}

void EventRecorder::visit(TaskId task, const Instances& instances) {
  const Space space = space_of(step_.tasks[task].kind);
  if (space == Space::World) return;
  const Message message = message_of(plan_, grid_, step_.tasks[task]);
  for (std::uint32_t i = 0; i < instances.count; ++i) {
    if (instances.end_s[i] <= instances.start_s[i]) continue;
    step_.program.for_streams(task, [&](StreamId stream) {
      const auto stage = static_cast<std::int32_t>(stream / kStreamsPerRank);
      TaskInfo info = step_.tasks[task];
      const auto add = [&](std::int32_t rank) {
        info.rank = rank;
        events_.tasks.push_back(info);
        events_.start_s.push_back(instances.start_s[i]);
        events_.end_s.push_back(instances.end_s[i]);
        events_.messages.push_back(message);
      };
      if (!view_) return add(stage);
      for (std::uint32_t place : (space == Space::Unit ? units_ : lanes_)[i]) add(view_->rank(place, stage));
    });
  }
}

}  // namespace dts

#include "step/memory/memory_timeline.hpp"

#include <algorithm>

namespace dts {

namespace {

double time_of(const PassSpans& spans, int rank, const RankTape& tape, const TapeMoment& moment, bool after) {
  if (moment.pass >= tape.passes.size()) return after ? spans.update(rank).end_s : spans.update(rank).start_s;
  const TimeSpan span = spans.block(rank, tape.passes[moment.pass], moment.block);
  return after ? span.end_s : (span.start_s + span.end_s) / 2;
}

}  // namespace

void PassSpans::visit(TaskId task, const Instances& instances) {
  const TaskInfo& info = step_.tasks[task];
  const TimeSpan now{instances.start_s[0], instances.end_s[0]};
  if (info.kind == TaskKind::Optimizer) updates_[info.rank] = now;
  const bool computes = info.kind == TaskKind::Forward || info.kind == TaskKind::Backward ||
                        info.kind == TaskKind::InputGrad || info.kind == TaskKind::WeightGrad;
  if (!computes) return;
  const Key key{info.rank, static_cast<int>(pass_of(info.kind)), plan_.placement().chunk_of(info.stage),
                info.micro_batch};
  const auto [span, is_new] = passes_.try_emplace(key, now);
  if (is_new) return;
  span->second = {std::min(span->second.start_s, now.start_s), std::max(span->second.end_s, now.end_s)};
}

TimeSpan PassSpans::update(int rank) const {
  const auto found = updates_.find(rank);
  if (found != updates_.end()) return found->second;
  double end_s = 0;  // it runs elsewhere: after the last pass
  for (const auto& [key, span] : passes_) end_s = std::get<0>(key) == rank ? std::max(end_s, span.end_s) : end_s;
  return {end_s, end_s};
}

TimeSpan PassSpans::block(int rank, const Pass& pass, std::size_t position) const {
  const auto found = passes_.find(Key{rank, static_cast<int>(pass.kind), pass.chunk, pass.micro_batch});
  if (found == passes_.end()) return {};
  const StageCost& stage = plan_.stages[static_cast<std::size_t>(plan_.placement().stage_of(rank, pass.chunk))];
  double before = 0, own = 0, all = 0;
  for (std::size_t b = 0; b < stage.blocks.size(); ++b) {
    const std::size_t place = pass.kind == PassKind::Forward ? b : stage.blocks.size() - 1 - b;
    const double seconds = parts_of(*stage.blocks[place], pass.kind).total_s();
    all += seconds;
    if (b < position) before += seconds;
    if (b == position) own = seconds;
  }
  const double scale = all > 0 ? (found->second.end_s - found->second.start_s) / all : 0;
  const double start_s = found->second.start_s + before * scale;
  return {start_s, start_s + own * scale};
}

std::vector<MemoryTimeline> memory_timelines(const PassSpans& spans, const StepTapes& tapes) {
  std::vector<MemoryTimeline> made;
  for (std::size_t r = 0; r < tapes.ranks.size(); ++r) {
    const RankTape& tape = tapes.ranks[r];
    const int rank = static_cast<int>(r);
    MemoryTimeline memory;
    bool after = false;  // moments come in pairs
    memory.moments.push_back({0, resident_bytes(tape)});
    for_each_moment(tape, [&](const TapeMoment& moment, const CategoryBytes& bytes) {
      const double before_s = memory.moments.back().time_s;
      memory.moments.push_back({std::max(before_s, time_of(spans, rank, tape, moment, after)), bytes});
      after = !after;
    });
    memory.peak = peak_of(tape);
    memory.peak_time_s = time_of(spans, rank, tape, memory.peak.moment, false);
    memory.live = live_tensors(tape, memory.peak.moment);
    made.push_back(std::move(memory));
  }
  return made;
}

}  // namespace dts

#include "step/memory_timeline.hpp"

#include <algorithm>
#include <map>
#include <tuple>

namespace dts {

namespace {

struct Span {
  double start_s = 0, end_s = 0;
};

class Spans {  // of passes and updates
 public:
  Spans(const StepPlan& plan, const StepProgram& step, const Timeline& timeline) : plan_(plan) {
    const StagePlacement placement = plan.placement();
    for (std::size_t t = 0; t < step.tasks.size(); ++t) {
      const TaskInfo& info = step.tasks[t];
      const bool computes = info.kind == TaskKind::Forward || info.kind == TaskKind::Backward ||
                            info.kind == TaskKind::InputGrad || info.kind == TaskKind::WeightGrad;
      if (info.kind == TaskKind::Optimizer) extend(update_[info.rank], timeline, t);
      if (!computes) continue;
      const auto key = std::make_tuple(info.rank, static_cast<int>(pass_of(info.kind)), placement.chunk_of(info.stage), info.micro_batch);
      const auto found = passes_.find(key);
      if (found == passes_.end()) {
        passes_[key] = {timeline.start_s[t], timeline.end_s[t]};
      } else {
        extend(found->second, timeline, t);
      }
    }
  }

  Span pass(int rank, const Pass& pass) const {
    const auto found = passes_.find(std::make_tuple(rank, static_cast<int>(pass.kind), pass.chunk, pass.micro_batch));
    return found == passes_.end() ? Span{} : found->second;
  }
  Span update(int rank) const {
    const auto found = update_.find(rank);
    return found == update_.end() ? Span{} : found->second;
  }

  // Of one block of a pass, by its share of the pass's kernels.
  Span block(int rank, const Pass& pass_, std::size_t position) const {
    const Span whole = pass(rank, pass_);
    const StageCost& stage = plan_.stages[static_cast<std::size_t>(plan_.placement().stage_of(rank, pass_.chunk))];
    double before = 0, own = 0, all = 0;
    for (std::size_t b = 0; b < stage.blocks.size(); ++b) {
      const std::size_t place = pass_.kind == PassKind::Forward ? b : stage.blocks.size() - 1 - b;
      const double seconds = parts_of(*stage.blocks[place], pass_.kind).total_s();
      all += seconds;
      if (b < position) before += seconds;
      if (b == position) own = seconds;
    }
    const double scale = all > 0 ? (whole.end_s - whole.start_s) / all : 0;
    return {whole.start_s + before * scale, whole.start_s + (before + own) * scale};
  }

 private:
  static void extend(Span& span, const Timeline& timeline, std::size_t t) {
    span.start_s = span.end_s > 0 ? std::min(span.start_s, timeline.start_s[t]) : timeline.start_s[t];
    span.end_s = std::max(span.end_s, timeline.end_s[t]);
  }

  const StepPlan& plan_;
  std::map<std::tuple<int, int, int, int>, Span> passes_;
  std::map<int, Span> update_;
};

double time_of(const Spans& spans, int rank, const RankTape& tape, const TapeMoment& moment, bool after) {
  if (moment.pass >= tape.passes.size()) return after ? spans.update(rank).end_s : spans.update(rank).start_s;
  const Span span = spans.block(rank, tape.passes[moment.pass], moment.block);
  return after ? span.end_s : (span.start_s + span.end_s) / 2;
}

}  // namespace

std::vector<MemoryTimeline> memory_timelines(const StepPlan& plan, const StepProgram& step, const Timeline& timeline,
                                             const StepTapes& tapes) {
  const Spans spans(plan, step, timeline);
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

AllocatorReplay replay(const RankTape& tape, const CachingAllocator::Options& options, int steps) {
  CachingAllocator allocator(options);
  AllocatorReplay result;
  std::int64_t id = -1;
  for (const TapeTensor& t : tape.resident) result.fits = result.fits && allocator.allocate(id--, t.bytes);
  for (int s = 0; s < steps && result.fits; ++s) {
    for_each_allocation(tape, [&](const TapeAllocation& a) {
      if (!result.fits) return;
      if (a.frees) {
        allocator.free(a.id);
      } else {
        result.fits = allocator.allocate(a.id, a.bytes);
      }
    });
  }
  result.peak_allocated_bytes = allocator.peak_allocated_bytes();
  result.peak_reserved_bytes = allocator.peak_reserved_bytes();
  result.retries = allocator.retries();
  return result;
}

}  // namespace dts

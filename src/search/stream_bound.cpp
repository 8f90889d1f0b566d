#include "search/stream_bound.hpp"

#include <algorithm>
#include <iterator>
#include <limits>

namespace dts {

namespace {

double least_work(const StageCost& stage, bool split) {
  double least = 1;
  for (const BlockCost* block : stage.blocks) {
    const auto see = [&](PassKind kind) {
      const PassParts parts = parts_of(*block, kind);
      if (parts.total_s() > 0) least = std::min(least, parts.own_s() / parts.total_s());
    };
    see(PassKind::Forward);
    if (split) {
      see(PassKind::BackwardInput), see(PassKind::BackwardWeight);
    } else {
      see(PassKind::Backward);
    }
  }
  return least;
}

}  // namespace

StreamBound::StreamBound(const Job& job, const PricedModel& priced, const GroupPricer& groups,
                         const std::vector<ChunkLayers>& chunks)
    : parallel_(job, groups) {
  // Units of encoders and prediction layers are not told apart here, and copies have streams of their own.
  const bool plain = job.model.encoder.empty() && job.model.prediction.empty();
  if (job.strategy.zero < 2 || !plain) return;
  parallel_.set_rules(rules_);
  for (std::size_t v = 0; v < chunks.size(); ++v) {
    const auto same =
        std::find_if(chunks.begin(), chunks.begin() + static_cast<std::ptrdiff_t>(v), [&](const ChunkLayers& c) {
          return v > 0 && job.model.layers.size() == 1 && &c != &chunks.front() && c.count == chunks[v].count &&
                 c.has_stem == chunks[v].has_stem && c.has_head == chunks[v].has_head;
        });
    const auto at = static_cast<std::size_t>(std::distance(chunks.begin(), same));
    uses_.push_back(at < v ? uses_[at] : use_of(job, priced, chunks[v], v == 0));
  }
}

StreamBound::Use StreamBound::use_of(const Job& job, const PricedModel& priced, const ChunkLayers& chunk,
                                     bool first) const {
  const StageCost stage = stage_of(job.model, priced, chunk);
  const std::vector<StageComm::Unit> units = parallel_.units(stage, first);
  Use use;
  const bool gathers = job.strategy.zero == 3 && !rules_.keeps_gathered;
  const bool reduces = job.strategy.zero == 2 || rules_.reduce_every_micro_batch;
  for (std::size_t u = 0; u < units.size(); ++u) {
    const StageComm::Unit& unit = units[u];
    const double gather_s = gathers ? std::max(0.0, unit.gather_s) : 0;
    const bool again =
        gathers && rules_.reshard_after_forward && u + 1 < units.size();  // backward begins with the last
    use.gathered_s += gather_s + (!again ? 0 : unit.regather_s >= 0 ? unit.regather_s : gather_s);
    if (!reduces || unit.reduce_s < 0) continue;
    if (u == 0 && gather_s > 0) use.turn_s = gather_s + unit.reduce_s;
    use.reduced_s += unit.reduce_s, use.held = std::min(use.held, unit.held);
  }
  if (rules_.interference) use.work = least_work(stage, splits_backward(job.strategy));
  return use;
}

double StreamBound::least_s(const Rank& rank) const {
  if (uses_.empty()) return 0;
  Use all;
  all.turn_s = std::numeric_limits<double>::infinity();
  for (std::size_t v : rank.chunks) {
    const Use& use = uses_[v];
    all.gathered_s += use.gathered_s, all.reduced_s += use.reduced_s, all.turn_s = std::min(all.turn_s, use.turn_s);
    all.held = std::min(all.held, use.held), all.work = std::min(all.work, use.work);
  }
  // What is not reduced while the rank waits takes from the compute beside it.
  const double taken = rules_.interference ? std::min(all.work * all.held, 1 - kSlowestPace) : 0;
  const double waits_s = rank.idle_s + rank.turns * all.turn_s;
  return std::max(rank.passes * (all.gathered_s + all.reduced_s),
                  rank.busy_s + taken * rank.passes * all.reduced_s + (1 - taken) * waits_s);
}

}  // namespace dts

#include "search/bounds.hpp"

#include <algorithm>
#include <limits>
#include <memory>

#include "parallel/recompute_layers.hpp"
#include "parallel/stages.hpp"
#include "schedule/pipeline.hpp"
#include "schedule/rank_tape.hpp"
#include "search/parallel_for.hpp"
#include "search/placed_jobs.hpp"
#include "search/stream_bound.hpp"
#include "step/memory/rank_states.hpp"
#include "step/plan/stage_cost.hpp"

namespace dts {

namespace {

constexpr std::size_t kRowsAtOnce = 256;
constexpr double kRounding = 1 - 1e-9;  // sums in another order

// Of a block, or of the blocks of a stage, one micro-batch.
struct LeastCost {
  double forward_s = 0, backward_s = 0;
  double saved_bytes = 0;  // of layers

  void add(const LeastCost& other, double times) {
    forward_s += times * other.forward_s, backward_s += times * other.backward_s,
        saved_bytes += times * other.saved_bytes;
  }
};

// Exchanges between experts may run behind the pass that this one is paired with.
double least_s(const BlockCost& block, PassKind kind, bool paired) {
  const PassParts parts = parts_of(block, kind);
  return parts.total_s() - (paired ? parts.expert_exchange_s() : 0);
}

LeastCost least_cost(const BlockCost& block, bool split, bool paired) {
  LeastCost cost{least_s(block, PassKind::Forward, paired), least_s(block, PassKind::Backward, paired)};
  if (split) {
    cost.backward_s = std::min(cost.backward_s, least_s(block, PassKind::BackwardInput, paired) +
                                                    least_s(block, PassKind::BackwardWeight, paired));
  }
  return cost;
}

// Visits the runs of layers in a stage: visit(run, layers of it).
template <class Visit>
void for_runs(const ModelSpec& model, const ChunkLayers& chunk, Visit visit) {
  int first = 0;
  for (std::size_t run = 0; run < model.layers.size(); ++run) {
    const int end = first + model.layers[run].repeat;
    const int count = std::min(end, chunk.first + chunk.count) - std::max(first, chunk.first);
    if (count > 0) visit(run, count);
    first = end;
  }
}

class Bounder {
 public:
  Bounder(const Job& job, PriceBook& book, bool memory)
      : job_(job), s_(job.strategy), grid_(s_), place_(placement(s_)), chunks_(partition(job.model, s_)),
        groups_(book.groups(job, grid_)), priced_(book.priced(job, *groups_)) {
    if (memory) tapes_ = book.tapes(job, *priced_);
    lay_out();
  }

  double step_time_s() const {
    if (job_.network.node_kinds() > 1) return 0;
    const StreamBound stream(job_, *priced_, *groups_, chunks_);
    double longest = 0;
    for (int rank = 0; rank < s_.pp; ++rank) longest = std::max(longest, rank_s(rank, stream));
    return longest * kRounding + job_.profile.step_cost_s;
  }

  double allocated_bytes() const {
    double most = 0;
    for (int rank = 0; rank < s_.pp; ++rank) {
      const RankStates states = rank_states(job_, parameters(rank));
      most = std::max(most, states.weights + states.gradients + states.optimizer + saved_bytes(rank));
    }
    return most * kRounding;
  }

 private:
  void lay_out() {
    const bool split = splits_backward(s_);
    const bool paired = pairs_passes(s_);
    const auto of_layer = [&](std::size_t layer) {
      LeastCost cost = least_cost(*priced_->layers[layer], split, paired);
      if (tapes_ && s_.offload_activations == 0) cost.saved_bytes = total(tapes_->layers[layer]->forward_sum.after);
      return cost;
    };
    const bool by_place = recomputes_by_place(s_);  // then layers of a run differ
    std::vector<LeastCost> runs;
    std::size_t first = 0;
    for (std::size_t run = 0; run < job_.model.layers.size(); ++run) {
      runs.push_back(of_layer(first));
      first += static_cast<std::size_t>(job_.model.layers[run].repeat);
    }
    const LeastCost stem = least_cost(*priced_->blocks.front(), split, paired),
                    head = least_cost(*priced_->blocks.back(), split, paired);
    double forwards = 0, backwards = 0;
    for (std::size_t v = 0; v < chunks_.size(); ++v) {
      LeastCost stage;
      if (by_place)
        for (int i = 0; i < chunks_[v].count; ++i)
          stage.add(of_layer(static_cast<std::size_t>(chunks_[v].first + i)), 1);
      else for_runs(job_.model, chunks_[v], [&](std::size_t run, int count) { stage.add(runs[run], count); });
      if (chunks_[v].has_stem && !job_.model.stem.ops.empty()) stage.add(stem, 1);
      if (chunks_[v].has_head && !job_.model.head.ops.empty()) stage.add(head, 1);
      if (place_.previous(static_cast<int>(v)) < 0) forwards = backwards = 0;
      stages_.push_back(stage), forwards_before_.push_back(forwards), backwards_before_.push_back(backwards);
      forwards += stage.forward_s, backwards += stage.backward_s;
    }
  }

  int warm_up(int rank) const { return forwards_ahead(rank, s_.pp, s_.vpp, s_.micro_batch_group); }  // in 1F1B

  // Forwards that come right after a backward.
  double turns(int rank) const {
    const bool known = s_.schedule == PipelineSchedule::OneFOneB && s_.custom_order.empty() && !splits_backward(s_) &&
                       !s_.overlap_moe_1f1b;
    return known ? std::max(0, job_.micro_batches() * s_.vpp - warm_up(rank) - 1) : 0;
  }

  std::size_t stage_of(int rank, int chunk) const { return static_cast<std::size_t>(place_.stage_of(rank, chunk)); }

  double rank_s(int rank, const StreamBound& stream) const {
    const double passes = static_cast<double>(job_.micro_batches()) / place_.copies();
    const bool apart = s_.optimizer_post_validation;  // steps overlap: each rank starts as soon as it is done
    double busy = 0, start = std::numeric_limits<double>::infinity(), end = start;
    std::vector<std::size_t> own;
    for (int chunk = 0; chunk < place_.chunks; ++chunk) {
      const std::size_t v = stage_of(rank, chunk);
      own.push_back(v);
      busy += stages_[v].forward_s + stages_[v].backward_s;
      start = std::min(start, forwards_before_[v]), end = std::min(end, backwards_before_[v]);
    }
    const double idle = apart ? 0 : start + (splits_backward(s_) ? 0 : end);
    return std::max(passes * busy + idle, stream.least_s({own, passes, passes * busy, idle, turns(rank)}));
  }

  RankParameters parameters(int rank) const {
    RankParameters sum(grid_);
    for (int c = 0; c < place_.chunks; ++c) {
      const ChunkLayers& chunk = chunks_[stage_of(rank, c)];
      for_runs(job_.model, chunk, [&](std::size_t run, int count) { sum.add(*priced_->blocks[run + 1], s_, count); });
      if (chunk.has_stem && !job_.model.stem.ops.empty()) sum.add(*priced_->blocks.front(), s_);
      if (chunk.has_head && !job_.model.head.ops.empty()) sum.add(*priced_->blocks.back(), s_);
    }
    return sum;
  }

  double saved_bytes(int rank) const {
    double one = 0, least = std::numeric_limits<double>::infinity();
    for (int chunk = 0; chunk < place_.chunks; ++chunk) {
      const double saved = stages_[stage_of(rank, chunk)].saved_bytes;
      one += saved;
      least = std::min(least, saved);
    }
    if (!s_.custom_order.empty() || place_.copies() == 2) return place_.copies() == 2 ? least : one;
    const int m = job_.micro_batches();
    if (s_.schedule == PipelineSchedule::GPipe || s_.schedule == PipelineSchedule::LoopedBfs) return m * one;
    if (s_.schedule != PipelineSchedule::OneFOneB) return one;
    return std::max(one, std::min(warm_up(rank) + 1, m * s_.vpp) * least);
  }

  const Job& job_;
  const Strategy& s_;
  RankGrid grid_;
  StagePlacement place_;
  std::vector<ChunkLayers> chunks_;
  std::shared_ptr<const GroupPricer> groups_;
  std::shared_ptr<const PricedModel> priced_;
  std::shared_ptr<const ModelTapes> tapes_;
  std::vector<LeastCost> stages_;
  std::vector<double> forwards_before_, backwards_before_;  // of the stages before it, per stage
};

}  // namespace

StrategyBounds strategy_bounds(const Job& job, const StrategyTable& table, const BoundsAsked& asked, int threads,
                               BookShelf& shelf) {
  check_table(table);
  check_descriptions(job);
  const std::vector<double> unknown(table.rows, std::numeric_limits<double>::quiet_NaN());
  StrategyBounds bounds{unknown, unknown};
  parallel_for((table.rows + kRowsAtOnce - 1) / kRowsAtOnce, threads, [&] {
    return [&, jobs = std::make_shared<PlacedJobs>(job, table, shelf)](std::size_t batch) {
      const std::size_t end = std::min(table.rows, (batch + 1) * kRowsAtOnce);
      for (std::size_t row = batch * kRowsAtOnce; row < end; ++row) {
        const Job& placed = jobs->row(row);
        if (!is_legal(placed)) continue;
        const Bounder bounder(placed, jobs->book(), asked.memory);
        if (asked.memory) bounds.allocated_bytes[row] = bounder.allocated_bytes();
        const bool fits = !(bounds.allocated_bytes[row] > asked.room_bytes);
        bounds.step_time_s[row] = fits ? bounder.step_time_s() : std::numeric_limits<double>::infinity();
      }
    };
  });
  return bounds;
}

}  // namespace dts

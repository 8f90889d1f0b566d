#include "search/bounds.hpp"

#include <algorithm>
#include <limits>
#include <memory>

#include "error.hpp"
#include "parallel/stages.hpp"
#include "schedule/pipeline.hpp"
#include "search/parallel_for.hpp"
#include "step/price_book.hpp"
#include "step/rank_states.hpp"

namespace dts {

namespace {

constexpr std::size_t kRowsAtOnce = 256;
constexpr double kRounding = 1 - 1e-9;  // sums in another order

struct StageBounds {
  double forward_s = 0, backward_s = 0;
  double saved_bytes = 0;  // of its layers, one micro-batch
};

// Exchanges between experts may run behind the pass that this one is paired with.
double least_s(const StageCost& stage, PassKind kind, bool paired) {
  double total = 0;
  for (const BlockCost* block : stage.blocks) {
    const PassParts parts = parts_of(*block, kind);
    total += parts.total_s() - (paired ? parts.expert_exchange_s() : 0);
  }
  return total;
}

double least_backward_s(const StageCost& stage, bool split, bool paired) {
  const double whole = least_s(stage, PassKind::Backward, paired);
  if (!split) return whole;
  return std::min(whole, least_s(stage, PassKind::BackwardInput, paired) + least_s(stage, PassKind::BackwardWeight, paired));
}

class Bounder {
 public:
  Bounder(const Job& job, RankGrid grid, PriceBook& book, bool memory)
      : job_(job), s_(job.strategy), grid_(std::move(grid)), place_(placement(s_)), groups_(book.groups(job, grid_)) {
    step_.priced = book.priced(job, *groups_);
    if (memory) step_.tapes = book.tapes(job, *step_.priced);
    step_.plan.stage_map = place_.map;
    step_.plan.order.resize(static_cast<std::size_t>(s_.pp));
    lay_out();
  }

  double step_time_s() const {
    if (job_.network.node_kinds() > 1) return 0;
    double longest = 0;
    for (int rank = 0; rank < s_.pp; ++rank) longest = std::max(longest, rank_s(rank));
    return longest * kRounding + job_.profile.step_cost_s;
  }

  double allocated_bytes() const {
    double most = 0;
    for (int rank = 0; rank < s_.pp; ++rank) {
      const RankStates states = rank_states(job_, step_, grid_, rank);
      most = std::max(most, states.weights + states.gradients + states.optimizer + saved_bytes(rank));
    }
    return most * kRounding;
  }

 private:
  void lay_out() {
    const bool split = splits_backward(s_), paired = s_.overlap_moe_1f1b || place_.copies() == 2 || s_.schedule == PipelineSchedule::DualPipeV;
    std::vector<const BlockCost*> layers;
    for (std::size_t run = 0; run < job_.model.layers.size(); ++run) {
      layers.insert(layers.end(), static_cast<std::size_t>(job_.model.layers[run].repeat), step_.priced->blocks[run + 1].get());
    }
    for (const ChunkLayers& chunk : partition(job_.model, s_)) {
      StageCost stage;
      const auto first = layers.begin() + chunk.first;
      stage.blocks.assign(first, first + chunk.count);
      if (chunk.has_stem && !job_.model.stem.ops.empty()) stage.blocks.push_back(step_.priced->blocks.front().get());
      if (chunk.has_head && !job_.model.head.ops.empty()) stage.blocks.push_back(step_.priced->blocks.back().get());
      StageBounds bounds{least_s(stage, PassKind::Forward, paired), least_backward_s(stage, split, paired)};
      const bool keeps = step_.tapes && s_.offload_activations == 0;
      for (int layer = chunk.first; keeps && layer < chunk.first + chunk.count; ++layer) {
        const BlockTape& tape = *step_.tapes->runs[step_.tapes->run_of_layer[static_cast<std::size_t>(layer)]];
        bounds.saved_bytes += net_bytes(tape, tape.forward);
      }
      stages_.push_back(bounds);
      step_.plan.stages.push_back(std::move(stage));
      step_.plan.comm.emplace_back();
    }
  }

  const StageBounds& stage(int rank, int chunk) const { return stages_[static_cast<std::size_t>(place_.stage_of(rank, chunk))]; }

  double rank_s(int rank) const {
    const double passes = static_cast<double>(job_.micro_batches()) / place_.copies();
    const bool apart = s_.optimizer_post_validation;  // steps overlap: each rank starts as soon as it is done
    double busy = 0, start = std::numeric_limits<double>::infinity(), end = start;
    for (int chunk = 0; chunk < place_.chunks; ++chunk) {
      busy += stage(rank, chunk).forward_s + stage(rank, chunk).backward_s;
      double forwards = 0, backwards = 0;
      for (int v = place_.previous(place_.stage_of(rank, chunk)); v >= 0; v = place_.previous(v)) {
        forwards += stages_[static_cast<std::size_t>(v)].forward_s;
        backwards += stages_[static_cast<std::size_t>(v)].backward_s;
      }
      start = std::min(start, forwards), end = std::min(end, backwards);
    }
    return passes * busy + (apart ? 0 : start) + (apart || splits_backward(s_) ? 0 : end);
  }

  double saved_bytes(int rank) const {
    double one = 0, least = std::numeric_limits<double>::infinity();
    for (int chunk = 0; chunk < place_.chunks; ++chunk) {
      one += stage(rank, chunk).saved_bytes;
      least = std::min(least, stage(rank, chunk).saved_bytes);
    }
    if (!s_.custom_order.empty() || place_.copies() == 2) return place_.copies() == 2 ? least : one;
    const int m = job_.micro_batches(), behind = s_.pp - 1 - rank;
    if (s_.schedule == PipelineSchedule::GPipe || s_.schedule == PipelineSchedule::LoopedBfs) return m * one;
    if (s_.schedule != PipelineSchedule::OneFOneB) return one;
    const int width = s_.micro_batch_group == 0 ? s_.pp : s_.micro_batch_group;
    const int warm_up = s_.vpp == 1 ? behind : 2 * behind + (s_.vpp - 1) * width;
    return std::max(one, std::min(warm_up + 1, m * s_.vpp) * least);
  }

  const Job& job_;
  const Strategy& s_;
  RankGrid grid_;
  StagePlacement place_;
  std::shared_ptr<const GroupPricer> groups_;
  PlannedStep step_;
  std::vector<StageBounds> stages_;
};

}  // namespace

StrategyBounds strategy_bounds(const Job& asked, const StrategyTable& table, bool memory, int threads) {
  check_table(table);
  check_descriptions(asked);
  const std::vector<double> unknown(table.rows, std::numeric_limits<double>::quiet_NaN());
  StrategyBounds bounds{unknown, unknown};
  parallel_for((table.rows + kRowsAtOnce - 1) / kRowsAtOnce, threads, [&] {
    return [&, book = std::make_shared<PriceBook>(), strategy = Strategy()](std::size_t batch) mutable {
      const std::size_t end = std::min(table.rows, (batch + 1) * kRowsAtOnce);
      for (std::size_t row = batch * kRowsAtOnce; row < end; ++row) {
        table.read(row, strategy);
        Job job{asked.model, asked.device, asked.network, strategy, asked.profile, asked.seq_len, asked.other_devices, asked.kinds, asked.host};
        const Job placed{book->placed(asked.model, strategy, asked.profile), asked.device, asked.network, strategy, effective_profile(job),
                         asked.seq_len, asked.other_devices, asked.kinds, asked.host};
        try {
          book->check(placed);
        } catch (const DtsError&) {
          continue;
        }
        const Bounder bounder(placed, RankGrid(strategy), *book, memory);
        bounds.step_time_s[row] = bounder.step_time_s();
        if (memory) bounds.allocated_bytes[row] = bounder.allocated_bytes();
      }
    };
  });
  return bounds;
}

}  // namespace dts

#include "step/memory/step_memory.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "parallel/stages.hpp"
#include "schedule/tape.hpp"
#include "step/memory/host_lead.hpp"
#include "step/memory/outside_memory.hpp"
#include "step/memory/rank_residents.hpp"

namespace dts {

namespace {

class StepMemory {
 public:
  StepMemory(const Job& job, const PlannedStep& step, const RankGrid& grid)
      : job_(job), s_(job.strategy), step_(step), grid_(grid), placement_(placement(s_)),
        chunks_(partition(job.model, s_)), tapes_(*step.tapes) {}

  double weight_share() const {
    double most = 0;
    for (int stage = 0; stage < placement_.stages(); ++stage) {
      double forward = 0, weights = 0;
      for (const BlockTape* block : blocks_of(stage)) {
        forward += total(block->forward_sum.after);
        weights += total(block->forward_sum.after) + total(block->input_grad_sum.after);
      }
      if (forward > 0) most = std::max(most, weights / forward);
    }
    return std::min(most, 1.0);
  }

  // What a stage's unit copies to the host: of every unit but the last, which backward needs at once.
  double offloaded_bytes(std::size_t stage, std::size_t unit) const {
    const StageComm& comm = step_.plan.comm[stage];
    if (unit + 1 >= comm.units.size()) return 0;
    double bytes = 0;
    for_unit_blocks(comm, unit, true, [&](std::size_t block, double share) {
      const int layer = layer_at(stage, block);
      if (layer < 0) return;
      const BlockTape &whole = *tapes_.layers[static_cast<std::size_t>(layer)],
                      &rest = *tapes_.copied[static_cast<std::size_t>(layer)];
      bytes += share * (total(whole.forward_sum.after) - total(rest.forward_sum.after));
    });
    return bytes;
  }

  StepTapes tapes() {
    StepTapes made;
    RankResidents residents(job_, step_, grid_, chunks_);
    for (int rank = 0; rank < s_.pp; ++rank) {
      RankTape tape;
      TierBytes tiers = residents.hold(rank, tape);
      for (int c = 0; c < placement_.chunks; ++c) tape.chunks.push_back(blocks_of(placement_.stage_of(rank, c)));
      tape.passes = step_.plan.order.passes(static_cast<std::size_t>(rank));
      if (s_.offload_activations > 0) offload_activations(rank, tape, tiers);
      made.ranks.push_back(std::move(tape));
      made.tiers.push_back(tiers);
    }
    made.blocks = step_.tapes;
    return made;
  }

 private:
  std::size_t blocks_before_layers() const {  // encoder and stem
    std::size_t count = job_.model.stem.ops.empty() ? 0 : 1;
    for (const LayerRun& run : job_.model.encoder) count += static_cast<std::size_t>(run.repeat);
    return count;
  }

  int layer_at(std::size_t stage, std::size_t block) const {  // -1: not a layer
    const ChunkLayers& chunk = chunks_[stage];
    const std::size_t first = chunk.has_stem ? blocks_before_layers() : 0;
    const bool inside = block >= first && block < first + static_cast<std::size_t>(chunk.count);
    return inside ? chunk.first + static_cast<int>(block - first) : -1;
  }

  // In the order of StageCost::blocks.
  std::vector<const BlockTape*> blocks_of(int stage) const {
    const auto v = static_cast<std::size_t>(stage);
    const ChunkLayers& chunk = chunks_[v];
    std::vector<const BlockTape*> blocks;
    blocks.reserve(step_.plan.stages[v].blocks.size());
    if (chunk.has_stem) append(blocks, job_.model.encoder, tapes_.encoder);
    if (chunk.has_stem && !job_.model.stem.ops.empty()) blocks.push_back(tapes_.stem);
    for (int layer = chunk.first; layer < chunk.first + chunk.count; ++layer) {
      blocks.push_back(tapes_.layers[static_cast<std::size_t>(layer)]);
    }
    if (chunk.has_head) append(blocks, job_.model.prediction, tapes_.prediction);
    if (chunk.has_head && !job_.model.head.ops.empty()) blocks.push_back(tapes_.head);
    if (!tapes_.copied.empty()) use_copied(v, blocks);
    return blocks;
  }

  static void append(std::vector<const BlockTape*>& blocks, const std::vector<LayerRun>& runs,
                     const std::vector<const BlockTape*>& tapes) {
    for (std::size_t i = 0; i < runs.size(); ++i)
      blocks.insert(blocks.end(), static_cast<std::size_t>(runs[i].repeat), tapes[i]);
  }

  // Layers whose larger part lies in a unit that is copied to the host.
  void use_copied(std::size_t stage, std::vector<const BlockTape*>& blocks) const {
    if (step_.plan.comm.size() <= stage) return;
    const StageComm& comm = step_.plan.comm[stage];
    for (std::size_t u = 0; u + 1 < comm.units.size(); ++u) {
      for_unit_blocks(comm, u, true, [&](std::size_t block, double share) {
        const int layer = layer_at(stage, block);
        if (layer >= 0 && share >= 0.5) blocks[block] = tapes_.copied[static_cast<std::size_t>(layer)];
      });
    }
  }

  // On the device two units are on their way: one is copied while the other computes; as many on a host that passes
  // them on.
  void offload_activations(int rank, RankTape& tape, TierBytes& tiers) const {
    std::vector<ChunkTape> host;
    double in_transit = 0;
    for (int chunk = 0; chunk < placement_.chunks; ++chunk) {
      const auto stage = static_cast<std::size_t>(placement_.stage_of(rank, chunk));
      host.push_back({});
      for (std::size_t u = 0; u < step_.plan.comm[stage].units.size(); ++u) {
        const double bytes = offloaded_bytes(stage, u);
        host.back().forward_bytes += bytes;
        in_transit = std::max(in_transit, 2 * bytes);
      }
    }
    if (in_transit > 0)
      tape.in_passes.push_back({"", "copies to the host", std::round(in_transit), MemoryCategory::Activations});
    tiers[static_cast<std::size_t>(s_.activation_tier)] += peak_tape_bytes(tape.passes, host);
    if (job_.host.behind(s_.activation_tier)) tiers[static_cast<std::size_t>(OffloadTier::Host)] += in_transit;
  }

  const Job& job_;
  const Strategy& s_;
  const PlannedStep& step_;
  const RankGrid& grid_;
  StagePlacement placement_;
  std::vector<ChunkLayers> chunks_;  // per virtual stage
  const ModelTapes& tapes_;
};

}  // namespace

double weight_share(const Job& job, const PlannedStep& step, const RankGrid& grid) {
  return StepMemory(job, step, grid).weight_share();
}

void price_activation_copies(const Job& job, PlannedStep& step, const RankGrid& grid) {
  const StepMemory memory(job, step, grid);
  for (std::size_t stage = 0; stage < step.plan.comm.size(); ++stage) {
    const auto price = [&](std::vector<StageComm::Unit>& units) {
      for (std::size_t u = 0; u < units.size(); ++u) {
        const double bytes = memory.offloaded_bytes(stage, u);
        if (bytes <= 0) continue;
        units[u].activation_copy_s = bytes / job.host.copy_Bps;
        const TierRate* tier = job.host.behind(job.strategy.activation_tier);
        if (tier)
          units[u].activation_write_s = bytes / tier->write_Bps, units[u].activation_read_s = bytes / tier->read_Bps;
      }
    };
    step.plan.comm[stage].units.change(price);
  }
}

StepTapes tapes_of_step(const Job& job, const PlannedStep& step, const RankGrid& grid) {
  return StepMemory(job, step, grid).tapes();
}

StepTapes replayed_tapes(const Job& job, const PlannedStep& step, const RankGrid& grid) {
  StepTapes tapes = tapes_of_step(job, step, grid);
  const auto ranks = static_cast<int>(tapes.ranks.size());
  for (int rank = 0; rank < ranks; ++rank) {
    RankTape& tape = tapes.ranks[static_cast<std::size_t>(rank)];
    tape.lead = host_lead(job.profile, tape.passes, rank, ranks);
  }
  return tapes;
}

std::vector<MemoryReport> memory_of_step(const Job& job, const PlannedStep& step, const StepTapes& tapes) {
  const OutsideMemory outside(job, *step.groups, step.priced->sizes);
  std::vector<MemoryReport> reports;
  for (std::size_t rank = 0; rank < tapes.ranks.size(); ++rank) {
    const CategoryBytes peak = peak_of(tapes.ranks[rank]).bytes;
    const auto of = [&](MemoryCategory category) { return peak[static_cast<std::size_t>(category)]; };
    MemoryReport r;
    r.weights = of(MemoryCategory::Weights), r.gradients = of(MemoryCategory::Gradients);
    r.optimizer = of(MemoryCategory::Optimizer), r.activations = of(MemoryCategory::Activations);
    r.temporaries = of(MemoryCategory::Temporaries);
    r.gathered_parameters = of(MemoryCategory::GatheredParameters);
    r.communication_buffers = of(MemoryCategory::CommunicationBuffers);
    r.workspace = of(MemoryCategory::Workspace);
    outside.fill(r, static_cast<int>(rank));
    r.tiers = tapes.tiers[rank];
    r.update = total(update_bytes(tapes.ranks[rank]));
    reports.push_back(r);
  }
  return reports;
}

}  // namespace dts

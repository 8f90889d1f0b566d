#include "step/links/step_traffic.hpp"

#include <map>
#include <string>
#include <utility>

#include "error.hpp"
#include "interrupt.hpp"

namespace dts {

namespace {

// How often each distinct call is made on each pipeline rank.
class CallCounts {
 public:
  explicit CallCounts(const StepPlan& plan) : plan_(plan), placement_(plan.placement()) {}

  void add_task(const TaskInfo& info) {
    const auto v = static_cast<std::size_t>(info.stage);
    const StageComm& comm = plan_.comm[v];
    switch (info.kind) {
      case TaskKind::Forward:
      case TaskKind::Backward:
      case TaskKind::InputGrad: add_blocks(v, info); break;
      case TaskKind::ParamGather:
        add(v, gathered(comm.units[static_cast<std::size_t>(info.piece)], info.regather));
        break;
      case TaskKind::PipelineSend:
        if (plan_.send_gather_bytes > 0)
          add(receiver(info), {{CollectiveKind::AllGather, Axis::TP, plan_.send_gather_bytes}});
        break;
      case TaskKind::GradReduce: add(v, comm.units[static_cast<std::size_t>(info.piece)].reduce); break;
      case TaskKind::ReplicaReduce: add(v, comm.units[static_cast<std::size_t>(info.piece)].replica); break;
      default: break;
    }
  }

  // visit(pipeline rank, call, times)
  template <class Visit>
  void for_each(Visit visit) const {
    for (const auto& [key, times] : counts_) {
      visit(key.first, key.second, times);
    }
  }

 private:
  static const std::vector<CollectiveCall>& gathered(const StageComm::Unit& unit, bool again) {
    return again && unit.regather_s >= 0 ? unit.regather : unit.gather;
  }

  void add(std::size_t stage, const std::vector<CollectiveCall>& calls, double share = 1) {
    for (const CollectiveCall& call : calls) {
      counts_[{placement_.rank_of(static_cast<int>(stage)), call}] += share;
    }
  }

  std::size_t receiver(const TaskInfo& send) const {
    const bool forward = send.stream == StreamKind::SendForward;
    return static_cast<std::size_t>(forward ? placement_.next(send.stage) : placement_.previous(send.stage));
  }

  void add_blocks(std::size_t v, const TaskInfo& info) {
    for_pass_blocks(plan_, info, [&](const BlockCost& block, double share) {
      if (info.kind == TaskKind::Forward) return add(v, block.forward_calls, share);
      add(v, block.recompute_calls, share);
      add(v, block.backward_calls, share);
    });
  }

  const StepPlan& plan_;
  StagePlacement placement_;
  std::map<std::pair<int, CollectiveCall>, double> counts_;
};

// Transfers between neighbouring virtual stages, and the tied embedding between first and last.
void add_pipeline(const StepPlan& plan, const StepProgram& folded, const RankGrid& grid, const Interconnect& network,
                  std::vector<double>& matrix) {
  const StagePlacement placement = plan.placement();
  std::map<std::pair<int, int>, double> hops;  // (from, to) pipeline rank -> transfers
  for (const TaskInfo& info : folded.tasks) {
    if (info.kind != TaskKind::PipelineSend) continue;
    const int to = info.stream == StreamKind::SendForward ? placement.next(info.stage) : placement.previous(info.stage);
    hops[{placement.rank_of(info.stage), placement.rank_of(to)}] += 1;
  }
  for (const std::vector<int>& ranks : grid.groups(Axis::PP)) {
    for (const auto& [hop, times] : hops) {
      const RankGroup pair =
          network.group({ranks[static_cast<std::size_t>(hop.first)], ranks[static_cast<std::size_t>(hop.second)]});
      network.add_traffic(CollectiveKind::SendRecv, plan.send_bytes, times, pair, matrix);
    }
    for (std::size_t r = 0; r < plan.copy_reduce_bytes.size() / 2; ++r) {
      const RankGroup pair = network.group({ranks[r], ranks[ranks.size() - 1 - r]});
      network.add_traffic(CollectiveKind::AllReduce, plan.copy_reduce_bytes[r], 1, pair, matrix);
    }
    if (plan.tied_reduce_bytes > 0) {
      network.add_traffic(CollectiveKind::AllReduce, plan.tied_reduce_bytes, 1,
                          network.group({ranks.front(), ranks.back()}), matrix);
    }
  }
}

}  // namespace

std::vector<double> traffic_of_step(const StepPlan& plan, const StepProgram& folded, const RankGrid& grid,
                                    const Interconnect& network) {
  const auto world = static_cast<std::size_t>(grid.world());
  Checker check;
  check.require(grid.world() <= kMaxMatrixDevices, "devices", std::to_string(world),
                "at most " + std::to_string(kMaxMatrixDevices) + " in a traffic matrix");
  check.throw_if_any();
  std::vector<double> matrix(world * world, 0);
  CallCounts counts(plan);
  for (const TaskInfo& info : folded.tasks) counts.add_task(info);
  counts.for_each([&](int pipeline_rank, const CollectiveCall& call, double times) {
    for (std::vector<int>& ranks : grid.groups(call.axis)) {
      poll_interrupt(static_cast<std::int64_t>(ranks.size()));
      if (ranks.size() < 2 || grid.coordinate(ranks.front(), Axis::PP) != pipeline_rank) continue;
      if (call.kind == CollectiveKind::SendRecv) {  // a ring step: every member sends to the next
        for (std::size_t i = 0; i < ranks.size(); ++i) {
          const RankGroup pair = network.group({ranks[i], ranks[(i + 1) % ranks.size()]});
          network.add_traffic(call.kind, call.bytes, times, pair, matrix);
        }
        continue;
      }
      const RankGroup group = network.group(std::move(ranks));
      if (call.copies.deduplicated()) {
        network.add_exchange_traffic(call.bytes, call.copies, times, group, matrix);
      } else {
        network.add_traffic(call.kind, call.bytes, times, group, matrix);
      }
    }
  });
  if (grid.size(Axis::PP) > 1) add_pipeline(plan, folded, grid, network, matrix);
  return matrix;
}

}  // namespace dts

#include "step/links/flow_use.hpp"

#include <algorithm>
#include <array>

namespace dts {

namespace {

bool computes_pass(TaskKind kind) {
  return kind == TaskKind::Forward || kind == TaskKind::Backward || kind == TaskKind::InputGrad ||
         kind == TaskKind::WeightGrad;
}

// The axis whose time a pass keeps for these calls (pricing/op_passes.cpp).
Axis charged(Axis axis) { return axis == Axis::CP_HEADS || axis == Axis::CP_SEQUENCE ? Axis::CP : axis; }

constexpr Axis kInside[] = {Axis::TP, Axis::CP, Axis::EP, Axis::ETP};

}  // namespace

FlowUse::FlowUse(const StepPlan& plan, const StepProgram& step, StepFlows& flows)
    : plan_(plan), step_(step), placement_(plan.placement()), flows_(flows), of_task_(step.tasks.size(), kNoSource) {
  for (TaskId task = 0; task < step.tasks.size(); ++task) {
    const TaskInfo& info = step.tasks[task];
    of_task_[task] = computes_pass(info.kind) ? inside_of(info) : source_of(info);
  }
  flows_.lay();
}

std::size_t FlowUse::source_of(const TaskInfo& info) {
  const auto unit = [&]() -> const StageComm::Unit& {
    return plan_.comm[static_cast<std::size_t>(info.stage)].units[static_cast<std::size_t>(info.piece)];
  };
  const auto lane = [&](const std::vector<CollectiveCall>& calls) {
    return flows_.calls(Space::Lane, info.stream, info.rank, calls);
  };
  const auto pair = [&](CollectiveKind kind, int to, double bytes) {
    return flows_.between_stages(info.stream, kind, info.rank, to, bytes);
  };
  switch (info.kind) {
    case TaskKind::ParamGather: return lane(info.regather && unit().regather_s >= 0 ? unit().regather : unit().gather);
    case TaskKind::GradReduce: return lane(unit().reduce);
    case TaskKind::ReplicaReduce: return lane(unit().replica);
    case TaskKind::PipelineSend: {
      const int stage =
          info.stream == StreamKind::SendForward ? placement_.next(info.stage) : placement_.previous(info.stage);
      return pair(CollectiveKind::SendRecv, placement_.rank_of(stage), plan_.send_bytes);
    }
    case TaskKind::TiedReduce: return pair(CollectiveKind::AllReduce, placement_.pp - 1, plan_.tied_reduce_bytes);
    case TaskKind::CopyReduce:
      return pair(CollectiveKind::AllReduce, placement_.pp - 1 - info.rank,
                  plan_.copy_reduce_bytes[static_cast<std::size_t>(info.rank)]);
    default: return kNoSource;
  }
}

std::size_t FlowUse::inside_of(const TaskInfo& info) {
  const auto [at, is_new] =
      passes_.try_emplace(PassKey{info.stage, info.kind, info.piece, info.hidden}, inside_.size());
  if (!is_new) return at->second;
  std::vector<Inside> all;
  for_pass_blocks(plan_, info, [&](const BlockCost& block, double share) {
    const PassParts parts = parts_of(block, pass_of(info.kind));
    if (info.kind == TaskKind::WeightGrad) return;  // its collectives are the input gradient's
    if (parts.again) add_inside(all, info, *parts.again, block.recompute_calls, share);
    add_inside(all, info, *parts.cost, info.kind == TaskKind::Forward ? block.forward_calls : block.backward_calls,
               share);
  });
  inside_.push_back(std::move(all));
  return at->second;
}

void FlowUse::add_inside(std::vector<Inside>& all, const TaskInfo& info, const PassCost& cost,
                         const std::vector<CollectiveCall>& calls, double share) {
  for (Axis axis : kInside) {
    std::vector<CollectiveCall> own;
    for (const CollectiveCall& call : calls) {
      if (charged(call.axis) == axis && call.bytes > 0) own.push_back(call);
    }
    const auto a = static_cast<std::size_t>(axis);
    const double seconds = share * cost.comm_s[a];
    if (own.empty() || seconds <= 0) continue;
    const double hidden = axis == Axis::EP || axis == Axis::ETP ? info.hidden : 0;
    const double beside_s = share * (cost.comm_s[a] - (1 - hidden) * cost.exposed_s[a] + cost.slack_s[a]);
    all.push_back({flows_.calls(Space::Unit, StreamKind::Compute, info.rank, own, share), seconds, beside_s});
  }
}

bool FlowUse::units_differ() const {
  const auto binds = [&](std::size_t source) {
    return source != kNoSource && flows_.source(source).space == Space::Unit && flows_.binds(source);
  };
  for (TaskId task = 0; task < step_.tasks.size(); ++task) {
    if (!computes_pass(step_.tasks[task].kind) && binds(of_task_[task])) return true;
  }
  for (const std::vector<Inside>& pass : inside_) {
    for (const Inside& part : pass) {
      if (binds(part.source)) return true;
    }
  }
  return false;
}

bool FlowUse::lanes_differ() const {
  for (TaskId task = 0; task < step_.tasks.size(); ++task) {
    const bool lane = space_of(step_.tasks[task].kind) == Space::Lane;
    if (lane && of_task_[task] != kNoSource && flows_.binds(of_task_[task])) return true;
  }
  return false;
}

std::uint32_t FlowUse::member(Space space, std::uint32_t instance) const {
  switch (space) {
    case Space::Unit: return classes_->first_unit[instance];
    case Space::Lane: return classes_->first_lane[instance];
    default: return 0;
  }
}

double FlowUse::alone_s(TaskId task, std::uint32_t instance) const {
  const double seconds = step_.program.duration_s(task);
  const TaskInfo& info = step_.tasks[task];
  const bool own = info.stream == StreamKind::Compute || is_host_copy(info.stream);
  if (!own || space_of(info.kind) != Space::Unit) return seconds;
  const RankPrice& price = prices_->of_unit(static_cast<std::size_t>(info.rank), member(Space::Unit, instance));
  return seconds + (price.slowdown - 1) * step_.own_s[task];
}

double FlowUse::stretches(TaskId task, std::uint32_t instance, std::vector<Stretch>& out) {
  const TaskInfo& info = step_.tasks[task];
  const std::uint32_t member = this->member(space_of(info.kind), instance);
  const double alone_s = this->alone_s(task, instance);
  if (!computes_pass(info.kind)) {
    if (of_task_[task] == kNoSource || alone_s <= 0) {
      out.push_back({alone_s, 0, 0, 0, nullptr});
      return alone_s;
    }
    const FlowSource& source = flows_.source(of_task_[task]);
    const double transfer_s = std::min(source.transfer_s, alone_s);
    out.push_back({0, alone_s - transfer_s, transfer_s, 0, &source.of[member]});
    return alone_s;
  }
  double parts_s = 0;
  std::size_t parts = 0;
  const auto of_part = [](const Inside& part) { return std::max(part.seconds, part.beside_s); };
  for (const Inside& part : inside_[of_task_[task]]) {
    if (flows_.binds(part.source, member)) parts_s += of_part(part), ++parts;
  }
  const double gap_s = std::max(0.0, alone_s - parts_s) / static_cast<double>(parts + 1);
  for (const Inside& part : inside_[of_task_[task]]) {
    if (!flows_.binds(part.source, member)) continue;
    const FlowSource& source = flows_.source(part.source);
    const double transfer_s = std::min(source.transfer_s, part.seconds);
    out.push_back({gap_s, part.seconds - transfer_s, transfer_s, part.beside_s, &source.of[member]});
  }
  out.push_back({parts > 0 ? gap_s : alone_s, 0, 0, 0, nullptr});
  return alone_s;
}

void FlowUse::advance(double time_s) {
  if (flows_.clos().set_time(time_s)) flows_.route_again();
}

// ---- what went over the links
// ------------------------------------------------------------------------------------------

void FlowUse::log(const StepFootprint& print, double start_s, double end_s, double moved_s) {
  if (log_ == nullptr || end_s <= start_s) return;
  log_->reach(end_s);
  for (std::size_t i = 0; i < print.loads.size(); ++i) {
    const auto link = static_cast<int>(print.loads[i].link);
    log_->add_bytes(link, print.payload_Bps[i] * moved_s);
    if (log_->follows_time())
      log_->add_span(link, start_s, end_s, print.loads[i].rate_Bps * moved_s / (end_s - start_s));
  }
}

void FlowUse::moved(const Footprint& print, double start_s, double end_s, double speed) {
  log(static_cast<const StepFootprint&>(print), start_s, end_s, speed * (end_s - start_s));
}

// Collectives that stayed inside their pass: spread evenly over it.
void FlowUse::ended(TaskId task, std::uint32_t instance, double start_s, double end_s) {
  const TaskInfo& info = step_.tasks[task];
  if (log_ == nullptr || !computes_pass(info.kind)) return;
  const std::uint32_t unit = member(Space::Unit, instance);
  for (const Inside& part : inside_[of_task_[task]]) {
    if (!flows_.binds(part.source, unit))
      log(flows_.source(part.source).of[unit], start_s, end_s, flows_.source(part.source).transfer_s);
  }
}

void FlowUse::add_pairs(LinkLog& log) const {
  std::map<std::size_t, double> times;
  for (TaskId task = 0; task < step_.tasks.size(); ++task) {
    if (of_task_[task] == kNoSource) continue;
    if (!computes_pass(step_.tasks[task].kind)) {
      times[of_task_[task]] += 1;
      continue;
    }
    for (const Inside& part : inside_[of_task_[task]]) times[part.source] += 1;
  }
  for (const auto& [id, count] : times) {
    const FlowSource& source = flows_.source(id);
    for (std::uint32_t i = 0; i < source.of.size(); ++i) {
      for (const PairStream& stream : flows_.streams(source, i))
        log.add_pair(stream.from, stream.to, count * stream.bytes);
    }
  }
}

}  // namespace dts

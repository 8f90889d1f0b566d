#include "step/run/pass_runner.hpp"

#include <algorithm>
#include <utility>

#include "engine/time_grid.hpp"
#include "interrupt.hpp"
#include "step/run/run_pass.hpp"

namespace dts {

namespace {

std::size_t power_of_two(std::size_t at_least) {
  std::size_t power = 1;
  while (power < at_least) power *= 2;
  return power;
}

constexpr StreamKind kBesideCompute[] = {StreamKind::DataParallel, StreamKind::Replica, StreamKind::ToHost,
                                         StreamKind::FromHost, StreamKind::Storage};

}  // namespace

PassRunner::PassRunner(const StepPlan& plan, bool remembers, RunMemory& memory)
    : plan_(plan), micro_batches_(static_cast<std::size_t>(plan.micro_batches)), placement_(plan.placement()),
      plans_{&plan}, prices_(plan.order.size()), classes_(RankClasses::one()), breakdown_(plans_, prices_, classes_),
      exposure_(plans_, prices_, memory.lists), period_(plan),
      path_(static_cast<StreamId>(plan.order.size()) * kStreamsPerRank, plan.interference ? kStreamsPerRank : 0),
      issuer_(plan, *this), bound_(plan, issuer_.parallel(), exposure_), ranks_(plan.order.size()), memory_(memory) {
  const KeptTasks kept = issuer_.parallel().kept();
  recent_ = power_of_two(kept.recent);
  ends_s_.resize(recent_ * ranks_.size());
  const auto slots = plan.stages.size() * micro_batches_;
  forward_in_ = std::move(memory.forward_in), backward_in_ = std::move(memory.backward_in);
  forward_in_.assign(slots, kNotThere_s), backward_in_.assign(slots, kNotThere_s);
  waits_beside_ = plan.interference || plan.reductions_in_flight > 0 || (!plan.overlap_grad_reduce && plan.zero >= 2);
  if (remembers && plan.ranks_meet && !plan.reads_storage) memo_.emplace(run_, kept, ranks_.size());
}

PassRunner::~PassRunner() {
  memory_.forward_in = std::move(forward_in_), memory_.backward_in = std::move(backward_in_);
}

// --- tasks

TaskId PassRunner::add(const IssuedTask& task) {
  const double seconds = on_grid(task.seconds);
  const TaskId id = path_.add(seconds, task.streams, task.stream_count, task.deps, task.dep_count,
                              plan_.interference ? task.use : DeviceUse{});
  const double start_s = path_.start_s(), end_s = path_.end_s(id);
  const Instances one{&start_s, &end_s, &seconds, &path_.cause(), 1};
  kinds_.push_back(task.info.kind);
  if (task.info.pass_class >= 0) counts_.add(task.info.pass_class);
  breakdown_.visit(task.info, one, kinds_.data());
  exposure_.visit(task.info, one);
  period_.visit(task.info, one);
  if (path_.last() == id) last_ = task.info;
  if (memo_) memo_->saw(task.info, end_s);
  ++executed_;
  return id;
}

// Tells the tasks of a rank what passes came before that were not issued.
void PassRunner::sync(std::size_t rank) {
  RankTimes& r = ranks_[rank];
  if (r.passes == r.synced && !r.stood_still) return;
  r.stood_still = false;
  BreakdownRecorder::Waits& waits = breakdown_.of_rank(rank);
  waits.pipeline_s += std::exchange(r.waited_s, 0);
  waits.began_s = std::max(waits.began_s, 0.0), waits.busy_until_s = r.free_s;
  const auto restored = std::exchange(r.synced, r.passes);
  RankTasks& tasks = issuer_.parallel().tasks(static_cast<int>(rank));
  if (memo_) return memo_->restore(r.state, static_cast<int>(rank), r.free_s, r.leaving_s, tasks);
  Tasks& recent = tasks.recent;
  const std::uint32_t fresh = std::min(r.passes - restored, static_cast<std::uint32_t>(recent_));
  for (std::uint32_t i = r.passes - fresh; i < r.passes; ++i) {
    recent.push_back(run_.known_task(ends_s_[rank * recent_ + (i & (recent_ - 1))], TaskKind::Forward));
  }
  path_.set_on_stream(stream_of(static_cast<int>(rank), StreamKind::Compute), recent.back());
}

// --- operations

void PassRunner::run(const RepeatedOps::Ops& ops, std::size_t later) {
  poll_interrupt(static_cast<std::int64_t>(ops.size()));
  for (const PassOp& op : ops) run_op(op, bound_.of(op), later);
}

void PassRunner::run(const RepeatedOps::Ops& ops, const std::vector<const Bound*>& bound, std::size_t later) {
  poll_interrupt(static_cast<std::int64_t>(ops.size()));
  for (std::size_t i = 0; i < ops.size(); ++i) run_op(ops[i], *bound[i], later);
}

// Of a blocking transfer its ranks wait for both ends: it follows all that they sent before.
void PassRunner::meet(const PassOp& op, const Bound& bound, std::size_t later) {
  RankTimes &from = ranks_[static_cast<std::size_t>(op.rank)], &to = ranks_[static_cast<std::size_t>(bound.receiver)];
  const double done_s = later_of(from.exchanged_s, to.exchanged_s) + bound.seconds;
  if (op.released.sender) from.exchanged_s = done_s;
  if (op.released.receiver) to.exchanged_s = done_s;
  if (!op.released.sender || !op.released.receiver) arrival(op.forward, op.to, op.micro_batch, later) = done_s;
  ++executed_;
}

void PassRunner::issue(const PassOp& op, const Bound& bound, double input_s) {
  const auto rank = static_cast<std::size_t>(op.rank);
  sync(rank);
  FewTasks inputs;
  if (input_s > 0) inputs.add(run_.known_task(input_s, TaskKind::PipelineSend));
  const Pass& pass = plan_.order[rank][static_cast<std::size_t>(op.index)];
  const TaskId done = issuer_.issue(issuer_.parallel().look(pass, op.rank, op.stage, bound.pair), inputs);
  RankTimes& r = ranks_[rank];
  r.free_s = path_.end_s(done);
  r.synced = ++r.passes;
  for (StreamKind kind : kBesideCompute) {
    const TaskId task = path_.on_stream(stream_of(static_cast<int>(rank), kind));
    if (task != kNoTask) r.busy_s = std::max(r.busy_s, path_.end_s(task));
  }
}

// --- plain passes

// Parameters are gathered for the first, gradients reduced after the last.
bool PassRunner::alike_inside() const {
  return !memo_ && !plan_.blocking_p2p && (plan_.zero < 2 || !plan_.has_units()) && !plan_.offloads_activations &&
         issuer_.parallel().reduces_last();
}

PlainRank PassRunner::plain_rank(std::size_t rank) {
  return {&ranks_[rank], &exposure_.computes(rank), ends_s_.data() + rank * recent_, rank};
}

PlainPort PassRunner::port(const PassOp& op) {
  PlainPort port;
  const auto stage = static_cast<std::size_t>(op.stage);
  const int feeding = op.forward ? placement_.previous(op.stage) : placement_.next(op.stage);
  const auto row = [&](bool forward, std::size_t of) {
    return (forward ? forward_in_ : backward_in_).data() + of * micro_batches_;
  };
  if (feeding >= 0 && op.kind != PassKind::BackwardWeight) {
    PassOp transfer;
    transfer.op = PassOpKind::Send, transfer.forward = op.forward, transfer.stage = feeding, transfer.to = op.stage;
    transfer.rank = placement_.rank_of(feeding);
    port.in = row(op.forward, stage), port.fed_s = bound_.of(transfer).seconds;
  }
  if (op.to >= 0) port.out = row(op.forward, static_cast<std::size_t>(op.to));
  return port;
}

void PassRunner::count(const PlainRank& rank, PlainPort& port) {
  exposure_.transfers(rank.rank).add({port.arrivals * port.fed_s, port.exposed_s}, 1);  // exact (engine/time_grid.hpp)
  port.arrivals = 0, port.exposed_s = 0;
  if (port.runs == 0) return;
  counts_.add(port.bound->pass_class, port.runs);
  executed_ += (port.out ? 2.0 : 1.0) * port.runs;
  rank.times->exchanged_s = rank.times->free_s;
  port.runs = 0;
}

// --- the whole

void PassRunner::tail() {
  for (std::size_t rank = 0; rank < ranks_.size(); ++rank) sync(rank);
  if (latest_s_ > path_.makespan_s()) {
    run_.known_task(latest_s_, latest_.kind);
    path_.see_end(latest_s_), last_ = latest_;
  }
  issuer_.tail();
}

StepRun PassRunner::finish(double fixed_s) {
  StepRun run;
  run.end = {{path_.makespan_s(), path_.last()}, last_};
  run.period_s = period_.finish(run.end.end);
  const std::vector<TaskInfo> classes = std::move(issuer_).finish();
  run.stages = breakdown_.finish(counts_, {&classes}, run.end, run.period_s, fixed_s);
  if (plan_.blocking_p2p) exposure_.add_blocking_transfers();
  run.communication = exposure_.finish(counts_, {&classes});
  return run;
}

}  // namespace dts

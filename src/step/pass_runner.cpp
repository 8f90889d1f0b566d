#include "step/pass_runner.hpp"

#include <algorithm>
#include <utility>

#include "engine/time_grid.hpp"
#include "interrupt.hpp"

namespace dts {

namespace {

std::size_t power_of_two(std::size_t at_least) {
  std::size_t power = 1;
  while (power < at_least) power *= 2;
  return power;
}

constexpr StreamKind kBeside[] = {StreamKind::DataParallel, StreamKind::Replica, StreamKind::ToHost, StreamKind::FromHost, StreamKind::Storage};

}  // namespace

PassRunner::PassRunner(const StepPlan& plan, bool remembers)
    : plan_(plan), placement_(plan.placement()), plans_{&plan}, prices_(plan.order.size()), classes_(RankClasses::one()),
      breakdown_(plans_, prices_, classes_), exposure_(plans_, prices_), period_(plan),
      path_(static_cast<StreamId>(plan.order.size()) * kStreamsPerRank, plan.interference ? kStreamsPerRank : 0), issuer_(plan, *this),
      ranks_(plan.order.size()), pair_hidden_(plan.order.size(), 0) {
  const KeptTasks kept = issuer_.parallel().kept();
  recent_ = power_of_two(kept.recent);
  ends_s_.resize(recent_ * ranks_.size());
  const auto slots = plan.stages.size() * static_cast<std::size_t>(plan.micro_batches);
  forward_in_.resize(slots), backward_in_.resize(slots);
  waits_beside_ = plan.interference || plan.reductions_in_flight > 0 || (!plan.overlap_grad_reduce && plan.zero >= 2);
  if (remembers && plan.ranks_meet) memo_.emplace(PassMemo::Run{path_, kinds_, last_, breakdown_, exposure_}, ranks_.size(), kept);
}

// --- tasks

TaskId PassRunner::add(const IssuedTask& task) {
  const double seconds = on_grid(task.seconds);
  const TaskId id = path_.add(seconds, task.streams, task.stream_count, task.deps, task.dep_count, plan_.interference ? task.use : DeviceUse{});
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

TaskId PassRunner::known_task(double end_s, TaskKind kind) {
  path_.add_known(end_s);
  kinds_.push_back(kind);
  return static_cast<TaskId>(path_.size()) - 1;
}

// Tells the tasks of a rank what plain passes came before.
void PassRunner::sync(std::size_t rank) {
  RankTimes& r = ranks_[rank];
  if (r.passes == r.synced) return;
  Tasks& recent = issuer_.parallel().tasks(static_cast<int>(rank)).recent;
  const std::uint32_t fresh = std::min(r.passes - r.synced, static_cast<std::uint32_t>(recent_));
  for (std::uint32_t i = r.passes - fresh; i < r.passes; ++i) {
    recent.push_back(known_task(ends_s_[rank * recent_ + (i & (recent_ - 1))], TaskKind::Forward));
  }
  path_.set_on_stream(stream(rank, StreamKind::Compute), recent.back());
  BreakdownRecorder::Waits& waits = breakdown_.of_rank(rank);
  waits.pipeline_s += std::exchange(r.waited_s, 0);
  waits.began_s = std::max(waits.began_s, 0.0), waits.busy_until_s = r.free_s;
  r.synced = r.passes;
}

// --- operations

double& PassRunner::arrival(bool forward, int stage, int micro_batch, std::size_t later) {
  std::vector<double>& in = forward ? forward_in_ : backward_in_;
  const std::size_t at = (static_cast<std::size_t>(micro_batch) + later) * plan_.stages.size() + static_cast<std::size_t>(stage);
  return in[at < in.size() ? at : at - in.size()];  // micro-batches that are long done make room
}

double PassRunner::arrival(bool forward, int stage, int micro_batch, std::size_t later) const {
  return const_cast<PassRunner*>(this)->arrival(forward, stage, micro_batch, later);
}

double PassRunner::input_s(const Pass& pass, int stage, std::size_t later) const {
  return pass.kind == PassKind::BackwardWeight ? 0 : arrival(pass.kind == PassKind::Forward, stage, pass.micro_batch, later);
}

PassRunner::Bound PassRunner::bind(const PassOp& op) {
  Bound bound;
  const auto rank = static_cast<std::size_t>(op.rank);
  if (op.op == PassOpKind::Pass) {
    const Pass& pass = plan_.order[rank][static_cast<std::size_t>(op.index)];
    bound.hidden = std::exchange(pair_hidden_[rank], 0);
    if (pass.with_next) bound.hidden = pair_hidden_[rank] = hidden_in_pair(plan_, placement_, op.rank, pass, *(&pass + 1));
    if (memo_) return bound;
    const DataParallelTasks::Opening opening = issuer_.parallel().look(pass, op.rank, op.stage, bound.hidden);
    const Piece& piece = opening.pieces.front();
    bound.plain = piece.index < 0 && opening.stages.size() == 0;
    bound.seconds = on_grid(piece.seconds), bound.pass_class = piece.pass_class;
  } else if (op.op == PassOpKind::Send || op.op == PassOpKind::Meet) {
    const StageComm& comm = plan_.comm[static_cast<std::size_t>(op.stage)];
    bound.seconds = on_grid(op.forward ? comm.send_forward_s : comm.send_backward_s);
    bound.arrivals = &exposure_.arriving_by(op.forward, rank, static_cast<std::size_t>(placement_.rank_of(op.to)));
  }
  return bound;
}

void PassRunner::run(const PassOp& op, const Bound& bound, std::size_t later) {
  RankTimes& r = ranks_[static_cast<std::size_t>(op.rank)];
  switch (op.op) {
    case PassOpKind::Pass: return pass(op, bound, later);
    case PassOpKind::Turn: arrival(op.forward, op.to, op.micro_batch, later) = r.free_s; return;
    case PassOpKind::Send: return transfer(op, bound, r.free_s, later);
    case PassOpKind::Meet: return transfer(op, bound, std::max(r.exchanged_s, ranks_[static_cast<std::size_t>(placement_.rank_of(op.to))].exchanged_s), later);
    case PassOpKind::Received: {
      const double done_s = arrival(op.forward, op.to, op.micro_batch, later);
      r.exchanged_s = op.first ? done_s : std::max(r.exchanged_s, done_s);
    }
  }
}

void PassRunner::transfer(const PassOp& op, const Bound& bound, double after_s, std::size_t later) {
  double& sent_s = ranks_[static_cast<std::size_t>(op.rank)].sent_s[op.forward ? 0 : 1];
  const double start_s = std::max(sent_s, after_s);
  sent_s = start_s + bound.seconds;
  arrival(op.forward, op.to, op.micro_batch, later) = sent_s;
  bound.arrivals->push_back({start_s, sent_s, repeating_});
  ++plain_;
}

void PassRunner::pass(const PassOp& op, const Bound& bound, std::size_t later) {
  const auto rank = static_cast<std::size_t>(op.rank);
  RankTimes& r = ranks_[rank];
  const Pass& pass = plan_.order[rank][static_cast<std::size_t>(op.index)];
  double in_s = input_s(pass, op.stage, later);
  if (pass.with_next) {  // both passes of a pair start when the inputs of both are there
    const Pass& partner = *(&pass + 1);
    in_s = std::max(in_s, input_s(partner, placement_.stage_of(op.rank, partner.chunk), later));
  }
  if (plan_.blocking_p2p) in_s = std::max(in_s, r.exchanged_s);
  const double start_s = std::max(r.free_s, in_s);
  if (bound.plain && (!waits_beside_ || start_s >= r.busy_s)) {
    if (r.passes == 0 && !plan_.ranks_meet) {  // till then it was still in the step before
      breakdown_.of_rank(rank).began_s = r.free_s = start_s;
      period_.begin(rank, start_s);
    }
    r.waited_s += start_s - r.free_s;
    r.free_s = start_s + bound.seconds;
    ends_s_[rank * recent_ + (r.passes & (recent_ - 1))] = r.free_s;
    ++r.passes, ++plain_;
    counts_.add(bound.pass_class, repeating_);
    exposure_.add_compute(rank, start_s, r.free_s);
  } else {
    issue(op, bound, in_s);
  }
  r.exchanged_s = r.free_s;
}

void PassRunner::issue(const PassOp& op, const Bound& bound, double input_s) {
  const auto rank = static_cast<std::size_t>(op.rank);
  sync(rank);
  FewTasks inputs;
  if (input_s > 0) inputs.add(known_task(input_s, TaskKind::PipelineSend));
  const Pass& pass = plan_.order[rank][static_cast<std::size_t>(op.index)];
  const DataParallelTasks::Opening opening = issuer_.parallel().look(pass, op.rank, op.stage, bound.hidden);
  TaskId done = kNoTask;
  if (memo_ && !pass.with_next && opening.alone()) {
    done = remember(opening, bound.hidden, inputs);
  } else {
    if (memo_) memo_->forget(op.rank);
    done = issuer_.issue(opening, bound.hidden, inputs);
  }
  RankTimes& r = ranks_[rank];
  r.free_s = path_.end_s(done);
  r.synced = ++r.passes;
  for (StreamKind kind : kBeside) {
    const TaskId task = path_.on_stream(stream(rank, kind));
    if (task != kNoTask) r.busy_s = std::max(r.busy_s, path_.end_s(task));
  }
}

TaskId PassRunner::remember(const DataParallelTasks::Opening& o, double hidden, const FewTasks& inputs) {
  RankTasks& tasks = issuer_.parallel().tasks(o.rank);
  TaskId& offloaded = issuer_.parallel().offloaded(o.stage, o.pass.micro_batch);
  const PassMemo::Call call{o.rank, &o.pieces, inputs.size() > 0 ? *inputs.data() : kNoTask,
                            gives_input_gradient(o.pass.kind) ? offloaded : kNoTask};
  PassMemo::Outcome out;
  if (memo_->repeat(call, tasks, out)) {
    if (out.offloaded != kNoTask) offloaded = out.offloaded;
    return out.done;
  }
  memo_->begin(call, tasks);
  const TaskId done = issuer_.issue(o, hidden, inputs);
  memo_->end(tasks, {done, offloaded});
  return done;
}

// --- the whole

bool PassRunner::settled() const {
  return !memo_ && std::all_of(ranks_.begin(), ranks_.end(), [&](const RankTimes& r) { return !waits_beside_ || r.busy_s <= r.free_s; });
}

void PassRunner::mark_repeating(bool repeats) {
  repeating_ = repeats;
  waited_before_s_.resize(ranks_.size());
  for (std::size_t rank = 0; rank < ranks_.size(); ++rank) {
    if (!repeats) breakdown_.repeating(rank).pipeline_s += ranks_[rank].waited_s - waited_before_s_[rank];
    waited_before_s_[rank] = ranks_[rank].waited_s;
  }
}

void PassRunner::tail() {
  for (std::size_t rank = 0; rank < ranks_.size(); ++rank) sync(rank);
  issuer_.tail();
}

StepRun PassRunner::finish(const SkippedWindows& skipped, double fixed_s) {
  if (memo_) memo_->finish(counts_);
  StepRun run;
  run.end = {{path_.makespan_s(), path_.last()}, last_, skipped};
  run.period_s = period_.finish(run.end.end, skipped);
  const std::vector<TaskInfo> classes = std::move(issuer_).finish();
  run.stages = breakdown_.finish(counts_, {&classes}, run.end, run.period_s, fixed_s);
  run.communication = exposure_.finish(counts_, {&classes}, skipped);
  return run;
}

}  // namespace dts

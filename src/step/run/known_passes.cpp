// Passes of a run that may go as one before did (step/run/pass_memo.hpp).
#include <algorithm>
#include <limits>

#include "step/run/pass_runner.hpp"

namespace dts {

void PassRunner::known_pass(const PassOp& op, const Bound& bound, double input_s) {
  const auto rank = static_cast<std::size_t>(op.rank);
  RankTimes& r = ranks_[rank];
  RankTasks& tasks = issuer_.parallel().tasks(op.rank);
  PassMemo::Key key;
  if (memo_->is_on() && bound.alone && r.passes > 0) {
    if (r.state == PassMemo::kUnknown) {
      r.state = memo_->state_of(op.rank, tasks, issuer_.parallel().fetches(op.rank, r.passes));
    }
    if (PassMemo::is_known(r.state) && stands_still(r, input_s)) stand_still(rank, input_s);
    set_key(key, op, bound, input_s);
    const PassMemo::Record* record = PassMemo::is_known(key.state) ? memo_->find(key) : nullptr;
    if (record) return take_over(op, bound, *record);
  }
  if (choices_) choices_->take(Choices::kIssued);
  sync(rank);
  memo_->begin(key, op.rank);
  issue(op, bound, input_s);
  if (!memo_->is_recording()) ++unknown_passes_;
  r.state = memo_->end(tasks, issuer_.parallel().offloaded(op.stage, op.micro_batch),
                       issuer_.parallel().fetches(op.rank, r.passes));
  for (std::size_t i = 0; i < r.leaving_s.size(); ++i) {
    if (tasks.leaving[i] != kNoTask) r.leaving_s[i] = path_.end_s(tasks.leaving[i]);
  }
}

bool PassRunner::stands_still(const RankTimes& r, double until_s) {
  const double after_s = memo_->still_after_s(r.state), waits_s = until_s - r.free_s;
  if (choices_ && after_s < std::numeric_limits<double>::infinity()) choices_->later_of(after_s, waits_s);
  return waits_s > after_s;
}

// Waits so long that nothing is left beside it: what follows is the same however long it was.
void PassRunner::stand_still(std::size_t rank, double until_s) {
  RankTimes& r = ranks_[rank];
  r.waited_s += until_s - r.free_s;
  r.free_s = until_s;
  r.state = memo_->still(r.state);
  r.stood_still = true;
}

// Times that change nothing count as the latest that changes nothing.
void PassRunner::set_key(PassMemo::Key& key, const PassOp& op, const Bound& bound, double input_s) {
  const RankTimes& r = ranks_[static_cast<std::size_t>(op.rank)];
  key.state = r.state, key.pass = bound.cut, key.input_s = std::max(0.0, input_s - r.free_s);
  if (op.forward || !plan_.offloads_activations || !PassMemo::is_known(r.state)) return;
  const TaskId tape = issuer_.parallel().offloaded(op.stage, op.micro_batch);
  if (tape != kNoTask) key.tape_s = std::max(path_.end_s(tape) - r.free_s, memo_->reloads_s(r.state));
}

void PassRunner::take_over(const PassOp& op, const Bound& bound, const PassMemo::Record& record) {
  const auto rank = static_cast<std::size_t>(op.rank);
  RankTimes& r = ranks_[rank];
  const double from_s = r.free_s;
  memo_->repeat(record, rank, from_s);
  if (choices_) choices_->take(memo_->number_of(record));
  counts_.add(bound.pass_class);
  for (std::size_t i = 0; i < r.leaving_s.size(); ++i) {
    if (record.leaving_s[i] != PassMemo::kNever) r.leaving_s[i] = from_s + record.leaving_s[i];
  }
  if (record.offloaded_s != PassMemo::kNever) {
    issuer_.parallel().offloaded(op.stage, op.micro_batch) =
        run_.known_task(from_s + record.offloaded_s, TaskKind::ActivationOffload);
  }
  if (from_s + record.latest_s > latest_s_) latest_s_ = from_s + record.latest_s, latest_ = record.last;
  r.free_s = from_s + record.computed_s;
  r.state = record.next;
  ++r.passes, ++executed_;
}

}  // namespace dts

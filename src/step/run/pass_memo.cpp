#include "step/run/pass_memo.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace dts {

namespace {

constexpr std::size_t kMostHeld = 6;  // a longer backlog grows from pass to pass
constexpr double kTrial = 200;        // passes issued after which a memo that rarely helps is given up

constexpr StreamKind kCollectives[] = {StreamKind::DataParallel, StreamKind::Replica};
// Whose ends belong to a state, in this order, after the lists of RankTasks; what is held follows.
constexpr StreamKind kStateStreams[] = {StreamKind::DataParallel, StreamKind::FromHost, StreamKind::Replica,
                                        StreamKind::ToHost};
constexpr TaskKind kStateTask[] = {TaskKind::GradReduce, TaskKind::ActivationReload, TaskKind::ReplicaReduce,
                                   TaskKind::GradOffload};

std::uint64_t hash_of(const PassMemo::Key& key) noexcept {
  const std::uint64_t hash =
      mixed_hash(std::uint64_t{key.state}, static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(key.pass)));
  return mixed_hash(mixed_hash(hash, key.input_s), key.tape_s);
}

}  // namespace

double PassMemo::computed_s(int rank) const {
  return run_.path.end_s(run_.path.on_stream(stream_of(rank, StreamKind::Compute)));
}

// As far as it matters to what comes: a time that cannot decide when something starts counts as the latest such time,
// so that ranks that will go on alike have the same state.
PassMemo::State PassMemo::state_of(int rank, const RankTasks& tasks, bool fetches) {
  const double base_s = computed_s(rank);
  const auto ends = [&](std::size_t i) {
    return from_s(base_s, run_.path.on_stream(stream_of(rank, kStateStreams[i])));
  };
  tasks.read(kept_, places_);
  times_.clear();
  for (TaskId task : places_) times_.push_back(from_s(base_s, task));
  // Gathers and reloads start when their stream is free, and most when a recent task has made room.
  double gathers_s = ends(0), reloads_s = kept_.reloads ? ends(1) : kNever;
  const double free_s = kept_.reloads ? std::min(gathers_s, reloads_s) : gathers_s;
  for (std::size_t i = 0; i < kept_.recent; ++i) {
    times_[i] = times_[i] == kNever || !fetches ? kNever : std::max(times_[i], free_s);
  }
  if (!fetches) gathers_s = std::max(0.0, gathers_s);
  if (kept_.gathers_wait) gathers_s = std::max(gathers_s, times_.front());
  if (kept_.reloads && kept_.reloads_wait) reloads_s = std::max(reloads_s, times_.front());
  for (std::size_t i = kept_.recent; i < times_.size(); ++i)
    times_[i] = std::max(0.0, times_[i]);  // compute waits for them
  times_.insert(times_.end(),
                {gathers_s, reloads_s, std::max(0.0, ends(2)), std::max(0.0, ends(3)),  // others follow compute
                 fetches ? 1.0 : 0.0});
  std::size_t held = 0;
  if (run_.path.shares_devices()) {
    for (const Held& h : run_.path.held_beside(stream_of(rank, StreamKind::Compute))) {
      if (h.end_s <= base_s) continue;
      if (++held > kMostHeld) return kTooLong;
      times_.insert(times_.end(), {std::max(0.0, h.start_s - base_s), h.end_s - base_s, h.share});
    }
  }
  return state_of_times();
}

PassMemo::State PassMemo::state_of_times() {
  std::uint64_t hash = times_.size();
  for (double time : times_) hash = mixed_hash(hash, time);
  const State known = states_.find(hash, [&](State state) {
    return times_in(state) == times_.size() && std::equal(times_.begin(), times_.end(), times_of(state));
  });
  if (known != HashIndex::kNone) return known;
  const auto state = static_cast<State>(likely_.size());
  states_.add(hash, state);
  state_times_.insert(state_times_.end(), times_.begin(), times_.end());
  state_begin_.push_back(state_times_.size());
  likely_.push_back(HashIndex::kNone);
  still_after_s_.push_back(still_after());
  still_.push_back(kUnknown);
  return state;
}

// Of the state in times_: when all that runs beside compute is done. What is past must not matter any more.
double PassMemo::still_after() const {
  if (times_[fetches()] > 0) return std::numeric_limits<double>::infinity();
  double after_s = 0;
  for (std::size_t i = 0; i < fetches(); ++i) {
    if (times_[i] < 0 && times_[i] != kNever) return std::numeric_limits<double>::infinity();
    after_s = std::max(after_s, times_[i]);
  }
  for (std::size_t i = fetches() + 1; i < times_.size(); i += 3) after_s = std::max(after_s, times_[i + 1]);
  return after_s;
}

PassMemo::State PassMemo::still(State state) {
  if (still_[state] != kUnknown) return still_[state];
  times_.assign(times_of(state), times_of(state) + fetches());
  for (double& time : times_) time = std::min(time, 0.0);
  times_.push_back(0);
  const State found = state_of_times();
  return still_[state] = found;
}

const PassMemo::Record* PassMemo::find(const Key& key) {
  std::uint32_t& likely = likely_[key.state];
  if (likely == HashIndex::kNone || !(records_[likely].key == key)) {
    const std::uint32_t found =
        records_by_key_.find(hash_of(key), [&](std::uint32_t record) { return records_[record].key == key; });
    if (found == HashIndex::kNone) return nullptr;
    likely = found;
  }
  ++found_;
  return &records_[likely];
}

void PassMemo::repeat_compute(const Record& r, std::size_t rank, double from_s) {
  for (std::uint32_t i = r.computes_begin; i < r.computes_end; ++i) {
    run_.exposure.computes(rank).add(from_s + computes_[i].start_s, from_s + computes_[i].end_s);
  }
}

void PassMemo::repeat(const Record& r, std::size_t rank, double from_s) {
  repeat_compute(r, rank, from_s);
  for (std::uint32_t i = r.open_begin; i < r.open_end; ++i) {
    const auto& [kind, open] = open_[i];
    run_.exposure.arriving(rank, kind).push_back({from_s + open.start_s, from_s + open.end_s});
  }
  run_.exposure.collectives(rank).add(r.collectives, 1);
  run_.breakdown.of_rank(rank).add(r.waits, 1);
}

void PassMemo::restore(State state, int rank, double free_s, const std::array<double, 3>& leaving_s, RankTasks& tasks) {
  const double* times = times_of(state);
  const std::size_t count = times_in(state);
  const auto task_at = [&](std::size_t i, TaskKind kind) {
    return times[i] == kNever ? kNoTask : run_.known_task(free_s + times[i], kind);
  };
  places_.clear();
  std::size_t at = 0;
  for (; at + 1 < kept_.recent; ++at) places_.push_back(task_at(at, TaskKind::Forward));
  places_.push_back(run_.known_task(free_s, TaskKind::Forward));
  for (++at; at < kept_.recent + kept_.reductions; ++at) places_.push_back(task_at(at, TaskKind::GradReduce));
  for (; at < lists(); ++at) places_.push_back(task_at(at, TaskKind::ActivationOffload));
  tasks.write(kept_, places_);
  run_.path.set_on_stream(stream_of(rank, StreamKind::Compute), tasks.recent.back());
  for (std::size_t i = 0; i < std::size(kStateStreams); ++i, ++at) {
    const TaskId task = task_at(at, kStateTask[i]);
    if (task != kNoTask) run_.path.set_on_stream(stream_of(rank, kStateStreams[i]), task);
  }
  constexpr TaskKind kLeaving[] = {TaskKind::GradReduce, TaskKind::ReplicaReduce, TaskKind::GradOffload};
  for (std::size_t i = 0; i < leaving_s.size(); ++i) {
    if (leaving_s[i] != kNever) tasks.leaving[i] = run_.known_task(leaving_s[i], kLeaving[i]);
  }
  ++at;  // what it fetches
  if (!run_.path.shares_devices()) return;
  HeldList& held = run_.path.held_on(stream_of(rank, StreamKind::Compute));
  held.clear();
  for (; at < count; at += 3) held.add({free_s + times[at], free_s + times[at + 1], times[at + 2], kNoTask});
}

void PassMemo::begin(const Key& key, int rank) {
  if (issued_ > kTrial * static_cast<double>(ranks_) && found_ < issued_) off_ = true;
  ++issued_;
  recording_ = !off_ && is_known(key.state);
  if (!recording_) return;
  const auto r = static_cast<std::size_t>(rank);
  made_ = {};
  made_.key = key;
  rank_ = rank;
  base_s_ = computed_s(rank);
  first_ = static_cast<TaskId>(run_.path.size());
  waits_before_ = run_.breakdown.of_rank(r);
  computes_before_ = run_.exposure.stretches(r).size();
  for (std::size_t i = 0; i < 2; ++i) intervals_before_[i] = run_.exposure.arriving(r, kCollectives[i]).size();
}

PassMemo::State PassMemo::end(const RankTasks& tasks, TaskId offloaded, bool fetches) {
  if (!recording_) return kUnknown;
  recording_ = false;
  Record& r = made_;
  const auto fresh_s = [&](TaskId task) {
    return task == kNoTask || task < first_ ? kNever : run_.path.end_s(task) - base_s_;
  };
  r.computed_s = computed_s(rank_) - base_s_, r.latest_s -= base_s_;
  r.offloaded_s = fresh_s(offloaded);
  for (std::size_t i = 0; i < r.leaving_s.size(); ++i) r.leaving_s[i] = fresh_s(tasks.leaving[i]);
  r.waits = run_.breakdown.of_rank(static_cast<std::size_t>(rank_)).since(waits_before_);
  note_collectives();
  r.next = state_of(rank_, tasks, fetches);
  if (!is_known(r.next)) return r.next;
  records_by_key_.add(hash_of(r.key), static_cast<std::uint32_t>(records_.size()));
  records_.push_back(r);
  return r.next;
}

// What the rank computes in the pass; its collectives, which hide there.
void PassMemo::note_collectives() {
  const auto rank = static_cast<std::size_t>(rank_);
  made_.computes_begin = static_cast<std::uint32_t>(computes_.size()),
  made_.open_begin = static_cast<std::uint32_t>(open_.size());
  const std::vector<BusyTime::Stretch>& computes = run_.exposure.stretches(rank);
  for (std::size_t i = computes_before_ - 1; i < computes.size(); ++i) {  // the first was there, and may go on
    const double start_s = std::max(computes[i].start_s, base_s_);
    if (computes[i].end_s > start_s) computes_.push_back({start_s - base_s_, computes[i].end_s - base_s_, 0});
  }
  made_.computes_end = static_cast<std::uint32_t>(computes_.size());
  const auto computed_within = [&](double from_s, double to_s) {
    double sum_s = 0;
    for (std::uint32_t i = made_.computes_begin; i < made_.computes_end; ++i) {
      sum_s += std::max(0.0, std::min(computes_[i].end_s, to_s) - std::max(computes_[i].start_s, from_s));
    }
    return sum_s;
  };
  for (std::size_t k = 0; k < 2; ++k) {
    const std::vector<ExposureRecorder::Interval>& all = run_.exposure.arriving(rank, kCollectives[k]);
    for (std::size_t i = intervals_before_[k]; i < all.size(); ++i) {
      const double start_s = all[i].start_s - base_s_, end_s = all[i].end_s - base_s_;
      if (start_s < 0 || end_s > made_.computed_s) {
        open_.push_back({kCollectives[k], {start_s, end_s}});
      } else {
        made_.collectives.total_s += end_s - start_s;
        made_.collectives.exposed_s += end_s - start_s - computed_within(start_s, end_s);
      }
    }
  }
  made_.open_end = static_cast<std::uint32_t>(open_.size());
}

}  // namespace dts

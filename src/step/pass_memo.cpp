#include "step/pass_memo.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace dts {

namespace {

constexpr std::size_t kMostHeld = 6;   // a longer backlog grows from pass to pass
constexpr double kTrial = 200;         // passes issued after which a memo that rarely helps is given up

constexpr StreamKind kCollectives[] = {StreamKind::DataParallel, StreamKind::Replica};
// Whose ends belong to a state, in this order, after the lists of RankTasks; what is held follows.
constexpr StreamKind kBeside[] = {StreamKind::DataParallel, StreamKind::FromHost, StreamKind::Replica, StreamKind::ToHost};
constexpr TaskKind kBesideKind[] = {TaskKind::GradReduce, TaskKind::ActivationReload, TaskKind::ReplicaReduce, TaskKind::GradOffload};

StreamId stream(int rank, StreamKind kind) { return static_cast<StreamId>(rank) * kStreamsPerRank + static_cast<StreamId>(kind); }

std::uint64_t bits_of(double value) noexcept {
  std::uint64_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

std::uint64_t mixed(std::uint64_t hash, std::uint64_t value) noexcept {
  hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
  return hash ^ hash >> 32;
}

}  // namespace

std::size_t PassMemo::Hash::operator()(const Key& key) const noexcept {
  std::uint64_t hash = mixed(key.state, reinterpret_cast<std::uintptr_t>(key.pass));
  return static_cast<std::size_t>(mixed(mixed(hash, bits_of(key.input_s)), bits_of(key.tape_s)));
}

std::size_t PassMemo::Hash::operator()(const std::vector<double>& times) const noexcept {
  std::uint64_t hash = times.size();
  for (double time : times) hash = mixed(hash, bits_of(time));
  return static_cast<std::size_t>(hash);
}

double PassMemo::computed_s(int rank) const { return run_.path.end_s(run_.path.on_stream(stream(rank, StreamKind::Compute))); }

TaskId PassMemo::known_task(double end_s, TaskKind kind) {
  run_.path.add_known(end_s);
  run_.kinds.push_back(kind);
  return static_cast<TaskId>(run_.path.size()) - 1;
}

// As far as it matters to what comes: a time that cannot decide when something starts counts as the latest such time, so
// that ranks that will go on alike have the same state.
PassMemo::State PassMemo::state_of(int rank, const RankTasks& tasks) {
  const double base_s = computed_s(rank);
  const auto ends = [&](std::size_t i) { return from_s(base_s, run_.path.on_stream(stream(rank, kBeside[i]))); };
  tasks.read(kept_, places_);
  times_.clear();
  for (TaskId task : places_) times_.push_back(from_s(base_s, task));
  // Gathers and reloads start when their stream is free and a recent task has made room.
  double gathers_s = ends(0), reloads_s = ends(1);
  const double free_s = std::min(gathers_s, reloads_s);
  for (std::size_t i = 0; i < kept_.recent; ++i) times_[i] = times_[i] == kNever ? kNever : std::max(times_[i], free_s);
  if (kept_.has_rooms) gathers_s = std::max(gathers_s, times_.front());
  if (kept_.has_rooms) reloads_s = std::max(reloads_s, times_.front());
  for (std::size_t i = kept_.recent; i < times_.size(); ++i) times_[i] = std::max(0.0, times_[i]);  // compute waits for them
  times_.insert(times_.end(), {gathers_s, reloads_s, std::max(0.0, ends(2)), std::max(0.0, ends(3))});  // others follow compute
  std::size_t held = 0;
  if (run_.path.shares_devices()) {
    for (const Held& h : run_.path.held_beside(stream(rank, StreamKind::Compute))) {
      if (h.end_s <= base_s) continue;
      if (++held > kMostHeld) return kTooLong;
      times_.insert(times_.end(), {std::max(0.0, h.start_s - base_s), h.end_s - base_s, h.share});
    }
  }
  const auto [state, is_new] = states_.try_emplace(times_, static_cast<State>(states_.size()));
  if (is_new) likely_.emplace_back(), times_of_.push_back(&state->first);
  return state->second;
}

PassMemo::Record* PassMemo::find(const Key& key) {
  auto& [likely_key, likely] = likely_[key.state];
  if (likely == nullptr || !(likely_key == key)) {
    const auto found = records_.find(key);
    if (found == records_.end()) return nullptr;
    likely_key = key, likely = found->second.get();
  }
  ++found_;
  return likely;
}

void PassMemo::restore(State state, int rank, double free_s, const std::array<double, 3>& leaving_s, RankTasks& tasks) {
  const std::vector<double>& times = *times_of_[state];
  const auto task_at = [&](std::size_t i, TaskKind kind) { return times[i] == kNever ? kNoTask : known_task(free_s + times[i], kind); };
  places_.clear();
  std::size_t at = 0;
  for (; at + 1 < kept_.recent; ++at) places_.push_back(task_at(at, TaskKind::Forward));
  places_.push_back(known_task(free_s, TaskKind::Forward));
  for (++at; at < kept_.recent + kept_.reductions; ++at) places_.push_back(task_at(at, TaskKind::GradReduce));
  for (; at < lists(); ++at) places_.push_back(task_at(at, TaskKind::ActivationOffload));
  tasks.write(kept_, places_);
  run_.path.set_on_stream(stream(rank, StreamKind::Compute), tasks.recent.back());
  for (std::size_t i = 0; i < std::size(kBeside); ++i, ++at) {
    const TaskId task = task_at(at, kBesideKind[i]);
    if (task != kNoTask) run_.path.set_on_stream(stream(rank, kBeside[i]), task);
  }
  constexpr TaskKind kLeaving[] = {TaskKind::GradReduce, TaskKind::ReplicaReduce, TaskKind::GradOffload};
  for (std::size_t i = 0; i < leaving_s.size(); ++i) {
    if (leaving_s[i] != kNever) tasks.leaving[i] = known_task(leaving_s[i], kLeaving[i]);
  }
  if (!run_.path.shares_devices()) return;
  HeldList& held = run_.path.held_on(stream(rank, StreamKind::Compute));
  held.clear();
  for (; at < times.size(); at += 3) held.add({free_s + times[at], free_s + times[at + 1], times[at + 2], kNoTask});
}

void PassMemo::begin(const Key& key, int rank) {
  if (issued_ > kTrial * static_cast<double>(ranks_) && found_ < issued_) off_ = true;
  ++issued_;
  recording_ = !off_ && is_known(key.state);
  if (!recording_) return;
  const auto r = static_cast<std::size_t>(rank);
  key_ = key;
  made_ = {};
  rank_ = rank;
  made_.pass = key.pass;
  base_s_ = computed_s(rank);
  first_ = static_cast<TaskId>(run_.path.size());
  waits_before_ = run_.breakdown.of_rank(r);
  computes_before_ = run_.exposure.computes(r).size();
  for (std::size_t i = 0; i < 2; ++i) intervals_before_[i] = run_.exposure.arriving(r, kCollectives[i]).size();
}

PassMemo::State PassMemo::end(const RankTasks& tasks, TaskId offloaded) {
  if (!recording_) return kUnknown;
  recording_ = false;
  Record& r = made_;
  const auto fresh_s = [&](TaskId task) { return task == kNoTask || task < first_ ? kNever : run_.path.end_s(task) - base_s_; };
  r.computed_s = computed_s(rank_) - base_s_, r.latest_s -= base_s_;
  r.offloaded_s = fresh_s(offloaded);
  for (std::size_t i = 0; i < r.leaving_s.size(); ++i) r.leaving_s[i] = fresh_s(tasks.leaving[i]);
  r.waits = run_.breakdown.of_rank(static_cast<std::size_t>(rank_)).since(waits_before_);
  note_collectives();
  r.next = state_of(rank_, tasks);
  if (!is_known(r.next)) return r.next;
  r.uses.resize(ranks_);
  return records_.emplace(key_, std::make_unique<Record>(std::move(r))).first->second->next;
}

// What the rank computes in the pass; its collectives, which hide there.
void PassMemo::note_collectives() {
  const auto rank = static_cast<std::size_t>(rank_);
  const std::vector<ExposureRecorder::Busy>& computes = run_.exposure.computes(rank);
  for (std::size_t i = computes_before_ - 1; i < computes.size(); ++i) {  // the first was there, and may go on
    const double start_s = std::max(computes[i].start_s, base_s_);
    if (computes[i].end_s > start_s) made_.computes.push_back({start_s - base_s_, computes[i].end_s - base_s_, 0});
  }
  const auto computed_within = [&](double from_s, double to_s) {
    double sum_s = 0;
    for (const ExposureRecorder::Busy& b : made_.computes) sum_s += std::max(0.0, std::min(b.end_s, to_s) - std::max(b.start_s, from_s));
    return sum_s;
  };
  for (std::size_t k = 0; k < 2; ++k) {
    const std::vector<ExposureRecorder::Interval>& all = run_.exposure.arriving(rank, kCollectives[k]);
    for (std::size_t i = intervals_before_[k]; i < all.size(); ++i) {
      const double start_s = all[i].start_s - base_s_, end_s = all[i].end_s - base_s_;
      if (start_s < 0 || end_s > made_.computed_s) {
        made_.open.push_back({kCollectives[k], {start_s, end_s, false}});
      } else {
        made_.collectives.total_s += end_s - start_s;
        made_.collectives.exposed_s += end_s - start_s - computed_within(start_s, end_s);
      }
    }
  }
}

void PassMemo::finish(PassCounts& counts, double skipped) {
  for (const auto& known : records_) {
    const Record& r = *known.second;
    for (std::size_t rank = 0; rank < ranks_; ++rank) {
      const Uses& uses = r.uses[rank];
      if (uses.all == 0) continue;
      for (std::size_t i = 0; i < r.pass->pieces.size(); ++i) {
        counts.add_times(r.pass->first_class[rank] + static_cast<std::int32_t>(i), uses.all, uses.repeating);
      }
      run_.breakdown.of_rank(rank).add(r.waits, uses.all);
      run_.breakdown.repeating(rank).add(r.waits, uses.repeating);
      run_.exposure.add_collectives(rank, r.collectives, uses.all + skipped * uses.repeating);
    }
  }
}

}  // namespace dts

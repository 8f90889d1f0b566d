#include "step/pass_memo.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "interrupt.hpp"

namespace dts {

namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();
constexpr std::int32_t kNoPlace = -1;  // further below: -2 - place
constexpr std::size_t kMostHeld = 6;   // a longer backlog grows from pass to pass
constexpr double kTrial = 200;         // passes issued after which a memo that rarely helps is given up

constexpr StreamKind kOwn[] = {StreamKind::Compute, StreamKind::DataParallel, StreamKind::Replica, StreamKind::ToHost, StreamKind::FromHost};
constexpr StreamKind kCollectives[] = {StreamKind::DataParallel, StreamKind::Replica};

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
  std::uint64_t hash = mixed(key.state, reinterpret_cast<std::uintptr_t>(key.pieces));
  return static_cast<std::size_t>(mixed(mixed(hash, bits_of(key.input_s)), bits_of(key.tape_s)));
}

std::size_t PassMemo::Hash::operator()(const std::vector<double>& times) const noexcept {
  std::uint64_t hash = times.size();
  for (double time : times) hash = mixed(hash, bits_of(time));
  return static_cast<std::size_t>(hash);
}

PassMemo::PassMemo(const Run& run, std::size_t ranks, const KeptTasks& kept) : run_(run), kept_(kept), state_(ranks, kUnknown) {}

StreamId PassMemo::stream(int rank, std::size_t i) const {
  return static_cast<StreamId>(rank) * kStreamsPerRank + static_cast<StreamId>(kOwn[i]);
}

double PassMemo::from_s(double base_s, TaskId task) const { return task == kNoTask ? kNever : run_.path.end_s(task) - base_s; }

double PassMemo::computed_s(int rank) const { return run_.path.end_s(run_.path.on_stream(stream(rank, 0))); }

// Where the rank stands, as far as it matters to what comes: a time that cannot decide when something starts counts as the
// latest such time, so that ranks that will go on alike have the same state.
std::uint32_t PassMemo::state_of(int rank, const RankTasks& tasks) {
  const double base_s = computed_s(rank);
  const auto ends = [&](std::size_t i) { return from_s(base_s, run_.path.on_stream(stream(rank, i))); };
  tasks.read(kept_, places_);
  times_.clear();
  for (TaskId task : places_) times_.push_back(from_s(base_s, task));
  // Gathers and reloads start when their stream is free and a recent task has made room.
  double gathers_s = ends(1), reloads_s = ends(4);
  const double free_s = std::min(gathers_s, reloads_s);
  for (std::size_t i = 0; i < kept_.recent; ++i) times_[i] = times_[i] == kNever ? kNever : std::max(times_[i], free_s);
  if (kept_.has_rooms) gathers_s = std::max(gathers_s, times_.front());
  if (kept_.has_rooms) reloads_s = std::max(reloads_s, times_.front());
  for (std::size_t i = kept_.recent; i < times_.size(); ++i) times_[i] = std::max(0.0, times_[i]);  // compute waits for them
  times_.insert(times_.end(), {gathers_s, reloads_s, std::max(0.0, ends(2)), std::max(0.0, ends(3))});  // others follow compute
  std::size_t held = 0;
  if (run_.path.shares_devices()) {
    for (const Held& h : run_.path.held_beside(stream(rank, 0))) {
      if (h.end_s <= base_s) continue;
      if (++held > kMostHeld) return kTooLong;
      times_.insert(times_.end(), {std::max(0.0, h.start_s - base_s), h.end_s - base_s, h.share});
    }
  }
  const auto [state, is_new] = states_.try_emplace(times_, static_cast<std::uint32_t>(states_.size()));
  if (is_new) likely_.emplace_back();
  return state->second;
}

// Times that change nothing count as the latest that changes nothing.
PassMemo::Key PassMemo::key_of(const Call& call) {
  const double base_s = computed_s(call.rank);
  double tape_s = from_s(base_s, call.tape);
  if (call.tape != kNoTask) tape_s = std::max(tape_s, from_s(base_s, run_.path.on_stream(stream(call.rank, kStreams - 1))));
  return {state_[static_cast<std::size_t>(call.rank)], call.pieces, std::max(0.0, from_s(base_s, call.input)), tape_s};
}

bool PassMemo::repeat(const Call& call, RankTasks& tasks, Outcome& out) {
  std::uint32_t& state = state_[static_cast<std::size_t>(call.rank)];
  if (off_ || run_.path.on_stream(stream(call.rank, 0)) == kNoTask) return false;
  if (state == kUnknown) state = state_of(call.rank, tasks);
  if (state == kTooLong) return false;
  key_ = key_of(call);
  auto& [likely_key, likely] = likely_[state];
  if (likely == nullptr || !(likely_key == key_)) {
    const auto found = records_.find(key_);
    if (found == records_.end()) return false;
    likely_key = key_, likely = found->second.get();
  }
  ++repeated_;
  take_over(*likely, tasks, out);
  return true;
}

void PassMemo::take_over(Record& r, RankTasks& tasks, Outcome& out) {
  poll_interrupt(4);
  ++r.uses;
  const double base_s = computed_s(r.rank);
  const auto rank = static_cast<std::size_t>(r.rank);
  const auto first = static_cast<TaskId>(run_.path.size());
  const auto task_at = [&](std::int32_t place) { return first + static_cast<TaskId>(place); };
  for (double end_s : r.ends_s) run_.path.add_known(base_s + end_s);
  run_.kinds.insert(run_.kinds.end(), r.kinds.begin(), r.kinds.end());
  for (std::size_t i = 0; i < kStreams; ++i) {
    if (r.streams[i] >= 0) run_.path.set_on_stream(stream(r.rank, i), task_at(r.streams[i]));
  }
  tasks.read(kept_, places_);
  after_.clear();
  for (std::int32_t place : r.places) {
    after_.push_back(place >= 0 ? task_at(place) : place == kNoPlace ? kNoTask : places_[static_cast<std::size_t>(-2 - place)]);
  }
  tasks.write(kept_, after_);
  for (std::size_t i = 0; i < r.leaving.size(); ++i) {
    if (r.leaving[i] >= 0) tasks.leaving[i] = task_at(r.leaving[i]);
  }
  if (run_.path.shares_devices()) {
    HeldList& held = run_.path.held_on(stream(r.rank, 0));
    held.clear();
    for (const Held& h : r.held) held.add({base_s + h.start_s, base_s + h.end_s, h.share, h.task});
  }
  for (const ExposureRecorder::Busy& b : r.computes) run_.exposure.add_compute(rank, base_s + b.start_s, base_s + b.end_s);
  for (const auto& [kind, i] : r.open) run_.exposure.arriving(rank, kind).push_back({base_s + i.start_s, base_s + i.end_s, false});
  run_.breakdown.of_rank(rank).busy_until_s = base_s + r.computed_s;
  if (run_.path.see_end(base_s + r.latest_s)) run_.last = r.last;
  out = {task_at(r.done), r.offloaded >= 0 ? task_at(r.offloaded) : kNoTask};
  state_[rank] = r.next;
}

void PassMemo::begin(const Call& call, const RankTasks& tasks) {
  if (issued_ > kTrial && repeated_ < issued_) off_ = true;
  const auto rank = static_cast<std::size_t>(call.rank);
  ++issued_;
  recording_ = !off_ && state_[rank] < kTooLong && run_.path.on_stream(stream(call.rank, 0)) != kNoTask;
  if (!recording_) return forget(call.rank);
  made_ = {};
  made_.rank = call.rank, made_.latest_s = kNever;
  for (const Piece& piece : *call.pieces) made_.classes.push_back(piece.pass_class);
  base_s_ = computed_s(call.rank);
  first_ = static_cast<TaskId>(run_.path.size());
  tasks.read(kept_, places_);
  waits_before_ = run_.breakdown.of_rank(rank);
  computes_before_ = run_.exposure.computes(rank).size();
  for (std::size_t i = 0; i < 2; ++i) intervals_before_[i] = run_.exposure.arriving(rank, kCollectives[i]).size();
}

// Place of a task of this pass among those that are remembered.
std::int32_t PassMemo::place_of(TaskId task) {
  if (task == kNoTask || task < first_) return kNoPlace;
  const auto found = std::find(made_tasks_.begin(), made_tasks_.end(), task);
  if (found != made_tasks_.end()) return static_cast<std::int32_t>(found - made_tasks_.begin());
  made_tasks_.push_back(task);
  made_.ends_s.push_back(run_.path.end_s(task) - base_s_);
  made_.kinds.push_back(run_.kinds[task]);
  return static_cast<std::int32_t>(made_tasks_.size()) - 1;
}

void PassMemo::end(const RankTasks& tasks, const Outcome& out) {
  if (!recording_) return;
  recording_ = false;
  Record& r = made_;
  const auto rank = static_cast<std::size_t>(r.rank);
  made_tasks_.clear();
  tasks.read(kept_, after_);
  for (TaskId task : after_) {
    std::int32_t place = place_of(task);
    if (place == kNoPlace && task != kNoTask) {
      place = -2 - static_cast<std::int32_t>(std::find(places_.begin(), places_.end(), task) - places_.begin());
    }
    r.places.push_back(place);
  }
  for (std::size_t i = 0; i < kStreams; ++i) r.streams[i] = place_of(run_.path.on_stream(stream(r.rank, i)));
  for (std::size_t i = 0; i < r.leaving.size(); ++i) r.leaving[i] = place_of(tasks.leaving[i]);
  r.done = place_of(out.done), r.offloaded = place_of(out.offloaded);
  r.computed_s = computed_s(r.rank) - base_s_, r.latest_s -= base_s_;
  if (run_.path.shares_devices()) {
    for (const Held& h : run_.path.held_beside(stream(r.rank, 0))) {
      if (h.end_s > base_s_ + r.computed_s) r.held.push_back({h.start_s - base_s_, h.end_s - base_s_, h.share, h.task});
    }
  }
  r.waits = run_.breakdown.of_rank(rank).since(waits_before_);
  note_collectives();
  state_[rank] = r.next = state_of(r.rank, tasks);
  records_.emplace(key_, std::make_unique<Record>(std::move(r)));
}

// What the rank computes in the pass; its collectives, which hide there.
void PassMemo::note_collectives() {
  const auto rank = static_cast<std::size_t>(made_.rank);
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

void PassMemo::finish(PassCounts& counts) {
  for (const auto& known : records_) {
    const Record& r = *known.second;
    if (r.uses == 0) continue;
    for (std::int32_t pass_class : r.classes) counts.add_times(pass_class, r.uses);
    const auto rank = static_cast<std::size_t>(r.rank);
    run_.breakdown.of_rank(rank).add(r.waits, r.uses);
    run_.exposure.add_collectives(rank, r.collectives, r.uses);
  }
}

}  // namespace dts

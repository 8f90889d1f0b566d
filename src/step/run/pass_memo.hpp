// Passes that go as an earlier one went. What a pass does on its rank follows from where the streams and the last tasks
// of the rank stand when it is reached, counted from the end of its compute, and from when its input arrives. These
// repeat, in steady state for sure: such a pass is taken over whole, shifted in time, instead of being issued piece by
// piece. Times lie on a grid (engine/time_grid.hpp), where shifting is exact, so the result has the same bits.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "engine/timeline.hpp"
#include "hash_index.hpp"
#include "step/account/breakdown.hpp"
#include "step/account/exposure.hpp"
#include "step/tasks/pieces.hpp"
#include "step/tasks/rank_tasks.hpp"

namespace dts {

class PassMemo {
 public:
  static constexpr double kNever = -std::numeric_limits<double>::infinity();
  // Where a rank stands; the last two: not known, too long a backlog to say.
  using State = std::uint32_t;
  static constexpr State kUnknown = static_cast<State>(-1), kTooLong = kUnknown - 1;
  static constexpr bool is_known(State state) noexcept { return state < kTooLong; }

  // What a run keeps; all must outlive the memo.
  struct Run {
    LongestPath& path;
    std::vector<TaskKind>& kinds;  // per task
    BreakdownRecorder& breakdown;
    ExposureRecorder& exposure;

    TaskId known_task(double end_s, TaskKind kind) const {  // one that stands for what was not issued
      path.add_known(end_s);
      kinds.push_back(kind);
      return static_cast<TaskId>(path.size()) - 1;
    }
  };
  PassMemo(const Run& run, const KeptTasks& kept, std::size_t ranks) : run_(run), kept_(kept), ranks_(ranks) {}

  struct Key {
    State state = kUnknown;
    const CutPass* pass = nullptr;
    double input_s = 0;      // from the end of the rank's compute till its input arrives, at least 0
    double tape_s = kNever;  // ... till its activations are on the host
    bool operator==(const Key& o) const {
      return state == o.state && pass == o.pass && input_s == o.input_s && tape_s == o.tape_s;
    }
  };
  // What a pass did; seconds from the end of the rank's compute before it, kNever: nothing of the kind.
  struct Record {
    Key key;
    double computed_s = 0, offloaded_s = kNever, latest_s = kNever;
    std::array<double, 3> leaving_s{};                   // RankTasks::leaving
    std::uint32_t computes_begin = 0, computes_end = 0;  // stretches
    std::uint32_t open_begin = 0, open_end = 0;          // collectives that reach out of the pass
    TaskInfo last;                                       // that ends at latest_s
    State next = kUnknown;
    AxisTime collectives;  // within the pass
    BreakdownRecorder::Waits waits;
  };

  // `fetches`: something may come to the rank ahead of a later pass, as gathers and reloads do.
  State state_of(int rank, const RankTasks& tasks, bool fetches);
  // A rank that fetches nothing stands still when it waits longer than that: then it is in another state.
  double still_after_s(State state) const { return still_after_s_[state]; }
  State still(State state);
  // When the copies of a rank's activations come back at the earliest.
  double reloads_s(State state) const { return times_of(state)[lists() + 1]; }
  const Record* find(const Key& key);  // null: no such pass went before; valid till the next `end`
  // Records what a pass of that rank did from `from_s` on.
  void repeat(const Record& record, std::size_t rank, double from_s);
  void repeat_compute(const Record& record, std::size_t rank, double from_s);
  const Record& record(std::int64_t number) const { return records_[static_cast<std::size_t>(number)]; }
  std::int64_t number_of(const Record& record) const { return &record - records_.data(); }
  // A pass that has to be issued, between `begin` and `end`.
  void begin(const Key& key, int rank);
  void saw(const TaskInfo& info, double end_s) {  // every task in between
    if (recording_ && end_s > made_.latest_s) made_.latest_s = end_s, made_.last = info;
  }
  bool is_on() const noexcept { return !off_; }  // not given up
  bool is_recording() const noexcept { return recording_; }
  State end(const RankTasks& tasks, TaskId offloaded, bool fetches);
  // Puts tasks on the streams of a rank that stand for what was taken over.
  void restore(State state, int rank, double free_s, const std::array<double, 3>& leaving_s, RankTasks& tasks);

 private:
  const double* times_of(State state) const { return state_times_.data() + state_begin_[state]; }
  std::size_t times_in(State state) const { return state_begin_[state + 1] - state_begin_[state]; }
  std::size_t fetches() const noexcept { return lists() + 4; }  // place in a state's times; what is held follows
  std::size_t lists() const noexcept { return kept_.recent + kept_.reductions + kept_.offloads; }
  double from_s(double base_s, TaskId task) const { return task == kNoTask ? kNever : run_.path.end_s(task) - base_s; }
  double computed_s(int rank) const;
  State state_of_times();
  double still_after() const;
  void note_collectives();

  Run run_;
  KeptTasks kept_;
  std::size_t ranks_;
  HashIndex states_, records_by_key_;
  std::vector<double> state_times_;  // of all states, one after the other
  std::vector<std::size_t> state_begin_{0};
  std::vector<std::uint32_t> likely_;  // per state: the record that was used last
  std::vector<double> still_after_s_;  // per state
  std::vector<State> still_;           // per state; kUnknown: not asked yet
  std::vector<Record> records_;
  std::vector<BusyTime::Stretch> computes_;  // of all records
  std::vector<std::pair<StreamKind, ExposureRecorder::Interval>> open_;
  Tasks places_;
  std::vector<double> times_;
  double found_ = 0, issued_ = 0;
  bool off_ = false;

  // Of the pass that is issued now.
  bool recording_ = false;
  Record made_;
  int rank_ = 0;
  TaskId first_ = 0;
  double base_s_ = 0;
  BreakdownRecorder::Waits waits_before_;
  std::size_t computes_before_ = 0;
  std::array<std::size_t, 2> intervals_before_{};
};

}  // namespace dts

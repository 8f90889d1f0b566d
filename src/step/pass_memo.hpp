// Passes that go as an earlier one went. What a pass does on its rank follows from where the streams and the last tasks of
// the rank stand when it is reached, counted from the end of its compute, and from when its input arrives. These repeat, in
// steady state for sure: such a pass is taken over whole, shifted in time, instead of being issued piece by piece. Times lie
// on a grid (engine/time_grid.hpp), where shifting is exact, so the result has the same bits.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/timeline.hpp"
#include "step/breakdown.hpp"
#include "step/exposure.hpp"
#include "step/pieces.hpp"
#include "step/rank_tasks.hpp"

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
  };
  PassMemo(const Run& run, const KeptTasks& kept, std::size_t ranks) : run_(run), kept_(kept), ranks_(ranks) {}

  struct Key {
    State state = kUnknown;
    const CutPass* pass = nullptr;
    double input_s = 0;      // from the end of the rank's compute till its input arrives, at least 0
    double tape_s = kNever;  // ... till its activations are on the host
    bool operator==(const Key& o) const { return state == o.state && pass == o.pass && input_s == o.input_s && tape_s == o.tape_s; }
  };
  struct Uses {
    double all = 0, repeating = 0;  // of these in windows that skipped ones repeat
  };
  // What a pass did; seconds from the end of the rank's compute before it, kNever: nothing of the kind.
  struct Record {
    double computed_s = 0, offloaded_s = kNever, latest_s = kNever;
    std::array<double, 3> leaving_s{};  // RankTasks::leaving
    std::vector<ExposureRecorder::Busy> computes;
    std::vector<std::pair<StreamKind, ExposureRecorder::Interval>> open;  // collectives that reach out of the pass
    TaskInfo last;  // that ends at latest_s
    State next = kUnknown;
    // Counted once for all uses.
    AxisTime collectives;  // within the pass
    BreakdownRecorder::Waits waits;
    const CutPass* pass = nullptr;
    std::vector<Uses> uses;  // per pipeline rank
  };

  State state_of(int rank, const RankTasks& tasks);
  // When the copies of a rank's activations come back at the earliest.
  double reloads_s(State state) const { return (*times_of_[state])[lists() + 1]; }
  Record* find(const Key& key);  // null: no such pass went before
  static void use(Record& record, std::size_t rank, bool repeats) {
    ++record.uses[rank].all;
    if (repeats) ++record.uses[rank].repeating;
  }
  // A pass that has to be issued, between `begin` and `end`.
  void begin(const Key& key, int rank);
  void saw(const TaskInfo& info, double end_s) {  // every task in between
    if (recording_ && end_s > made_.latest_s) made_.latest_s = end_s, made_.last = info;
  }
  bool is_recording() const noexcept { return recording_; }
  State end(const RankTasks& tasks, TaskId offloaded);
  // Puts tasks on the streams of a rank that stand for what was taken over.
  void restore(State state, int rank, double free_s, const std::array<double, 3>& leaving_s, RankTasks& tasks);
  void finish(PassCounts& counts, double skipped);  // adds what was taken over; `skipped`: so often more where it repeats

 private:
  struct Hash {
    std::size_t operator()(const Key& key) const noexcept;
    std::size_t operator()(const std::vector<double>& times) const noexcept;
  };
  std::size_t lists() const noexcept { return kept_.recent + kept_.reductions + kept_.offloads; }
  double from_s(double base_s, TaskId task) const { return task == kNoTask ? kNever : run_.path.end_s(task) - base_s; }
  double computed_s(int rank) const;
  TaskId known_task(double end_s, TaskKind kind);
  void note_collectives();

  Run run_;
  KeptTasks kept_;
  std::size_t ranks_;
  std::unordered_map<std::vector<double>, State, Hash> states_;
  std::vector<const std::vector<double>*> times_of_;  // per state
  std::unordered_map<Key, std::unique_ptr<Record>, Hash> records_;
  std::vector<std::pair<Key, Record*>> likely_;  // per state: the record that was used last
  Tasks places_;
  std::vector<double> times_;
  double found_ = 0, issued_ = 0;
  bool off_ = false;

  // Of the pass that is issued now.
  bool recording_ = false;
  Record made_;
  Key key_;
  int rank_ = 0;
  TaskId first_ = 0;
  double base_s_ = 0;
  BreakdownRecorder::Waits waits_before_;
  std::size_t computes_before_ = 0;
  std::array<std::size_t, 2> intervals_before_{};
};

}  // namespace dts

// Passes that go as an earlier one went. What a pass does on its rank follows from where the streams and the last tasks of
// the rank stand when it is reached, counted from the end of its compute, and from when its input arrives. These repeat, in
// steady state for sure: such a pass is taken over whole, shifted in time, instead of being issued piece by piece. Times lie
// on a grid (engine/time_grid.hpp), where shifting is exact, so the result has the same bits.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "engine/timeline.hpp"
#include "step/breakdown.hpp"
#include "step/exposure.hpp"
#include "step/pieces.hpp"
#include "step/rank_tasks.hpp"

namespace dts {

class PassMemo {
 public:
  // What a run keeps; all must outlive the memo.
  struct Run {
    LongestPath& path;
    std::vector<TaskKind>& kinds;  // per task
    TaskInfo& last;                // the task that ends last
    BreakdownRecorder& breakdown;
    ExposureRecorder& exposure;
  };
  PassMemo(const Run& run, std::size_t ranks, const KeptTasks& kept);

  struct Call {
    int rank = 0;
    const std::vector<Piece>* pieces = nullptr;
    TaskId input = kNoTask;  // the last to end of what feeds it
    TaskId tape = kNoTask;   // the copy of its activations to the host
  };
  struct Outcome {
    TaskId done = kNoTask;       // its last compute
    TaskId offloaded = kNoTask;  // the last copy of its activations, kNoTask: none
  };

  // Whether the pass went as one before. If not it has to be issued, between `begin` and `end`.
  bool repeat(const Call& call, RankTasks& tasks, Outcome& out);
  void begin(const Call& call, const RankTasks& tasks);
  void saw(const TaskInfo& info, double end_s) {  // every task in between
    if (recording_ && end_s > made_.latest_s) made_.latest_s = end_s, made_.last = info;
  }
  void end(const RankTasks& tasks, const Outcome& out);
  void forget(int rank) { state_[static_cast<std::size_t>(rank)] = kUnknown; }  // something else ran on its streams

  TaskId later(TaskId a, TaskId b) const {  // the first of two that end alike
    return a == kNoTask || (b != kNoTask && run_.path.end_s(b) > run_.path.end_s(a)) ? b : a;
  }
  void finish(PassCounts& counts);  // adds what repeated passes spent
  double repeated() const noexcept { return repeated_; }

 private:
  static constexpr std::uint32_t kUnknown = static_cast<std::uint32_t>(-1), kTooLong = kUnknown - 1;
  static constexpr std::size_t kStreams = 5;  // that a pass runs on

  // Times are counted from the end of the rank's compute before the pass; tasks by their place among `ends_s`.
  struct Record {
    std::vector<double> ends_s;  // of the tasks that later ones may wait for
    std::vector<TaskKind> kinds;
    std::vector<std::int32_t> places;  // RankTasks after it: a new task; kNoPlace; or below that, a place before it
    std::array<std::int32_t, kStreams> streams{};
    std::array<std::int32_t, 3> leaving{};
    std::int32_t done = -1, offloaded = -1;
    std::vector<Held> held;
    std::vector<ExposureRecorder::Busy> computes;
    std::vector<std::pair<StreamKind, ExposureRecorder::Interval>> open;  // collectives that reach out of the pass
    AxisTime collectives;  // the others
    BreakdownRecorder::Waits waits;
    double computed_s = 0, latest_s = 0;
    TaskInfo last;
    int rank = 0;
    std::vector<std::int32_t> classes;  // of its pieces
    std::uint32_t next = kUnknown;  // state
    double uses = 0;
  };
  struct Key {
    std::uint32_t state = kUnknown;
    const std::vector<Piece>* pieces = nullptr;
    double input_s = 0, tape_s = 0;
    bool operator==(const Key& o) const { return state == o.state && pieces == o.pieces && input_s == o.input_s && tape_s == o.tape_s; }
  };
  struct Hash {
    std::size_t operator()(const Key& key) const noexcept;
    std::size_t operator()(const std::vector<double>& times) const noexcept;
  };

  StreamId stream(int rank, std::size_t i) const;
  double from_s(double base_s, TaskId task) const;
  double computed_s(int rank) const;
  std::uint32_t state_of(int rank, const RankTasks& tasks);
  Key key_of(const Call& call);
  void take_over(Record& record, RankTasks& tasks, Outcome& out);
  std::int32_t place_of(TaskId task);
  void note_collectives();

  Run run_;
  KeptTasks kept_;
  std::vector<std::uint32_t> state_;  // per rank
  std::unordered_map<std::vector<double>, std::uint32_t, Hash> states_;
  std::unordered_map<Key, std::unique_ptr<Record>, Hash> records_;
  std::vector<std::pair<Key, Record*>> likely_;  // per state: the record that was used last
  Tasks places_, after_;
  std::vector<double> times_;
  double repeated_ = 0, issued_ = 0;
  bool off_ = false;

  // Of the pass that is issued now.
  bool recording_ = false;
  Record made_;
  Key key_;
  TaskId first_ = 0;
  std::vector<TaskId> made_tasks_;
  double base_s_ = 0;
  BreakdownRecorder::Waits waits_before_;
  std::size_t computes_before_ = 0;
  std::array<std::size_t, 2> intervals_before_{};
};

}  // namespace dts

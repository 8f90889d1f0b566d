// Executes the operations of a step whose ranks are alike, and records where its time goes. A pass that nothing happens
// inside of, and that no collective or copy runs beside, is a few additions; any other is issued task by task
// (step/tasks/step_issuer.hpp), or taken over from one that went alike (step/run/pass_memo.hpp).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "schedule/repeated_ops.hpp"
#include "step/account/breakdown.hpp"
#include "step/account/exposure.hpp"
#include "step/run/bound_ops.hpp"
#include "step/run/choices.hpp"
#include "step/run/pass_memo.hpp"
#include "step/run/period.hpp"
#include "step/run/plain_port.hpp"
#include "step/run/run_memory.hpp"
#include "step/run/run_moment.hpp"
#include "step/run/step_run.hpp"
#include "step/tasks/step_issuer.hpp"

namespace dts {

class PassRunner final : private TaskSink {
 public:
  static constexpr double kNotThere_s = -1;  // of what has not arrived

  PassRunner(const StepPlan& plan, bool remembers, RunMemory& memory);
  ~PassRunner();
  PassRunner(const PassRunner&) = delete;
  PassRunner& operator=(const PassRunner&) = delete;

  const Bound& bind(const PassOp& op) { return bound_.of(op); }
  // `later`: micro-batches that the operations are run later than written.
  void run_op(const PassOp& op, const Bound& bound, std::size_t later);
  void run(const RepeatedOps::Ops& ops, std::size_t later);
  void run(const RepeatedOps::Ops& ops, const std::vector<const Bound*>& bound, std::size_t later);

  // --- plain passes without a look at each (step/run/lockstep_run.hpp)

  // Whether all passes of a stage but those of the first and the last micro-batch are the same.
  bool alike_inside() const;
  PlainRank plain_rank(std::size_t rank);
  PlainPort port(const PassOp& op);  // `micro_batch` is of no account
  // `at`: place of the micro-batch; `direction`: of what is sent. Runs nothing where something reaches beyond compute.
  template <bool noted>
  bool run_plain(const PlainRank& rank, PlainPort& port, std::size_t at, int direction, double in_s);
  void account_on_arrival() noexcept { on_arrival_ = true; }  // from now on `arrived` tells of transfers, not who sends
  template <bool noted>
  void arrived(const PlainRank& rank, PlainPort& port, double in_s);
  void count(const PlainRank& rank, PlainPort& port);  // before anything else asks for what ran
  bool notes_choices() const noexcept { return choices_ != nullptr; }
  void tail();
  StepRun finish(double fixed_s);

  // --- between two windows

  using Arrivals = std::vector<RepeatedOps::Arrival>;
  void read(const Arrivals& pending, std::size_t later, RunMoment& moment) const;  // all but the sums
  void sums(RunMoment& moment) const;
  // Whether what is on its way, so far, hides behind as much as it did then: no time of a moment says that.
  bool hides_alike(const Arrivals& pending, const RunMoment& then, const RunMoment& now);
  // Goes over so many windows, or periods of windows, that repeat what ran since a moment.
  void leap(const Repetition& what, const Arrivals& pending, std::size_t later);
  // Notes choices there from now on; null: no longer.
  void watch(Choices* choices) noexcept { choices_ = choices; }
  // No collective or copy reaches beyond a rank's compute.
  bool settled() const;
  // Whether further windows may repeat this one.
  bool may_repeat(const Bound& bound) const noexcept { return memo_ ? bound.alone : bound.plain; }
  double tasks() const noexcept { return executed_; }

 private:
  TaskId add(const IssuedTask& task) override;
  double& arrival(bool forward, int stage, int micro_batch, std::size_t later) {
    std::vector<double>& in = forward ? forward_in_ : backward_in_;
    const std::size_t at = static_cast<std::size_t>(micro_batch) + later;  // those that are long done make room
    return in[static_cast<std::size_t>(stage) * micro_batches_ + (at < micro_batches_ ? at : at - micro_batches_)];
  }
  double arrival(bool forward, int stage, int micro_batch, std::size_t later) const {
    return const_cast<PassRunner*>(this)->arrival(forward, stage, micro_batch, later);
  }
  double input_s(PassKind kind, int stage, int micro_batch, std::size_t later) const;
  double later_of(double a_s, double b_s) const {
    if (choices_) choices_->later_of(a_s, b_s);
    return std::max(a_s, b_s);
  }
  void pass(const PassOp& op, const Bound& bound, std::size_t later);
  void plain_pass(std::size_t rank, const Bound& bound, double start_s);
  void issue(const PassOp& op, const Bound& bound, double input_s);
  void known_pass(const PassOp& op, const Bound& bound, double input_s);
  void set_key(PassMemo::Key& key, const PassOp& op, const Bound& bound, double input_s);
  bool stands_still(const RankTimes& r, double until_s);
  void stand_still(std::size_t rank, double until_s);
  void take_over(const PassOp& op, const Bound& bound, const PassMemo::Record& record);
  using Intervals = std::vector<ExposureRecorder::Interval>;
  void send(const PassOp& op, double seconds, Intervals& arrivals, std::size_t later);
  void meet(const PassOp& op, const Bound& bound, std::size_t later);
  void sync(std::size_t rank);
  void repeat_compute(const Repetition& what, const std::vector<std::size_t>& starts, std::size_t rank, double shift_s);

  const StepPlan& plan_;
  std::size_t micro_batches_;
  StagePlacement placement_;
  std::vector<const StepPlan*> plans_;
  RankPrices prices_;
  RankClasses classes_;
  BreakdownRecorder breakdown_;
  ExposureRecorder exposure_;
  PeriodRecorder period_;
  PassCounts counts_;
  LongestPath path_;
  std::vector<TaskKind> kinds_;  // per task
  PassMemo::Run run_{path_, kinds_, breakdown_, exposure_};
  TaskInfo last_;
  StepIssuer issuer_;
  BoundOps bound_;
  std::optional<PassMemo> memo_;
  std::vector<RankTimes> ranks_;
  std::size_t recent_;                            // ends of passes kept per rank, a power of two
  std::vector<double> ends_s_;                    // [rank][pass % recent_]
  std::vector<double> forward_in_, backward_in_;  // [stage][micro-batch]
  RunMemory& memory_;
  bool on_arrival_ = false;
  bool waits_beside_ = false;  // collectives beside a pass may slow it, or it waits for them
  Choices* choices_ = nullptr;
  double executed_ = 0;
  std::size_t unknown_passes_ = 0;
  double latest_s_ = PassMemo::kNever;  // of what was taken over
  TaskInfo latest_;
};

}  // namespace dts

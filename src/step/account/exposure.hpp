// How much of each axis' communication hides. Inside passes the pricing knows (pricing/op_passes.cpp); between tasks
// the timeline does: what runs while the rank's compute stream stands still is exposed, the rest is overlapped.
#pragma once

#include <array>
#include <vector>

#include "step/account/busy_time.hpp"
#include "step/account/pass_counts.hpp"
#include "step/plan/rank_prices.hpp"

namespace dts {

enum class CommAxis { TP, CP, EP, DP, PP };
inline constexpr std::size_t kCommAxes = 5;

struct AxisTime {
  double total_s = 0, exposed_s = 0;  // collectives or transfers; the part beside which the rank computes nothing

  void add(const AxisTime& more, double times) { total_s += times * more.total_s, exposed_s += times * more.exposed_s; }
};
using StageTraffic = std::array<AxisTime, kCommAxes>;

// What runs when. Kept from step to step, so that its memory is.
struct ExposureLists {
  struct Interval {
    double start_s, end_s;
  };
  struct Repeat {  // of an interval: so many more, each so much later than the one before
    Interval first;
    double step_s;
    double times;
  };
  std::vector<BusyTime> busy;                    // per pipeline rank
  std::vector<std::vector<Interval>> intervals;  // per pipeline rank, stream and direction; in order
  std::vector<std::vector<Repeat>> repeats;      // of the same
  std::vector<std::vector<Interval>> arrived;    // per pipeline rank: transfers that are added up already
  std::vector<std::size_t> used;                 // of these lists: those that a step has asked for
  std::vector<char> is_used;

  void clear(std::size_t ranks);
  std::size_t entries() const;  // that there is memory for
};

// Of the first rank of every pipeline rank. A transfer counts where it arrives.
class ExposureRecorder {
 public:
  using Interval = ExposureLists::Interval;
  struct Added {  // of one rank, those that are no interval
    AxisTime collectives, transfers;
  };

  ExposureRecorder(const std::vector<const StepPlan*>& plans, const RankPrices& prices, ExposureLists& lists);

  void visit(const TaskInfo& info, const Instances& instances);
  // A step's transfers that ranks wait for at both ends, which nothing hides: counted, not seen one by one.
  void add_blocking_transfers();
  std::vector<StageTraffic> finish(const PassCounts& counts, const std::vector<const std::vector<TaskInfo>*>& classes);

  void keep_arrived(std::size_t rank, const Interval& transfer) { lists_.arrived[rank].push_back(transfer); }

  BusyTime& computes(std::size_t rank) { return lists_.busy[rank]; }
  const std::vector<BusyTime::Stretch>& stretches(std::size_t rank) const { return lists_.busy[rank].stretches(); }
  void lengths(std::vector<std::size_t>& found) const;  // of the lists of intervals that are used
  // What came to the lists since they had those lengths comes so many times again, each time so much later; 0: as much
  // as it is later than the one before, of as many that came just before, which goes for what has arrived too.
  void repeat(const std::vector<std::size_t>& lengths, double times, double step_s);
  // Of what one stream sends to a rank.
  std::vector<Interval>& arriving(std::size_t rank, StreamKind stream, bool mirrored = false) {
    const std::size_t list = list_of(rank, stream, mirrored);
    if (!lists_.is_used[list]) lists_.is_used[list] = 1, lists_.used.push_back(list);
    return lists_.intervals[list];
  }
  // Of what a pipeline rank sends to another. A wave turns the direction of a chunk, so one stream may send to both
  // neighbours.
  std::vector<Interval>& arriving_by(bool forward, std::size_t from, std::size_t to) {
    return arriving(to, forward ? StreamKind::SendForward : StreamKind::SendBackward, to > from);
  }
  // Of pipeline parallelism, those that have arrived.
  AxisTime& transfers(std::size_t rank) { return stages_[rank][static_cast<std::size_t>(CommAxis::PP)]; }
  const AxisTime& transfers(std::size_t rank) const { return stages_[rank][static_cast<std::size_t>(CommAxis::PP)]; }
  // Of data parallelism, those that are no interval.
  AxisTime& collectives(std::size_t rank) { return stages_[rank][static_cast<std::size_t>(CommAxis::DP)]; }
  const AxisTime& collectives(std::size_t rank) const { return stages_[rank][static_cast<std::size_t>(CommAxis::DP)]; }

 private:
  static std::size_t list_of(std::size_t rank, StreamKind stream, bool mirrored) {
    return 2 * (rank * kStreamsPerRank + static_cast<std::size_t>(stream)) + (mirrored ? 1 : 0);
  }
  void add_outside(const TaskInfo& info, const Interval& interval);
  void add_blocking(int to, double seconds);
  void add_inside(const PassCounts& counts, const std::vector<const std::vector<TaskInfo>*>& classes);
  // `unknown`: takes those that reach beyond what the rank has computed; null: none does.
  void repeat(std::size_t rank, const std::vector<Interval>& list, std::size_t before, double times, double step_s,
              AxisTime& time, std::vector<ExposureLists::Repeat>* unknown);
  void add_intervals(std::size_t rank, std::size_t list, AxisTime& time) const;

  const std::vector<const StepPlan*>& plans_;
  const RankPrices& prices_;
  StagePlacement placement_;
  std::vector<StageTraffic> stages_;
  ExposureLists& lists_;
};

}  // namespace dts

#include "schedule/repeated_ops.hpp"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <utility>

#include "schedule/windows.hpp"

namespace dts {

namespace {

constexpr int kBefore = -1;  // the first window

// Sorts operations into windows. An operation belongs to the window of its pass, or to a later one that it waits for.
class WindowSorter {
 public:
  WindowSorter(const OrderWindows& windows, const StagePlacement& placement, int micro_batches, bool blocking)
      : windows_(windows), repeating_(windows.begun ? 0 : 1), placement_(placement),
        micro_batches_(static_cast<std::size_t>(micro_batches)), blocking_(blocking),
        written_(2 * static_cast<std::size_t>(placement.stages()) * micro_batches_, kBefore),
        done_(windows.first.size(), kBefore), exchanged_(windows.first.size(), kBefore),
        at_(windows.first.size(), kBefore), sent_(2 * windows.first.size(), kBefore),
        begins_(windows.first.begin(), windows.first.end()), windows_of_ops_(windows.count + 2) {
    const auto passes = [](const std::vector<std::size_t>& of_ranks) {
      return std::accumulate(of_ranks.begin(), of_ranks.end(), std::size_t{0});
    };
    const std::size_t each = blocking ? 2 : 1;  // a pass, and most meet for its output
    for (RepeatedOps::Ops& ops : windows_of_ops_) ops.reserve(each * passes(windows.length));
    windows_of_ops_.front().reserve(each * passes(windows.first));
  }

  void add(const PassOp& op, const PipelineOrder& order) {
    if (op.op == PassOpKind::Received && !op.first) return group_.push_back(op);
    finish_group();
    const auto rank = static_cast<std::size_t>(op.rank);
    if (op.op == PassOpKind::Pass) at_[rank] = window_of(op.rank, op.index);
    int window = at_[rank];
    switch (op.op) {
      case PassOpKind::Pass:
        read(op, order, window);
        wait(done_[rank], window), wait(exchanged_[rank], window);
        done_[rank] = exchanged_[rank] = window;
        if (op.to >= 0) carry(op, window);
        break;
      case PassOpKind::Turn:
      case PassOpKind::Send:
        wait(done_[rank], window);
        carry(op, window);
        break;
      case PassOpKind::Meet: {
        const auto to = static_cast<std::size_t>(placement_.rank_of(op.to));
        window = std::max({window, at_[to], exchanged_[rank], exchanged_[to]});
        carry(op, window);
        if (op.released.sender) exchanged_[rank] = window;
        if (op.released.receiver) exchanged_[to] = window;
        break;
      }
      case PassOpKind::Received: return group_.push_back(op);
    }
    put(op, window);
  }

  RepeatedOps sorted(int later) && {
    finish_group();
    RepeatedOps out;
    if (!regular_) return out;
    out.later = later;
    out.pending = std::move(pending_);
    const auto repeating = windows_of_ops_.begin() + (repeating_ - kBefore);
    out.before.assign(std::make_move_iterator(windows_of_ops_.begin()), std::make_move_iterator(repeating));
    out.window = std::move(*repeating);
    out.after.assign(std::make_move_iterator(repeating + 1), std::make_move_iterator(windows_of_ops_.end()));
    return out;
  }

 private:
  void put(const PassOp& op, int window) { windows_of_ops_[static_cast<std::size_t>(window - kBefore)].push_back(op); }

  // A rank goes on after the last transfer of a group, and each of them starts from where the rank was before the
  // group.
  void finish_group() {
    if (group_.empty()) return;
    const auto rank = static_cast<std::size_t>(group_.front().rank);
    int window = at_[rank];
    for (const PassOp& op : group_) window = std::max(window, written_[slot(op.forward, op.to, op.micro_batch)]);
    for (const PassOp& op : group_) {
      if (written_[slot(op.forward, op.to, op.micro_batch)] <= repeating_ && window > repeating_)
        pending_.push_back({op.forward, op.to, op.micro_batch});
      put(op, window);
    }
    exchanged_[rank] = window;
    group_.clear();
  }

  int window_of(int rank, int index) {  // passes come in order
    const auto r = static_cast<std::size_t>(rank);
    if (index < begins_[r] || at_[r] == static_cast<int>(windows_.count)) return at_[r];
    begins_[r] += static_cast<int>(windows_.length[r]);
    return at_[r] + 1;
  }

  std::size_t slot(bool forward, int stage, int micro_batch) const {
    const auto stages = static_cast<std::size_t>(placement_.stages());
    return ((forward ? 0 : stages) + static_cast<std::size_t>(stage)) * micro_batches_ +
           static_cast<std::size_t>(micro_batch);
  }

  void wait(int earlier, int window) noexcept { regular_ = regular_ && earlier <= window; }

  void carry(const PassOp& op, int window) {
    written_[slot(op.forward, op.to, op.micro_batch)] = window;
    if (op.op == PassOpKind::Turn) return;
    int& before = sent_[2 * static_cast<std::size_t>(op.rank) + (op.forward ? 0 : 1)];  // a stream keeps its order
    wait(before, window);
    before = window;
  }

  void read(const PassOp& op, const PipelineOrder& order, int window) {
    const Pass& pass = order[static_cast<std::size_t>(op.rank)][static_cast<std::size_t>(op.index)];
    if (pass.kind != PassKind::BackwardWeight) arrive({op.forward, op.stage, op.micro_batch}, window);
    if (!pass.with_next) return;
    const Pass& partner = *(&pass + 1);  // which reads it as well
    const int stage = placement_.stage_of(op.rank, partner.chunk);
    wait(written_[slot(partner.kind == PassKind::Forward, stage, partner.micro_batch)], window);
  }

  void arrive(const RepeatedOps::Arrival& a, int window) {
    const bool fed = (a.forward ? placement_.previous(a.stage) : placement_.next(a.stage)) >= 0;
    if (!fed) return;
    const int written = written_[slot(a.forward, a.stage, a.micro_batch)];
    wait(written, window);
    if (!blocking_ && written <= repeating_ && window > repeating_) pending_.push_back(a);
  }

  const OrderWindows& windows_;
  int repeating_;  // not the first or last, where a step begins and ends
  StagePlacement placement_;
  std::size_t micro_batches_;
  bool blocking_;
  std::vector<int> written_;                       // window, per arrival
  std::vector<int> done_, exchanged_, at_, sent_;  // per rank; sent_: and direction
  std::vector<int> begins_;                        // per rank: the next window
  std::vector<RepeatedOps::Ops> windows_of_ops_;
  RepeatedOps::Ops group_;  // of transfers that a rank waits for together
  std::vector<RepeatedOps::Arrival> pending_;
  bool regular_ = true;
};

}  // namespace

std::size_t RepeatedOps::size() const noexcept {
  std::size_t all = window.size();
  for (const Ops& ops : before) all += ops.size();
  for (const Ops& ops : after) all += ops.size();
  return all;
}

RepeatedOps repeated_ops(const PipelineOrder& order, const StagePlacement& placement, int micro_batches, bool blocking,
                         int period) {
  const int later = period / placement.copies();
  const OrderWindows windows = period > 0 ? windows_of(order, later) : OrderWindows{};
  if (windows.count < (windows.begun ? 2U : 3U)) return {};  // the last one is not to be repeated
  WindowSorter sorter(windows, placement, micro_batches, blocking);
  walk_ops(order, placement, micro_batches, blocking, [&](const PassOp& op) { sorter.add(op, order); });
  return std::move(sorter).sorted(later);
}

RepeatedOps listed_ops(const PipelineOrder& order, const StagePlacement& placement, int micro_batches, bool blocking) {
  RepeatedOps listed;
  RepeatedOps::Ops& all = listed.before.emplace_back();
  walk_ops(order, placement, micro_batches, blocking, [&](const PassOp& op) { all.push_back(op); });
  return listed;
}

}  // namespace dts

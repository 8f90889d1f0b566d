#include "schedule/blocking_walk.hpp"

#include <algorithm>

#include "error.hpp"
#include "interrupt.hpp"

namespace dts {

namespace {

// What a pass reads from, or writes to, another rank; `from` and `to` are -1 where nothing crosses ranks.
Transfer transfer_of(const StagePlacement& placement, int rank, const Pass& pass, bool sent) {
  const bool forward = pass.kind == PassKind::Forward;
  const int stage = placement.stage_of(rank, pass.chunk);
  const int other = forward == sent ? placement.next(stage) : placement.previous(stage);
  const bool crosses = pass.kind != PassKind::BackwardWeight && other >= 0 && placement.rank_of(other) != rank;
  if (!crosses) return {forward, -1, -1, pass.micro_batch};
  return {forward, sent ? stage : other, sent ? other : stage, pass.micro_batch};
}

}  // namespace

BlockingWalk::BlockingWalk(const PipelineOrder& order, const StagePlacement& placement, int micro_batches)
    : order_(order), placement_(placement), micro_batches_(static_cast<std::size_t>(micro_batches)),
      next_(order.size(), 0), posted_(order.size(), false), released_(order.size(), false) {
  sides_.assign(2 * static_cast<std::size_t>(placement.stages()) * micro_batches_, 0);
  for (std::size_t rank = 0; rank < order.size(); ++rank) steps_.push_back(steps_of(rank));
}

// Passes that run as one step: pairs that overlap, and with several chunks a forward and the backward after it, except
// on a rank whose forwards are all warm-up.
std::size_t BlockingWalk::item_end(const std::vector<Pass>& passes, std::size_t begin, bool steady) const {
  if (begin + 1 >= passes.size()) return begin + 1;
  const bool turns = passes[begin].kind == PassKind::Forward && passes[begin + 1].kind != PassKind::Forward;
  return begin + (passes[begin].with_next || (turns && steady) ? 2 : 1);
}

std::vector<BlockingWalk::Step> BlockingWalk::steps_of(std::size_t rank) const {
  const std::vector<Pass>& passes = order_[rank];
  const auto is_forward = [](const Pass& pass) { return pass.kind == PassKind::Forward; };
  const auto turn = std::find_if_not(passes.begin(), passes.end(), is_forward);
  const bool steady = placement_.chunks > 1 && std::any_of(turn, passes.end(), is_forward);
  std::vector<Step> steps;
  std::vector<Transfer> sends;
  bool sent_forward = false, first = true;
  const auto flush = [&](std::vector<Transfer>& group) {
    if (!group.empty()) steps.push_back({0, 0, std::move(group)});
    group.clear();
  };
  for (std::size_t begin = 0; begin < passes.size();) {
    poll_interrupt(16);
    std::size_t work = begin;  // after the weight gradients, which neither send nor receive
    while (work < passes.size() && passes[work].kind == PassKind::BackwardWeight) ++work;
    const std::size_t end = work < passes.size() ? item_end(passes, work, steady) : work;
    std::vector<Transfer> receives, next_sends;
    for (std::size_t i = work; i < end; ++i) {
      const Transfer in = transfer_of(placement_, static_cast<int>(rank), passes[i], false);
      const Transfer out = transfer_of(placement_, static_cast<int>(rank), passes[i], true);
      if (in.to >= 0) receives.push_back(in);
      if (out.to >= 0) next_sends.push_back(out);
    }
    const bool forward = work < end && is_forward(passes[work]);
    const bool apart = placement_.chunks == 1 && !first && forward == sent_forward;
    if (apart) {
      flush(sends);
      if (work > begin) steps.push_back({begin, work, {}});
      begin = work;
    }
    sends.insert(sends.end(), receives.begin(), receives.end());
    flush(sends);
    if (end > begin) steps.push_back({begin, end, {}});
    sends = std::move(next_sends);
    sent_forward = is_forward(passes[end - 1]);
    first = false;
    begin = end;
  }
  flush(sends);
  return steps;
}

bool BlockingWalk::all_done(const Step& step) const {
  return std::all_of(step.transfers.begin(), step.transfers.end(),
                     [&](const Transfer& t) { return sides_[slot(t)] == 2; });
}

Released BlockingWalk::release(const Transfer& transfer) {
  const auto from = static_cast<std::size_t>(placement_.rank_of(transfer.from)),
             to = static_cast<std::size_t>(placement_.rank_of(transfer.to));
  const Released made{releases(transfer, from, to), releases(transfer, to, from)};
  if (made.sender) released_[from] = true;
  if (made.receiver) released_[to] = true;
  return made;
}

bool BlockingWalk::releases(const Transfer& transfer, std::size_t rank, std::size_t peer) const {
  const std::vector<Transfer>&own = steps_[rank][next_[rank]].transfers, &other = steps_[peer][next_[peer]].transfers;
  return std::all_of(own.begin(), own.end(), [&](const Transfer& t) {
    if (slot(t) == slot(transfer)) return true;
    const auto from = static_cast<std::size_t>(placement_.rank_of(t.from)),
               to = static_cast<std::size_t>(placement_.rank_of(t.to));
    const bool with_peer = from == peer || to == peer;
    return with_peer && sides_[slot(t)] == 2 &&
           std::none_of(other.begin(), other.end(), [&](const Transfer& o) { return slot(o) == slot(t); });
  });
}

std::size_t BlockingWalk::slot(const Transfer& transfer) const {
  const auto stages = static_cast<std::size_t>(placement_.stages());
  return ((transfer.forward ? 0 : stages) + static_cast<std::size_t>(transfer.from)) * micro_batches_ +
         static_cast<std::size_t>(transfer.micro_batch);
}

void BlockingWalk::check_all_reached() const {
  Checker check;
  for (std::size_t rank = 0; rank < steps_.size(); ++rank) {
    if (next_[rank] == steps_[rank].size()) continue;
    check.fail("pipeline rank " + std::to_string(rank), stuck(rank), "no deadlock with blocking transfers",
               "use p2p=\"overlapped\", or an order in which both ranks meet at each transfer");
  }
  check.throw_if_any();
}

std::string BlockingWalk::stuck(std::size_t rank) const {
  for (const Transfer& t : steps_[rank][next_[rank]].transfers) {
    if (sides_[slot(t)] == 2) continue;
    const bool sends = placement_.rank_of(t.from) == static_cast<int>(rank);
    const int peer = placement_.rank_of(sends ? t.to : t.from);
    const Pass pass{t.forward ? PassKind::Forward : PassKind::Backward, placement_.chunk_of(t.from), t.micro_batch};
    return std::string("stuck ") + (sends ? "sending the output of " : "receiving the output of ") + name_of(pass) +
           (sends ? " to rank " : " from rank ") + std::to_string(peer);
  }
  return "stuck";
}

}  // namespace dts

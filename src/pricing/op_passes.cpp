#include "pricing/op_passes.hpp"

#include <algorithm>

#include "pricing/group_pricer.hpp"
#include "pricing/overlap.hpp"

namespace dts {

namespace {

using Calls = std::vector<CollectiveCall>;
using Kind = CollectiveKind;

// Transformer Engine `get_default_config`: a pipelined scatter has 4 pieces; bulk and pipelined transfers hold 16
// multiprocessors, ring exchanges 1.
constexpr int kScatterPieces = 4;
constexpr double kBulkSms = 16, kRingSms = 1;

// Context-parallel transfers count as one axis.
std::size_t charged(Axis axis) {
  return static_cast<std::size_t>(axis == Axis::CP_HEADS || axis == Axis::CP_SEQUENCE ? Axis::CP : axis);
}

class OpPricer {
 public:
  OpPricer(const LocalOp& op, const BlockContext& c, const OpTimer& timer, bool splits)
      : op_(op), c_(c), timer_(timer), mode_(c.profile.tp_overlap) {
    if (mode_ != TpOverlap::Userbuffers && mode_ != TpOverlap::AsyncTp) return;
    splits_ = splits && op.op->kind == OpKind::Matmul && c.sizes.sequence_parallel && c.groups.within_domain(Axis::TP);
    if (!splits_) mode_ = mode_ == TpOverlap::Userbuffers ? TpOverlap::Bulk : TpOverlap::None;
  }

  OpPasses run() {
    forward();
    gradients(out_.backward, out_.backward, out_.more_backward_kernels);
    int again = 0;  // the same launches
    if (c_.split_backward) gradients(out_.data_grad, out_.weight_grad, again);
    return out_;
  }

 private:
  void forward() {
    PassCost& f = out_.forward;
    if (is(op_.forward_before, Kind::AllGather)) {
      exchange(f, op_.forward_before.front(), timer_.forward_s(piece(c_.sizes.tp)), out_.more_forward_kernels);
      blocking(f, op_.forward_after);
    } else if (is(op_.forward_after, Kind::ReduceScatter)) {
      blocking(f, op_.forward_before);
      scatter(f, op_.forward_after.front(), out_.more_forward_kernels);
    } else {
      blocking(f, op_.forward_before);
      if (ring()) {
        beside(f, {}, timer_.exchange_copies_s(op_));
        along_ring(f, op_.forward_beside, timer_.ring_kernels_s(op_, false));
      } else {
        beside(f, op_.forward_beside, timer_.forward_s(op_));
      }
      blocking(f, op_.forward_after);
    }
  }

  // `d` and `w` are one pass, or apart where a schedule delays weight gradients: the input gradient leaves at once
  // then, and its collective has no weight gradient to run beside.
  void gradients(PassCost& d, PassCost& w, int& more_kernels) const {
    const bool apart = &d != &w;
    const double data_s = timer_.data_grad_s(op_), weight_s = timer_.weight_grad_s(op_);
    beside(w, {}, timer_.recast_s(op_));
    if (is(op_.backward_before, Kind::AllGather)) {
      exchange(d, op_.backward_before.front(), timer_.data_grad_s(piece(c_.sizes.tp)), more_kernels);
      beside(w, {}, weight_s);
      return blocking(d, op_.backward_after);
    }
    blocking(d, op_.backward_before);
    if (ring()) {
      beside(d, {}, timer_.exchange_copies_s(op_));
      along_ring(d, op_.beside_data_grad, timer_.ring_kernels_s(op_, true));
    } else if (mode_ == TpOverlap::AsyncTp && is(op_.beside_weight_grad, Kind::ReduceScatter)) {
      // The matmul that sums over gathered tokens cannot be cut along them: its gather blocks.
      blocking(d, op_.beside_data_grad);
      exchange(d, op_.beside_weight_grad.front(), timer_.data_grad_s(piece(c_.sizes.tp)), more_kernels);
      beside(w, {}, weight_s);
    } else {
      const bool bulk = mode_ == TpOverlap::Bulk || mode_ == TpOverlap::Userbuffers;
      beside(d, op_.beside_data_grad, bulk ? data_s : 0);
      beside(d, {}, bulk ? 0 : data_s);
      beside(d, op_.beside_weight_grad, bulk && !apart ? weight_s : 0);
      beside(w, {}, bulk && !apart ? 0 : weight_s);
    }
    blocking(d, op_.backward_after);
  }

  bool ring() const { return op_.op->kind == OpKind::Attention && op_.sequence_split > 1 && !op_.gathered_keys; }

  // Whether this matmul is cut along the one tensor-parallel collective in the list.
  bool is(const Calls& calls, Kind kind) const {
    return splits_ && calls.size() == 1 && calls.front().kind == kind && calls.front().axis == Axis::TP;
  }

  LocalOp piece(int of) const {
    LocalOp part = op_;
    part.rows /= of;
    return part;
  }

  double share(double sms) const { return sms / std::max(c_.device.sm_count, 1); }

  void blocking(PassCost& pass, const Calls& calls) const { beside(pass, calls, 0); }

  // Calls one after another while `kernel_s` of compute runs; the wait is charged to axes in proportion to their time.
  void beside(PassCost& pass, const Calls& calls, double kernel_s) const {
    std::array<double, kAxisCount> spent{};
    double comm_s = 0, busy = 0;
    for (const CollectiveCall& call : calls) {
      const CallPrice price = c_.groups.price(call);
      spent[charged(call.axis)] += price.seconds;
      comm_s += price.seconds;
      busy += price.seconds * std::min(share(mode_ == TpOverlap::Userbuffers ? kBulkSms : price.sms), 1.0);
    }
    const double total = comm_s > 0 ? beside_s(kernel_s, comm_s, busy / comm_s) : kernel_s;
    charge(pass, spent, comm_s, kernel_s, total);
  }

  // Gather and matmul, or matmul and scatter, hop by hop around the tensor-parallel ranks.
  void exchange(PassCost& pass, const CollectiveCall& call, double chunk_s, int& more_kernels) const {
    const int chunks = c_.sizes.tp;
    const double hop_s = c_.groups.seconds({Kind::SendRecv, call.axis, call.bytes / chunks});
    const double held = mode_ == TpOverlap::Userbuffers ? share(kRingSms) : 0;  // copy engines move symmetric memory
    std::array<double, kAxisCount> spent{};
    spent[charged(call.axis)] = (chunks - 1) * hop_s;
    charge(pass, spent, spent[charged(call.axis)], chunks * chunk_s, ring_exchange_s(chunk_s, hop_s, held, chunks));
    more_kernels += chunks - 1;
  }

  void scatter(PassCost& pass, const CollectiveCall& call, int& more_kernels) const {
    const bool narrow = bytes_of(timer_.precision) < 2;  // 8-bit results are exchanged in a ring
    if (mode_ == TpOverlap::AsyncTp || narrow) {
      return exchange(pass, call, timer_.forward_s(piece(c_.sizes.tp)), more_kernels);
    }
    const double chunk_s = timer_.forward_s(piece(kScatterPieces));
    const double transfer_s = c_.groups.seconds({call.kind, call.axis, call.bytes / kScatterPieces});
    std::array<double, kAxisCount> spent{};
    spent[charged(call.axis)] = kScatterPieces * transfer_s;
    charge(pass, spent, kScatterPieces * transfer_s, kScatterPieces * chunk_s,
           pipelined_s(chunk_s, transfer_s, share(kBulkSms), kScatterPieces));
    more_kernels += kScatterPieces - 1;
  }

  void along_ring(PassCost& pass, const Calls& calls, const RingKernels& k) const {
    std::vector<double> kernels(static_cast<std::size_t>(op_.sequence_split), k.later_s), transfers;
    kernels.front() = k.own_s;
    std::array<double, kAxisCount> spent{};
    double comm_s = 0, held = 0;
    for (const CollectiveCall& call : calls) {
      const CallPrice price = c_.groups.price(call);
      transfers.push_back(price.seconds);
      comm_s += price.seconds;
      held = std::max(held, share(price.sms));
    }
    spent[charged(Axis::CP)] = comm_s;
    const bool backward = calls.size() == kernels.size();
    const double total =
        backward ? ring_backward_s(kernels, transfers, held) : ring_forward_s(kernels, transfers, held);
    charge(pass, spent, comm_s, k.own_s + (op_.sequence_split - 1) * k.later_s, total);
  }

  static void charge(PassCost& pass, const std::array<double, kAxisCount>& spent, double comm_s, double kernel_s,
                     double total_s) {
    const double exposed_share = comm_s > 0 ? std::max(total_s - kernel_s, 0.0) / comm_s : 0;
    const double slack_share = comm_s > 0 ? std::max(total_s - comm_s, 0.0) / comm_s : 0;
    for (std::size_t axis = 0; axis < kAxisCount; ++axis) {
      pass.comm_s[axis] += spent[axis];
      pass.exposed_s[axis] += spent[axis] * exposed_share;
      if (exposed_share == 0) pass.slack_s[axis] += spent[axis] * slack_share;
    }
    pass.compute_s += kernel_s;
    pass.total_s += total_s;
  }

  const LocalOp& op_;
  const BlockContext& c_;
  const OpTimer& timer_;
  TpOverlap mode_;
  bool splits_ = false;
  OpPasses out_;
};

}  // namespace

OpPasses price_passes(const LocalOp& op, const BlockContext& context, const OpTimer& timer, bool splits) {
  return OpPricer(op, context, timer, splits).run();
}

}  // namespace dts

#include "pricing/expert_overlap.hpp"

#include <algorithm>

#include "hardware/device.hpp"
#include "pricing/group_pricer.hpp"

namespace dts {
namespace {

constexpr auto kEp = static_cast<std::size_t>(Axis::EP);

void hide(PassCost& pass, double seconds) {
  const double hidden = std::min(seconds, pass.exposed_s[kEp]);
  pass.exposed_s[kEp] -= hidden;
  pass.total_s -= hidden;
}

// The exchange among these calls.
CallPrice exchange_of(const std::vector<CollectiveCall>& calls, const GroupPricer& groups) {
  CallPrice sum;
  for (const CollectiveCall& call : calls) {
    if (call.axis != Axis::EP) continue;
    const CallPrice one = groups.price(call);
    sum.seconds += one.seconds;
    sum.sms = std::max(sum.sms, one.sms);
  }
  return sum;
}

struct Kernels {
  double forward_s = 0, data_grad_s = 0, backward_s = 0;
};

class SharedExperts {
 public:
  SharedExperts(BlockCost& cost, const std::vector<LocalOp>& ops, const BlockContext& context)
      : cost_(cost), ops_(ops), c_(context) {}

  void run(bool dispatch_again) {
    const auto is = [](OpKind kind) { return [kind](const LocalOp& op) { return op.op->kind == kind; }; };
    const auto dispatch = std::find_if(ops_.begin(), ops_.end(), is(OpKind::Dispatch));
    const auto combine = std::find_if(dispatch, ops_.end(), is(OpKind::Combine));
    if (combine == ops_.end()) return;
    // What reads the experts' own input after they are done.
    const auto reads_same = [&](const LocalOp& op) { return op.op->input == dispatch->op->input; };
    const auto first = std::find_if(combine, ops_.end(), reads_same);
    if (first == ops_.end()) return;
    auto last = ops_.end() - 1;
    while (last != first && last->op->kind != OpKind::Matmul) --last;
    const Kernels before = kernels(first, last), product = kernels(last, last + 1);
    const double forward_s =
        done(dispatch->forward_after, before.forward_s) + done(combine->forward_before, product.forward_s);
    hide(cost_.forward, forward_s);
    if (dispatch_again) hide(cost_.recompute, forward_s);
    hide(cost_.backward,
         done(combine->backward_after, product.backward_s) + done(dispatch->backward_before, before.backward_s));
    hide(cost_.data_grad,
         done(combine->backward_after, product.data_grad_s) + done(dispatch->backward_before, before.data_grad_s));
  }

 private:
  using Place = std::vector<LocalOp>::const_iterator;

  Kernels kernels(Place begin, Place end) const {
    Kernels sum;
    for (; begin != end; ++begin) {
      const OpCost& op = cost_.ops[static_cast<std::size_t>(begin - ops_.begin())];
      sum.forward_s += op.forward_s;
      sum.data_grad_s += op.data_grad_s;
      sum.backward_s += op.data_grad_s + op.weight_grad_s;
    }
    return sum;
  }

  double done(const std::vector<CollectiveCall>& calls, double compute_s) const {
    const CallPrice exchange = exchange_of(calls, c_.groups);
    return hidden_s(exchange.seconds, compute_s, exchange.sms / c_.device.sm_count);
  }

  BlockCost& cost_;
  const std::vector<LocalOp>& ops_;
  const BlockContext& c_;
};

}  // namespace

double hidden_s(double exchange_s, double compute_s, double sm_share) noexcept {
  return std::min(compute_s, exchange_s * std::max(0.0, 1 - sm_share));
}

void overlap_exchange(BlockCost& cost, const std::vector<LocalOp>& ops, const BlockContext& context,
                      bool dispatch_again) {
  const Routing& routing = context.sizes.routing;
  if (context.sizes.ep == 1) return;
  for (const auto* calls : {&cost.forward_calls, &cost.backward_calls}) {
    const double share = exchange_of(*calls, context.groups).sms / context.device.sm_count;
    cost.exchange_sm_share = std::max(cost.exchange_sm_share, share);
  }
  if (routing.overlap_shared_experts) SharedExperts(cost, ops, context).run(dispatch_again);
}

}  // namespace dts

#include "parallel/expert_lowering.hpp"

namespace dts {
namespace {

using Kind = CollectiveKind;
using Calls = std::vector<CollectiveCall>;

struct Transfers {
  Calls out, back;            // forward of dispatch, forward of combine
  Calls out_grad, back_grad;  // backward of each
};

CollectiveKind reduction(const LocalSizes& s) { return s.own_tokens() ? Kind::ReduceScatter : Kind::AllReduce; }

Transfers routed(const LocalSizes& s, const Op& op, const LocalOp& local, bool deduplicated) {
  const double rows = local.rows / s.gathered_by_experts();
  const double sent = rows * op.in_features * s.activation_bytes;
  CollectiveCall exchange{Kind::AllToAll, Axis::EP, sent, local.load, {}};
  if (deduplicated) exchange.copies = {op.top_k, op.experts, s.routing.max_nodes, s.routing.exchange_sms};
  const double gathered = sent * s.gathered_by_experts();
  const CollectiveCall gather{Kind::AllGather, Axis::ETP, gathered, local.load, {}};
  const CollectiveCall reduce{reduction(s), Axis::ETP, gathered, local.load, {}};
  Transfers t;
  if (s.ep > 1) t.out.push_back(exchange);
  if (s.etp > 1 && s.own_tokens()) t.out.push_back(gather);
  if (s.etp > 1) t.back.push_back(reduce);
  if (s.ep > 1) t.back.push_back(exchange);
  t.out_grad = t.back, t.back_grad = t.out;
  return t;
}

Transfers gathered(const LocalSizes& s, const Op& op) {
  constexpr double kMap = 1, kWeight = 4;  // a byte map and fp32 weights over all experts travel along
  const double tokens = s.tokens / s.token_share(), row = op.in_features * s.activation_bytes;
  const double over_ep = tokens * s.ep, over_both = over_ep * s.gathered_by_experts();
  const auto there = [&](double bytes) {
    Calls calls;
    if (s.ep > 1) calls.push_back({Kind::AllGather, Axis::EP, over_ep * bytes});
    if (s.etp > 1 && s.own_tokens()) calls.push_back({Kind::AllGather, Axis::ETP, over_both * bytes});
    return calls;
  };
  const auto back = [&](double bytes) {
    Calls calls;
    if (s.etp > 1) calls.push_back({reduction(s), Axis::ETP, over_both * bytes});
    if (s.ep > 1) calls.push_back({Kind::ReduceScatter, Axis::EP, over_ep * bytes});
    return calls;
  };
  return {there(row + (kMap + kWeight) * op.experts), back(row), back(row + kWeight * op.experts), there(row)};
}

// Rows read and written.
double permuted_rows(const LocalSizes& s, const LocalOp& local) {
  const double received = local.rows * local.load;
  if (s.ep == 1 || s.routing.dispatcher == Dispatcher::DeepEP) return 2 * received;
  if (s.routing.dispatcher == Dispatcher::AllGather) {  // combine writes a row for every token of the group
    const double all = s.tokens / s.token_share() * s.ep * s.gathered_by_experts();
    return received + (local.op->kind == OpKind::Dispatch ? received : all);
  }
  const double by_expert = local.op->experts > s.ep ? 2 * received : 0;
  return 2 * local.rows / s.gathered_by_experts() + by_expert;
}

}  // namespace

void lower_exchange(const LocalSizes& s, LocalOp& local) {
  const Op& op = *local.op;
  const Dispatcher dispatcher = s.routing.dispatcher;
  Transfers t =
      dispatcher == Dispatcher::AllGather ? gathered(s, op) : routed(s, op, local, dispatcher == Dispatcher::DeepEP);
  local.permuted_rows = permuted_rows(s, local);
  if (op.kind == OpKind::Dispatch) {
    local.forward_after = std::move(t.out);
    local.backward_before = std::move(t.out_grad);
  } else {
    local.forward_before = std::move(t.back);
    local.backward_after = std::move(t.back_grad);
  }
}

}  // namespace dts

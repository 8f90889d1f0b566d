#include "pricing/block_cost.hpp"

#include <algorithm>

#include "pricing/group_pricer.hpp"
#include "pricing/op_cost.hpp"
#include "pricing/recompute.hpp"

namespace dts {

namespace {

std::size_t at(Axis axis) { return static_cast<std::size_t>(axis); }

// Adds calls that run while `beside_s` of compute runs; returns the time until both are done. The wait is charged to
// the axes in proportion to their time.
double run_beside(PassCost& cost, const std::vector<CollectiveCall>& calls, double beside_s, const GroupPricer& groups) {
  std::array<double, kAxisCount> spent{};
  double comm_s = 0;
  for (const CollectiveCall& call : calls) {
    const double s = groups.seconds(call);
    spent[at(call.axis)] += s;
    comm_s += s;
  }
  const double exposed_share = comm_s > beside_s ? (comm_s - beside_s) / comm_s : 0;
  for (std::size_t axis = 0; axis < kAxisCount; ++axis) {
    cost.comm_s[axis] += spent[axis];
    cost.exposed_s[axis] += spent[axis] * exposed_share;
  }
  cost.compute_s += beside_s;
  return std::max(comm_s, beside_s);
}

struct Passes {
  PassCost forward, backward, data_grad, weight_grad;
};

// The input gradient leaves at once, so its collective has no weight gradient to run beside.
void price_apart(Passes& p, const LocalOp& op, bool overlap, const BlockContext& c, const OpCost& detail) {
  PassCost& d = p.data_grad;
  d.total_s = run_beside(d, op.backward_before, 0, c.groups) +
              run_beside(d, op.beside_data_grad, overlap ? detail.data_grad_s : 0, c.groups) +
              run_beside(d, {}, overlap ? 0 : detail.data_grad_s, c.groups) +
              run_beside(d, op.beside_weight_grad, 0, c.groups) + run_beside(d, op.backward_after, 0, c.groups);
  p.weight_grad.total_s = run_beside(p.weight_grad, {}, detail.weight_grad_s, c.groups);
}

Passes price_op(const LocalOp& op, const BlockContext& c, const OpTimer& timer, OpCost& detail) {
  detail = {op.op->name, timer.forward_s(op), timer.data_grad_s(op), timer.weight_grad_s(op)};
  Passes p;
  p.forward.total_s = run_beside(p.forward, op.forward_before, 0, c.groups) +
                      run_beside(p.forward, op.forward_beside, detail.forward_s, c.groups) +
                      run_beside(p.forward, op.forward_after, 0, c.groups);
  const bool overlap = c.profile.tp_overlap_weight_grad;
  PassCost& b = p.backward;
  b.total_s = run_beside(b, op.backward_before, 0, c.groups);
  if (!overlap && op.op->kind != OpKind::Attention) {
    b.total_s += run_beside(b, op.beside_data_grad, 0, c.groups) + run_beside(b, {}, detail.data_grad_s, c.groups) +
                 run_beside(b, op.beside_weight_grad, 0, c.groups) + run_beside(b, {}, detail.weight_grad_s, c.groups);
  } else {
    b.total_s += run_beside(b, op.beside_data_grad, detail.data_grad_s, c.groups) +
                 run_beside(b, op.beside_weight_grad, detail.weight_grad_s, c.groups);
  }
  b.total_s += run_beside(b, op.backward_after, 0, c.groups);
  price_apart(p, op, overlap || op.op->kind == OpKind::Attention, c, detail);
  return p;
}

void append(std::vector<CollectiveCall>& all, const std::vector<CollectiveCall>& more) {
  all.insert(all.end(), more.begin(), more.end());
}

std::vector<CollectiveCall> forward_calls(const LocalOp& op) {
  std::vector<CollectiveCall> calls = op.forward_before;
  append(calls, op.forward_beside);
  append(calls, op.forward_after);
  return calls;
}

std::vector<CollectiveCall> backward_calls(const LocalOp& op) {
  std::vector<CollectiveCall> calls = op.backward_before;
  append(calls, op.beside_data_grad);
  append(calls, op.beside_weight_grad);
  append(calls, op.backward_after);
  return calls;
}

// An eager framework issues kernels one by one: a pass cannot be shorter than the host needs.
void apply_host_floor(PassCost& cost, double host_s) {
  cost.host_s = std::max(0.0, host_s - cost.total_s);
  cost.total_s += cost.host_s;
}

}  // namespace

void PassCost::add(const PassCost& other) {
  total_s += other.total_s;
  compute_s += other.compute_s;
  host_s += other.host_s;
  for (std::size_t axis = 0; axis < kAxisCount; ++axis) {
    comm_s[axis] += other.comm_s[axis];
    exposed_s[axis] += other.exposed_s[axis];
  }
}

BlockCost price_block(const Block& block, const BlockContext& c, bool is_head) {
  const bool narrow = bytes_of(c.precision) < 2;
  const OpTimer timer{c.device, c.profile, c.sizes, is_head && narrow ? DType::BF16 : c.precision};
  const std::vector<LocalOp> ops = lower_block(block, c.sizes);
  const std::vector<double> again =
      recomputed_shares(block, is_head ? Recompute::None : c.recompute, c.profile);
  BlockCost cost;
  double kernels = 0, kernels_again = 0, weight_kernels = 0;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    const LocalOp& op = ops[i];
    const Passes passes = price_op(op, c, timer, cost.ops.emplace_back());
    cost.forward.add(passes.forward);
    cost.backward.add(passes.backward);
    cost.data_grad.add(passes.data_grad);
    cost.weight_grad.add(passes.weight_grad);
    const double flops = timer.forward_flops(op);
    cost.forward_flops += flops;
    cost.backward_flops += timer.backward_flops(op);
    kernels += timer.kernels(op);
    if (cost.ops.back().weight_grad_s > 0) weight_kernels += timer.kernels(op);
    append(cost.forward_calls, forward_calls(op));
    append(cost.backward_calls, backward_calls(op));
    if (again[i] > 0) {
      PassCost part = passes.forward;
      part.total_s += (again[i] - 1) * cost.ops.back().forward_s;  // a share of the kernel, all of its collectives
      part.compute_s *= again[i];
      cost.recompute.add(part);
      append(cost.recompute_calls, forward_calls(op));
      cost.recompute_flops += again[i] * flops;
      kernels_again += timer.kernels(op);
    }
    (op.expert_weights ? cost.expert_parameters : cost.dense_parameters) += op.parameters;
    if (op.op->trainable) (op.expert_weights ? cost.expert_trainable : cost.dense_trainable) += op.parameters;
  }
  apply_host_floor(cost.forward, kernels * c.profile.host_forward_s_per_op);
  apply_host_floor(cost.recompute, kernels_again * c.profile.host_forward_s_per_op);
  apply_host_floor(cost.backward, kernels * c.profile.host_backward_s_per_op);
  // The backward of a matmul is two kernels, one for each gradient.
  apply_host_floor(cost.data_grad, (kernels - weight_kernels / 2) * c.profile.host_backward_s_per_op);
  apply_host_floor(cost.weight_grad, weight_kernels / 2 * c.profile.host_backward_s_per_op);
  return cost;
}

}  // namespace dts

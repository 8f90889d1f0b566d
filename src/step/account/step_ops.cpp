#include "step/account/step_ops.hpp"

#include <array>

#include "parallel/placed_model.hpp"
#include "pricing/lowered_block.hpp"
#include "step/plan/block_uses.hpp"

namespace dts {

namespace {

GemmPass kernel_of(OpPass pass) {
  return pass == OpPass::DataGrad     ? GemmPass::DataGrad
         : pass == OpPass::WeightGrad ? GemmPass::WeightGrad
                                      : GemmPass::Forward;
}

double seconds(const OpTimer& timer, const LocalOp& op, GemmPass pass) {
  if (pass == GemmPass::Forward) return timer.forward_s(op);
  return pass == GemmPass::DataGrad ? timer.data_grad_s(op) : timer.weight_grad_s(op);
}

DType type_of(const OpTimer& timer, const LocalOp& op, GemmPass pass) {
  switch (op.op->kind) {
    case OpKind::Matmul:
    case OpKind::GroupedMatmul:
    case OpKind::Router: return compute_dtype(timer.device, timer.product_type(op, pass));
    default: return compute_dtype(timer.device, timer.attention_type());  // 16 bits beside narrower matmuls
  }
}

void add_ops(const BlockUse& use, double micro_batches, std::vector<StepOp>& all) {
  const LoweredBlock block(use.block, use.context, use.role);
  for (std::size_t i = 0; i < block.ops.size(); ++i) {
    const LocalOp& op = block.ops[i];
    const double every = use.layers, back = use.backward ? every : 0;
    const std::array<double, 4> runs{every, use.backward ? block.again[i] * use.recomputed_layers : 0, back, back};
    for (const OpPass pass : {OpPass::Forward, OpPass::Recompute, OpPass::DataGrad, OpPass::WeightGrad}) {
      const double count = runs[static_cast<std::size_t>(pass)] * micro_batches;
      const GemmPass kernel = kernel_of(pass);
      const double time_s = count > 0 ? seconds(block.timer, op, kernel) : 0;
      if (!(time_s > 0)) continue;
      all.push_back({use.block.name, op.op->name, op.op->kind, pass, type_of(block.timer, op, kernel), count,
                     block.timer.flops(op, kernel), block.timer.bytes(op, kernel), time_s});
    }
  }
}

}  // namespace

std::vector<StepOp> step_ops(const Job& asked) {
  check_descriptions(asked);
  const ModelSpec model = placed_model(asked.model, asked.strategy, asked.profile);
  const Job job{model,         asked.device,        asked.network, asked.strategy, effective_profile(asked),
                asked.seq_len, asked.other_devices, asked.kinds,   asked.host};
  check_strategy(job);
  const RankGrid grid(job.strategy);
  const GroupPricer groups(job.network, grid);
  std::vector<StepOp> all;
  visit_blocks(job, groups, local_sizes(job.model, job.strategy, job.profile, job.seq_len),
               [&](const BlockUse& use) { add_ops(use, job.micro_batches(), all); });
  return all;
}

}  // namespace dts

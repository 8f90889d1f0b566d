// How a job is laid out over ranks. Names are the field's: see docs/guide/glossary.md.
#pragma once

#include <string>
#include <vector>

#include "hardware/dtype.hpp"
#include "parallel/expert_load.hpp"

namespace dts {

enum class Recompute { None, Selective, Full };
enum class PipelineSchedule { OneFOneB, GPipe };  // 1F1B is interleaved when vpp > 1
enum class Optimizer { SGD, Momentum, Adam };

struct Strategy {
  int dp = 1, tp = 1, pp = 1, vpp = 1, cp = 1, ep = 1, etp = 1;
  bool sequence_parallel = false;
  int zero = 0;  // 0 none, 1 optimizer states, 2 + gradients, 3 + parameters (FSDP)
  int micro_batch = 1;
  int global_batch = 1;
  Recompute recompute = Recompute::None;
  PipelineSchedule schedule = PipelineSchedule::OneFOneB;
  Optimizer optimizer = Optimizer::Adam;
  DType precision = DType::BF16;  // of the matmuls; activations are stored in 2 bytes below fp32
  bool overlap_grad_reduce = true;
  bool overlap_param_gather = true;
  std::string rank_order = "tp-cp-ep-dp-pp";  // fastest-varying axis first
  std::vector<int> layers_per_stage;          // empty = even; one entry per virtual stage, in model order

  // Experts
  Dispatcher moe_dispatcher = Dispatcher::Framework;
  ExpertLoad expert_load;
  double capacity_factor = 0;           // 0 = dropless
  bool pad_to_capacity = false;         // every expert computes its whole capacity
  int moe_max_nodes = 0;                // node-limited routing; 0 = no limit
  bool overlap_shared_experts = false;  // they run beside dispatch and combine
  bool overlap_moe_1f1b = false;        // one micro-batch's exchange runs beside the other's compute
};

inline long long world_size(const Strategy& s) noexcept {
  return static_cast<long long>(s.dp) * s.tp * s.pp * s.cp;
}

}  // namespace dts

#include "parallel/profile.hpp"

#include <utility>

#include "error.hpp"

namespace dts {

void check_profile(const FrameworkProfile& p) {
  Checker check;
  const auto field = [&](const char* name, double value) {
    check.non_negative("framework " + p.name + "." + name, value);
  };
  field("attention_dropout", p.attention_dropout);
  field("head_exchange_bytes", p.head_exchange_bytes);
  field("memory_pass_factor", p.memory_pass_factor);
  field("cross_entropy_bytes", p.cross_entropy_bytes);
  check.require(p.loss_chunks >= 1, "framework " + p.name + ".loss_chunks", number_text(p.loss_chunks), "at least 1");
  field("permute_passes", p.permute_passes);
  field("deepep_permute_passes", p.deepep_permute_passes);
  field("exchange_sms", p.exchange_sms);
  field("expert_bias_forward_bytes", p.expert_bias_forward_bytes);
  field("expert_bias_backward_bytes", p.expert_bias_backward_bytes);
  field("grad_reduce_bytes", p.grad_reduce_bytes);
  check.require(p.main_grad_bytes == 2 || p.main_grad_bytes == 4, "framework " + p.name + ".main_grad_bytes",
                number_text(p.main_grad_bytes), "2 (16-bit gradients) or 4 (an fp32 buffer)");
  field("grad_accumulate_bytes", p.grad_accumulate_bytes);
  field("optimizer_bytes", p.optimizer_bytes);
  field("p2p_launch_s", p.p2p_launch_s);
  field("host_forward_s_per_op", p.host_forward_s_per_op);
  field("host_backward_s_per_op", p.host_backward_s_per_op);
  field("step_cost_s", p.step_cost_s);
  field("workspace_bytes", p.workspace_bytes);
  field("engine_workspace_bytes", p.engine_workspace_bytes);
  field("context_bytes", p.context_bytes);
  const CommunicationLibrary& library = p.communication;
  for (const auto& [name, value] : {std::pair{"simple_bytes", library.simple_bytes},
                                    {"ll_bytes", library.ll_bytes},
                                    {"ll128_bytes", library.ll128_bytes},
                                    {"granularity_bytes", library.granularity_bytes},
                                    {"shared_steps", library.shared_steps},
                                    {"network_chunk_bytes", library.network_chunk_bytes},
                                    {"switch_chunk_bytes", library.switch_chunk_bytes},
                                    {"local_chunk_bytes", library.local_chunk_bytes},
                                    {"switch_buffer_bytes", library.switch_buffer_bytes},
                                    {"point_to_point_Bps", library.point_to_point_Bps},
                                    {"ring_Bps", library.ring_Bps},
                                    {"link_share", library.link_share}})
    check.non_negative("framework " + p.name + ".communication." + name, value);
  field("bucket_parameters_per_rank", p.bucket_parameters_per_rank);
  check.require(p.vocabulary_multiple >= 1, "framework " + p.name + ".vocabulary_multiple",
                number_text(p.vocabulary_multiple), "a number >= 1");
  field("bucket_parameters", p.bucket_parameters);
  field("first_bucket_parameters", p.first_bucket_parameters);
  field("param_gather_ahead", p.param_gather_ahead);
  field("fsdp_reductions_in_flight", p.fsdp_reductions_in_flight);
  field("fsdp_gather_copy_bytes", p.fsdp_gather_copy_bytes);
  field("fsdp_reduce_copy_bytes", p.fsdp_reduce_copy_bytes);
  field("fsdp_unsharded_stages", p.fsdp_unsharded_stages);
  check.require(p.zero_under_pp >= 0 && p.zero_under_pp <= 3, "framework " + p.name + ".zero_under_pp",
                std::to_string(p.zero_under_pp), "a ZeRO stage, 0 to 3");
  check.require(p.host_update_efficiency > 0 && p.host_update_efficiency <= 1,
                "framework " + p.name + ".host_update_efficiency", number_text(p.host_update_efficiency),
                "above 0, at most 1");
  check.require(p.reserved_factor >= 1, "framework " + p.name + ".reserved_factor", number_text(p.reserved_factor),
                "a factor >= 1");
  check.require(p.tp_overlap != TpOverlap::AsyncTp || p.compiled_blocks, "framework " + p.name + ".tp_overlap",
                "async_tp", "compiled blocks: the compiler does the splitting",
                "use compiled_blocks=True or another tp_overlap");
  check.require(p.moe_dispatcher != Dispatcher::Framework, "framework " + p.name + ".moe_dispatcher", "framework",
                "alltoall, allgather or deepep");
  check.throw_if_any();
}

}  // namespace dts

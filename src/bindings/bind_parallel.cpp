// Framework profile and the rank grid.
#include <pybind11/native_enum.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings/long_call.hpp"
#include "parallel/layout_check.hpp"
#include "parallel/placed_model.hpp"
#include "parallel/profile.hpp"
#include "parallel/rank_grid.hpp"
#include "parallel/stages.hpp"

namespace py = pybind11;
using namespace pybind11::literals;
using namespace dts;
using Release = py::call_guard<LongCall>;

namespace {

void bind_profile(py::module_& m) {
  py::native_enum<LossKernel>(m, "LossKernel", "enum.Enum")
      .value("IN_PLACE", LossKernel::InPlace)
      .value("MEGATRON", LossKernel::Megatron)
      .value("MEGATRON_JIT", LossKernel::MegatronJit)
      .value("MEGATRON_JIT_AMPERE", LossKernel::MegatronJitAmpere)
      .value("TORCH_EAGER", LossKernel::TorchEager)
      .value("TORCH_COMPILED", LossKernel::TorchCompiled)
      .value("NANOTRON", LossKernel::Nanotron)
      .finalize();
  py::native_enum<SelectiveRule>(m, "SelectiveRule", "enum.Enum")
      .value("CORE_ATTENTION", SelectiveRule::CoreAttention)
      .value("ALTERNATE_MATMULS", SelectiveRule::AlternateMatmuls)
      .value("ALL_BUT_ATTENTION", SelectiveRule::AllButAttention)
      .finalize();
  py::native_enum<TpOverlap>(m, "TpOverlap", "enum.Enum")
      .value("NONE", TpOverlap::None)
      .value("BULK", TpOverlap::Bulk)
      .value("USERBUFFERS", TpOverlap::Userbuffers)
      .value("ASYNC_TP", TpOverlap::AsyncTp)
      .finalize();
  py::native_enum<KvHeads>(m, "KvHeads", "enum.Enum")
      .value("REFUSE", KvHeads::Refuse)
      .value("REPLICATE", KvHeads::Replicate)
      .value("GATHER", KvHeads::Gather)
      .finalize();
  py::native_enum<BackwardPrefetch>(m, "BackwardPrefetch", "enum.Enum")
      .value("PRE", BackwardPrefetch::Pre)
      .value("POST", BackwardPrefetch::Post)
      .value("NONE", BackwardPrefetch::None)
      .finalize();
  py::class_<FrameworkProfile>(m, "FrameworkProfile")
      .def(py::init<>())
      .def_readwrite("name", &FrameworkProfile::name)
      .def_readwrite("selective", &FrameworkProfile::selective)
      .def_readwrite("flash_attention", &FrameworkProfile::flash_attention)
      .def_readwrite("causal_skip", &FrameworkProfile::causal_skip)
      .def_readwrite("attention_dropout", &FrameworkProfile::attention_dropout)
      .def_readwrite("memory_pass_factor", &FrameworkProfile::memory_pass_factor)
      .def_readwrite("cross_entropy_bytes", &FrameworkProfile::cross_entropy_bytes)
      .def_readwrite("loss_kernel", &FrameworkProfile::loss_kernel)
      .def_readwrite("loss_chunks", &FrameworkProfile::loss_chunks)
      .def_readwrite("grouped_single_launch", &FrameworkProfile::grouped_single_launch)
      .def_readwrite("tp_overlap", &FrameworkProfile::tp_overlap)
      .def_readwrite("kv_heads_below_tp", &FrameworkProfile::kv_heads_below_tp)
      .def_readwrite("vocabulary_multiple", &FrameworkProfile::vocabulary_multiple)
      .def_readwrite("cached_casts", &FrameworkProfile::cached_casts)
      .def_readwrite("fused_casts", &FrameworkProfile::fused_casts)
      .def_readwrite("cast_before_gather", &FrameworkProfile::cast_before_gather)
      .def_readwrite("cast_parameters", &FrameworkProfile::cast_parameters)
      .def_readwrite("moe_dispatcher", &FrameworkProfile::moe_dispatcher)
      .def_readwrite("permute_passes", &FrameworkProfile::permute_passes)
      .def_readwrite("deepep_permute_passes", &FrameworkProfile::deepep_permute_passes)
      .def_readwrite("head_exchange_bytes", &FrameworkProfile::head_exchange_bytes)
      .def_readwrite("exchange_sms", &FrameworkProfile::exchange_sms)
      .def_readwrite("fused_experts", &FrameworkProfile::fused_experts)
      .def_readwrite("expert_bias_forward_bytes", &FrameworkProfile::expert_bias_forward_bytes)
      .def_readwrite("expert_bias_backward_bytes", &FrameworkProfile::expert_bias_backward_bytes)
      .def_readwrite("moe_router_fp32", &FrameworkProfile::moe_router_fp32)
      .def_readwrite("grad_reduce_bytes", &FrameworkProfile::grad_reduce_bytes)
      .def_readwrite("main_grad_bytes", &FrameworkProfile::main_grad_bytes)
      .def_readwrite("grad_accumulate_bytes", &FrameworkProfile::grad_accumulate_bytes)
      .def_readwrite("bucket_parameters", &FrameworkProfile::bucket_parameters)
      .def_readwrite("bucket_parameters_per_rank", &FrameworkProfile::bucket_parameters_per_rank)
      .def_readwrite("first_bucket_parameters", &FrameworkProfile::first_bucket_parameters)
      .def_readwrite("bucket_first_stage_only", &FrameworkProfile::bucket_first_stage_only)
      .def_readwrite("buckets_without_overlap", &FrameworkProfile::buckets_without_overlap)
      .def_readwrite("reduce_to_owner", &FrameworkProfile::reduce_to_owner)
      .def_readwrite("param_gather_ahead", &FrameworkProfile::param_gather_ahead)
      .def_readwrite("fsdp_reduce_every_micro_batch", &FrameworkProfile::fsdp_reduce_every_micro_batch)
      .def_readwrite("reshard_after_forward", &FrameworkProfile::reshard_after_forward)
      .def_readwrite("fsdp_backward_prefetch", &FrameworkProfile::fsdp_backward_prefetch)
      .def_readwrite("fsdp_gather_copy_bytes", &FrameworkProfile::fsdp_gather_copy_bytes)
      .def_readwrite("fsdp_reduce_copy_bytes", &FrameworkProfile::fsdp_reduce_copy_bytes)
      .def_readwrite("fsdp_reductions_in_flight", &FrameworkProfile::fsdp_reductions_in_flight)
      .def_readwrite("fsdp_keeps_under_pp", &FrameworkProfile::fsdp_keeps_under_pp)
      .def_readwrite("recompute_stops_early", &FrameworkProfile::recompute_stops_early)
      .def_readwrite("interference", &FrameworkProfile::interference)
      .def_readwrite("p2p_blocking", &FrameworkProfile::p2p_blocking)
      .def_readwrite("p2p_blocking_interleaved", &FrameworkProfile::p2p_blocking_interleaved)
      .def_readwrite("p2p_sliced_over_tp", &FrameworkProfile::p2p_sliced_over_tp)
      .def_readwrite("p2p_metadata_messages", &FrameworkProfile::p2p_metadata_messages)
      .def_readwrite("p2p_launch_s", &FrameworkProfile::p2p_launch_s)
      .def_readwrite("fsdp_unsharded_stages", &FrameworkProfile::fsdp_unsharded_stages)
      .def_readwrite("optimizer_bytes", &FrameworkProfile::optimizer_bytes)
      .def_readwrite("host_update_efficiency", &FrameworkProfile::host_update_efficiency)
      .def_readwrite("host_forward_s_per_op", &FrameworkProfile::host_forward_s_per_op)
      .def_readwrite("host_backward_s_per_op", &FrameworkProfile::host_backward_s_per_op)
      .def_readwrite("launch_blocking", &FrameworkProfile::launch_blocking)
      .def_readwrite("step_cost_s", &FrameworkProfile::step_cost_s)
      .def_readwrite("fp32_shards", &FrameworkProfile::fp32_shards)
      .def_readwrite("dummy_weight_gradients", &FrameworkProfile::dummy_weight_gradients)
      .def_readwrite("gather_buffers", &FrameworkProfile::gather_buffers)
      .def_readwrite("layers_gather_anew", &FrameworkProfile::layers_gather_anew)
      .def_readwrite("gradient_buckets", &FrameworkProfile::gradient_buckets)
      .def_readwrite("accumulates_after_backward", &FrameworkProfile::accumulates_after_backward)
      .def_readwrite("flat_reduce_bucket", &FrameworkProfile::flat_reduce_bucket)
      .def_readwrite("casts_gradient_slice", &FrameworkProfile::casts_gradient_slice)
      .def_readwrite("flat_weight_gather", &FrameworkProfile::flat_weight_gather)
      .def_readwrite("queue_forward_per_op", &FrameworkProfile::queue_forward_per_op)
      .def_readwrite("queue_backward_per_op", &FrameworkProfile::queue_backward_per_op)
      .def_readwrite("keeps_gradients", &FrameworkProfile::keeps_gradients)
      .def_readwrite("packed_attention", &FrameworkProfile::packed_attention)
      .def_readwrite("states_before_training", &FrameworkProfile::states_before_training)
      .def_readwrite("narrow_parameters", &FrameworkProfile::narrow_parameters)
      .def_readwrite("score_buffer", &FrameworkProfile::score_buffer)
      .def_readwrite("eager_norm", &FrameworkProfile::eager_norm)
      .def_readwrite("eager_gate", &FrameworkProfile::eager_gate)
      .def_readwrite("zero_under_pp", &FrameworkProfile::zero_under_pp)
      .def_readwrite("head_keeps_gathered_input", &FrameworkProfile::head_keeps_gathered_input)
      .def_readwrite("keeps_stage_outputs", &FrameworkProfile::keeps_stage_outputs)
      .def_readwrite("compiled_blocks", &FrameworkProfile::compiled_blocks)
      .def_readwrite("workspace_bytes", &FrameworkProfile::workspace_bytes)
      .def_readwrite("engine_workspace_bytes", &FrameworkProfile::engine_workspace_bytes)
      .def_readwrite("context_bytes", &FrameworkProfile::context_bytes)
      .def_readwrite("communication", &FrameworkProfile::communication)
      .def_readwrite("reserved_factor", &FrameworkProfile::reserved_factor);
}

void bind_communication_library(py::module_& m) {
  py::class_<CommunicationLibrary>(m, "CommunicationLibrary")
      .def(py::init<>())
      .def_readwrite("simple_bytes", &CommunicationLibrary::simple_bytes)
      .def_readwrite("ll_bytes", &CommunicationLibrary::ll_bytes)
      .def_readwrite("ll128_bytes", &CommunicationLibrary::ll128_bytes)
      .def_readwrite("granularity_bytes", &CommunicationLibrary::granularity_bytes)
      .def_readwrite("shared_steps", &CommunicationLibrary::shared_steps)
      .def_readwrite("network_chunk_bytes", &CommunicationLibrary::network_chunk_bytes)
      .def_readwrite("switch_chunk_bytes", &CommunicationLibrary::switch_chunk_bytes)
      .def_readwrite("local_chunk_bytes", &CommunicationLibrary::local_chunk_bytes)
      .def_readwrite("switch_buffer_bytes", &CommunicationLibrary::switch_buffer_bytes)
      .def_readwrite("point_to_point_Bps", &CommunicationLibrary::point_to_point_Bps)
      .def_readwrite("ring_Bps", &CommunicationLibrary::ring_Bps)
      .def_readwrite("link_share", &CommunicationLibrary::link_share)
      .def_readwrite("pool_of_sends", &CommunicationLibrary::pool_of_sends)
      .def_readwrite("connects_on_use", &CommunicationLibrary::connects_on_use);
}

}  // namespace

void bind_parallel(py::module_& m) {
  bind_communication_library(m);
  bind_profile(m);
  py::native_enum<Axis>(m, "Axis", "enum.Enum")
      .value("TP", Axis::TP)
      .value("CP", Axis::CP)
      .value("DP", Axis::DP)
      .value("PP", Axis::PP)
      .value("EP", Axis::EP)
      .value("ETP", Axis::ETP)
      .value("EDP", Axis::EDP)
      .value("DP_CP", Axis::DP_CP)
      .value("CP_HEADS", Axis::CP_HEADS)
      .value("CP_SEQUENCE", Axis::CP_SEQUENCE)
      .value("DP_SHARD", Axis::DP_SHARD)
      .value("DP_REPLICA", Axis::DP_REPLICA)
      .value("DP_RESHARD", Axis::DP_RESHARD)
      .value("EDP_SHARD", Axis::EDP_SHARD)
      .value("EDP_REPLICA", Axis::EDP_REPLICA)
      .value("EDP_RESHARD", Axis::EDP_RESHARD)
      .finalize();
  py::class_<RankGrid>(m, "RankGrid")
      .def(py::init<const Strategy&>(), "strategy"_a)
      .def_property_readonly("world", &RankGrid::world)
      .def("size", &RankGrid::size, "axis"_a)
      .def("coordinate", &RankGrid::coordinate, "rank"_a, "axis"_a)
      .def("group", &RankGrid::group, "rank"_a, "axis"_a)
      .def("groups", &RankGrid::groups, "axis"_a, Release());
  m.def("placed_model", &placed_model, "model"_a, "strategy"_a, "profile"_a, Release());
  m.def("check_layout", py::overload_cast<const ModelSpec&, const Strategy&, long long, double>(&check_layout),
        "model"_a, "strategy"_a, "devices"_a, "seq_len"_a, Release());
  m.def("layers_per_virtual_stage", &layers_per_virtual_stage, "layers"_a, "strategy"_a);
}

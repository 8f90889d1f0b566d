// Strategy, framework profile and the rank grid.
#include <pybind11/native_enum.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "parallel/layout_check.hpp"
#include "parallel/placed_model.hpp"
#include "parallel/profile.hpp"
#include "parallel/rank_grid.hpp"
#include "parallel/stages.hpp"

namespace py = pybind11;
using namespace pybind11::literals;
using namespace dts;
using Release = py::call_guard<py::gil_scoped_release>;

namespace {

void bind_strategy(py::module_& m) {
  py::native_enum<Recompute>(m, "Recompute", "enum.Enum")
      .value("NONE", Recompute::None)
      .value("SELECTIVE", Recompute::Selective)
      .value("FULL", Recompute::Full)
      .finalize();
  py::native_enum<PipelineSchedule>(m, "PipelineSchedule", "enum.Enum")
      .value("ONE_F_ONE_B", PipelineSchedule::OneFOneB)
      .value("GPIPE", PipelineSchedule::GPipe)
      .value("LOOPED_BFS", PipelineSchedule::LoopedBfs)
      .value("ZB_H1", PipelineSchedule::ZbH1)
      .value("ZB_H2", PipelineSchedule::ZbH2)
      .value("ZB_1P", PipelineSchedule::Zb1p)
      .value("ZB_2P", PipelineSchedule::Zb2p)
      .value("ZB_V", PipelineSchedule::ZbV)
      .value("V_HALF", PipelineSchedule::VHalf)
      .value("V_MIN", PipelineSchedule::VMin)
      .value("DUALPIPE", PipelineSchedule::DualPipe)
      .value("DUALPIPE_V", PipelineSchedule::DualPipeV)
      .value("HANAYO", PipelineSchedule::Hanayo)
      .finalize();
  py::native_enum<Optimizer>(m, "Optimizer", "enum.Enum")
      .value("SGD", Optimizer::SGD)
      .value("MOMENTUM", Optimizer::Momentum)
      .value("ADAM", Optimizer::Adam)
      .value("ADAM_8BIT", Optimizer::Adam8bit)
      .value("ADAFACTOR", Optimizer::Adafactor)
      .value("MUON", Optimizer::Muon)
      .finalize();
  py::native_enum<OptimizerKernels>(m, "OptimizerKernels", "enum.Enum")
      .value("FRAMEWORK", OptimizerKernels::Framework)
      .value("FUSED", OptimizerKernels::Fused)
      .value("FOREACH", OptimizerKernels::Foreach)
      .finalize();
  py::native_enum<MuonTp>(m, "MuonTp", "enum.Enum")
      .value("BLOCKWISE", MuonTp::Blockwise)
      .value("DUPLICATED", MuonTp::Duplicated)
      .value("DISTRIBUTED", MuonTp::Distributed)
      .finalize();
  py::native_enum<Int8Recipe>(m, "Int8Recipe", "enum.Enum")
      .value("ROWWISE", Int8Recipe::Rowwise)
      .value("SWITCHBACK", Int8Recipe::SwitchBack)
      .finalize();
  py::native_enum<PipelineTransfers>(m, "PipelineTransfers", "enum.Enum")
      .value("FRAMEWORK", PipelineTransfers::Framework)
      .value("OVERLAPPED", PipelineTransfers::Overlapped)
      .value("BLOCKING", PipelineTransfers::Blocking)
      .finalize();
  py::native_enum<ContextComm>(m, "ContextComm", "enum.Enum")
      .value("P2P", ContextComm::P2P)
      .value("ALL_GATHER", ContextComm::AllGather)
      .value("A2A", ContextComm::A2A)
      .value("A2A_P2P", ContextComm::A2AP2P)
      .finalize();
  py::native_enum<Fp8Recipe>(m, "Fp8Recipe", "enum.Enum")
      .value("TENSORWISE", Fp8Recipe::Tensorwise)
      .value("DELAYED", Fp8Recipe::Delayed)
      .value("BLOCKWISE", Fp8Recipe::Blockwise)
      .value("MXFP8", Fp8Recipe::MXFP8)
      .finalize();
  py::native_enum<GradDType>(m, "GradDType", "enum.Enum")
      .value("FRAMEWORK", GradDType::Framework)
      .value("BF16", GradDType::BF16)
      .value("FP32", GradDType::FP32)
      .finalize();
  py::native_enum<Dispatcher>(m, "Dispatcher", "enum.Enum")
      .value("FRAMEWORK", Dispatcher::Framework)
      .value("ALLTOALL", Dispatcher::AllToAll)
      .value("ALLGATHER", Dispatcher::AllGather)
      .value("DEEPEP", Dispatcher::DeepEP)
      .finalize();
  py::native_enum<LoadKind>(m, "LoadKind", "enum.Enum")
      .value("BALANCED", LoadKind::Balanced)
      .value("UNIFORM", LoadKind::Uniform)
      .value("ZIPF", LoadKind::Zipf)
      .value("POWER_LAW", LoadKind::PowerLaw)
      .value("HISTOGRAM", LoadKind::Histogram)
      .finalize();
  py::class_<ExpertLoad>(m, "ExpertLoad")
      .def(py::init<>())
      .def_readwrite("kind", &ExpertLoad::kind)
      .def_readwrite("exponent", &ExpertLoad::exponent)
      .def_readwrite("histogram", &ExpertLoad::histogram)
      .def_readwrite("seed", &ExpertLoad::seed);
  py::class_<Strategy>(m, "Strategy")
      .def(py::init<>())
      .def_readwrite("dp", &Strategy::dp)
      .def_readwrite("tp", &Strategy::tp)
      .def_readwrite("pp", &Strategy::pp)
      .def_readwrite("vpp", &Strategy::vpp)
      .def_readwrite("cp", &Strategy::cp)
      .def_readwrite("ep", &Strategy::ep)
      .def_readwrite("etp", &Strategy::etp)
      .def_readwrite("sequence_parallel", &Strategy::sequence_parallel)
      .def_readwrite("zero", &Strategy::zero)
      .def_readwrite("micro_batch", &Strategy::micro_batch)
      .def_readwrite("global_batch", &Strategy::global_batch)
      .def_readwrite("recompute", &Strategy::recompute)
      .def_readwrite("schedule", &Strategy::schedule)
      .def_readwrite("optimizer", &Strategy::optimizer)
      .def_readwrite("optimizer_kernels", &Strategy::optimizer_kernels)
      .def_readwrite("muon_tp", &Strategy::muon_tp)
      .def_readwrite("precision", &Strategy::precision)
      .def_readwrite("fp8_recipe", &Strategy::fp8_recipe)
      .def_readwrite("int8_recipe", &Strategy::int8_recipe)
      .def_readwrite("cp_comm", &Strategy::cp_comm)
      .def_readwrite("cp_a2a", &Strategy::cp_a2a)
      .def_readwrite("overlap_grad_reduce", &Strategy::overlap_grad_reduce)
      .def_readwrite("overlap_param_gather", &Strategy::overlap_param_gather)
      .def_readwrite("dp_replicas", &Strategy::dp_replicas)
      .def_readwrite("reshard_after_forward", &Strategy::reshard_after_forward)
      .def_readwrite("grad_dtype", &Strategy::grad_dtype)
      .def_readwrite("offload_optimizer", &Strategy::offload_optimizer)
      .def_readwrite("offload_parameters", &Strategy::offload_parameters)
      .def_readwrite("offload_activations", &Strategy::offload_activations)
      .def_readwrite("rank_order", &Strategy::rank_order)
      .def_readwrite("layers_per_stage", &Strategy::layers_per_stage)
      .def_readwrite("moe_dispatcher", &Strategy::moe_dispatcher)
      .def_readwrite("expert_load", &Strategy::expert_load)
      .def_readwrite("capacity_factor", &Strategy::capacity_factor)
      .def_readwrite("pad_to_capacity", &Strategy::pad_to_capacity)
      .def_readwrite("moe_max_nodes", &Strategy::moe_max_nodes)
      .def_readwrite("overlap_shared_experts", &Strategy::overlap_shared_experts)
      .def_readwrite("overlap_moe_1f1b", &Strategy::overlap_moe_1f1b)
      .def_readwrite("first_rank_layers", &Strategy::first_rank_layers)
      .def_readwrite("last_rank_layers", &Strategy::last_rank_layers)
      .def_readwrite("embedding_as_layer", &Strategy::embedding_as_layer)
      .def_readwrite("loss_as_layer", &Strategy::loss_as_layer)
      .def_readwrite("delay_weight_grad", &Strategy::delay_weight_grad)
      .def_readwrite("p2p", &Strategy::p2p)
      .def_readwrite("optimizer_post_validation", &Strategy::optimizer_post_validation)
      .def_readwrite("micro_batch_group", &Strategy::micro_batch_group)
      .def_readwrite("custom_order", &Strategy::custom_order);
}

void bind_profile(py::module_& m) {
  py::native_enum<SelectiveRule>(m, "SelectiveRule", "enum.Enum")
      .value("CORE_ATTENTION", SelectiveRule::CoreAttention)
      .value("ALTERNATE_MATMULS", SelectiveRule::AlternateMatmuls)
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
      .def_readwrite("logits_peak_bytes", &FrameworkProfile::logits_peak_bytes)
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
      .def_readwrite("fsdp_reductions_in_flight", &FrameworkProfile::fsdp_reductions_in_flight)
      .def_readwrite("fsdp_keeps_under_pp", &FrameworkProfile::fsdp_keeps_under_pp)
      .def_readwrite("recompute_stops_early", &FrameworkProfile::recompute_stops_early)
      .def_readwrite("interference", &FrameworkProfile::interference)
      .def_readwrite("p2p_blocking", &FrameworkProfile::p2p_blocking)
      .def_readwrite("p2p_blocking_interleaved", &FrameworkProfile::p2p_blocking_interleaved)
      .def_readwrite("p2p_sliced_over_tp", &FrameworkProfile::p2p_sliced_over_tp)
      .def_readwrite("p2p_metadata_messages", &FrameworkProfile::p2p_metadata_messages)
      .def_readwrite("fsdp_unsharded_stages", &FrameworkProfile::fsdp_unsharded_stages)
      .def_readwrite("optimizer_bytes", &FrameworkProfile::optimizer_bytes)
      .def_readwrite("host_update_efficiency", &FrameworkProfile::host_update_efficiency)
      .def_readwrite("host_forward_s_per_op", &FrameworkProfile::host_forward_s_per_op)
      .def_readwrite("host_backward_s_per_op", &FrameworkProfile::host_backward_s_per_op)
      .def_readwrite("step_cost_s", &FrameworkProfile::step_cost_s)
      .def_readwrite("fp32_shards", &FrameworkProfile::fp32_shards)
      .def_readwrite("dummy_weight_gradients", &FrameworkProfile::dummy_weight_gradients)
      .def_readwrite("gather_buffers", &FrameworkProfile::gather_buffers)
      .def_readwrite("layers_gather_anew", &FrameworkProfile::layers_gather_anew)
      .def_readwrite("gradient_buckets", &FrameworkProfile::gradient_buckets)
      .def_readwrite("flat_weight_gather", &FrameworkProfile::flat_weight_gather)
      .def_readwrite("batch_first_attention", &FrameworkProfile::batch_first_attention)
      .def_readwrite("narrow_parameters", &FrameworkProfile::narrow_parameters)
      .def_readwrite("score_buffer", &FrameworkProfile::score_buffer)
      .def_readwrite("eager_norm", &FrameworkProfile::eager_norm)
      .def_readwrite("eager_gate", &FrameworkProfile::eager_gate)
      .def_readwrite("compiled_blocks", &FrameworkProfile::compiled_blocks)
      .def_readwrite("workspace_bytes", &FrameworkProfile::workspace_bytes)
      .def_readwrite("context_bytes", &FrameworkProfile::context_bytes)
      .def_readwrite("reserved_factor", &FrameworkProfile::reserved_factor);
}

}  // namespace

void bind_parallel(py::module_& m) {
  bind_strategy(m);
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
  m.def("check_layout", &check_layout, "model"_a, "strategy"_a, "devices"_a, "seq_len"_a, Release());
  m.def("layers_per_virtual_stage", &layers_per_virtual_stage, "layers"_a, "strategy"_a);
}

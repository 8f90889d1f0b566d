// Cost formulas of single ops, and the ComputeModel façade.
#include <pybind11/native_enum.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings/long_call.hpp"
#include "bindings/pickle.hpp"
#include "compute/attention.hpp"
#include "compute/byte_costs.hpp"
#include "compute/conv.hpp"
#include "compute/gemm.hpp"
#include "compute/grouped.hpp"
#include "compute/memory_bound.hpp"
#include "compute/optimizer.hpp"
#include "compute/quantise.hpp"
#include "compute_model.hpp"

namespace py = pybind11;
using namespace pybind11::literals;
using dts::AttentionShape;
using dts::Clock;
using dts::ComputeModel;
using dts::ConvShape;
using dts::GemmShape;
using Release = py::call_guard<LongCall>;

namespace {

void bind_shapes(py::module_& m) {
  py::native_enum<dts::GemmPass>(m, "GemmPass", "enum.Enum")
      .value("FORWARD", dts::GemmPass::Forward)
      .value("DATA_GRAD", dts::GemmPass::DataGrad)
      .value("WEIGHT_GRAD", dts::GemmPass::WeightGrad)
      .finalize();
  py::native_enum<dts::QuantiseRecipe>(m, "QuantiseRecipe", "enum.Enum")
      .value("FP8_TENSOR", dts::QuantiseRecipe::Fp8Tensor)
      .value("FP8_BLOCK", dts::QuantiseRecipe::Fp8Block)
      .value("FP4_BLOCK", dts::QuantiseRecipe::Fp4Block)
      .value("FP8_DELAYED", dts::QuantiseRecipe::Fp8Delayed)
      .value("MXFP8", dts::QuantiseRecipe::Mxfp8)
      .finalize();
  py::class_<GemmShape>(m, "GemmShape")
      .def(py::init([](double rows, double n, double k, double batch) { return GemmShape{rows, n, k, batch}; }), "m"_a,
           "n"_a, "k"_a, "batch"_a = 1.0)
      .def_readwrite("m", &GemmShape::m)
      .def_readwrite("n", &GemmShape::n)
      .def_readwrite("k", &GemmShape::k)
      .def_readwrite("batch", &GemmShape::batch);
  py::class_<AttentionShape>(m, "AttentionShape")
      .def(py::init<>())
      .def_readwrite("batch", &AttentionShape::batch)
      .def_readwrite("heads", &AttentionShape::heads)
      .def_readwrite("kv_heads", &AttentionShape::kv_heads)
      .def_readwrite("q_len", &AttentionShape::q_len)
      .def_readwrite("kv_len", &AttentionShape::kv_len)
      .def_readwrite("qk_dim", &AttentionShape::qk_dim)
      .def_readwrite("v_dim", &AttentionShape::v_dim)
      .def_readwrite("causal", &AttentionShape::causal)
      .def_readwrite("window", &AttentionShape::window);
  py::class_<ConvShape>(m, "ConvShape")
      .def(py::init<>())
      .def_readwrite("samples", &ConvShape::samples)
      .def_readwrite("in_channels", &ConvShape::in_channels)
      .def_readwrite("out_channels", &ConvShape::out_channels)
      .def_readwrite("kernel_area", &ConvShape::kernel_area)
      .def_readwrite("input_positions", &ConvShape::input_positions)
      .def_readwrite("output_positions", &ConvShape::output_positions)
      .def_readwrite("groups", &ConvShape::groups);
  py::class_<dts::GroupedKernel>(m, "GroupedKernel")
      .def(py::init<>())
      .def_readwrite("forward_rate", &dts::GroupedKernel::forward_rate)
      .def_readwrite("data_grad_rate", &dts::GroupedKernel::data_grad_rate)
      .def_readwrite("weight_grad_rate", &dts::GroupedKernel::weight_grad_rate)
      .def_readwrite("forward_group_s", &dts::GroupedKernel::forward_group_s)
      .def_readwrite("data_grad_group_s", &dts::GroupedKernel::data_grad_group_s)
      .def_readwrite("weight_grad_group_s", &dts::GroupedKernel::weight_grad_group_s);
  py::class_<dts::UnfusedAttentionBytes>(m, "UnfusedAttentionBytes")
      .def(py::init<>())
      .def_readwrite("forward_bytes_per_score", &dts::UnfusedAttentionBytes::forward_bytes_per_score)
      .def_readwrite("backward_bytes_per_score", &dts::UnfusedAttentionBytes::backward_bytes_per_score);
}

void bind_formulas(py::module_& m) {
  m.def("pass_shape", &dts::pass_shape, "forward"_a, "gemm_pass"_a);
  m.def("gemm_time_s", &dts::gemm_time_s, "device"_a, "dtype"_a, "shape"_a, "gemm_pass"_a, "output_bytes_per_element"_a,
        "clock"_a = Clock::Sustained, Release());
  m.attr("GROUPED_SINGLE_LAUNCH") = py::cast(dts::kGroupedSingleLaunch);
  m.attr("GROUPED_MULTI_STREAM") = py::cast(dts::kGroupedMultiStream);
  m.def("grouped_gemm_time_s", &dts::grouped_gemm_time_s, "device"_a, "dtype"_a, "groups"_a, "per_group"_a,
        "gemm_pass"_a, "output_bytes_per_element"_a, "kernel"_a = dts::kGroupedSingleLaunch,
        "clock"_a = Clock::Sustained, Release());
  m.def("grouped_rows_time_s", &dts::grouped_rows_time_s, "device"_a, "dtype"_a, "rows"_a, "out_features"_a,
        "in_features"_a, "gemm_pass"_a, "output_bytes_per_element"_a, "kernel"_a = dts::kGroupedSingleLaunch,
        "clock"_a = Clock::Sustained, Release());
  m.def("flash_attention_time_s", &dts::flash_attention_time_s, "device"_a, "dtype"_a, "shape"_a, "backward"_a,
        "causal_skip"_a = true, "clock"_a = Clock::Sustained, Release());
  m.def("unfused_attention_time_s", &dts::unfused_attention_time_s, "device"_a, "dtype"_a, "shape"_a, "backward"_a,
        "bytes"_a = dts::UnfusedAttentionBytes{}, Release());
  m.def("conv_gemm", &dts::conv_gemm, "shape"_a, "gemm_pass"_a);
  m.def("conv_time_s", &dts::conv_time_s, "device"_a, "dtype"_a, "shape"_a, "gemm_pass"_a, "output_bytes_per_element"_a,
        "clock"_a = Clock::Sustained, Release());
  m.def("stream_time_s", &dts::stream_time_s, "device"_a, "bytes"_a, Release());
  m.def("norm_time_s", &dts::norm_time_s, "device"_a, "bytes"_a, Release());
  m.def("permute_time_s", &dts::permute_time_s, "device"_a, "bytes"_a, Release());
  m.def("roofline_time_s", &dts::roofline_time_s, "device"_a, "dtype"_a, "flops"_a, "bytes"_a, Release());
  m.def("quantise_time_s", &dts::quantise_time_s, "device"_a, "recipe"_a, "elements"_a, "directions"_a = 1,
        "tensors"_a = 1, Release());
  m.def("optimizer_time_s", &dts::optimizer_time_s, "device"_a, "parameters"_a, "bytes_per_parameter"_a, Release());
  m.def("fused_update_bytes", &dts::fused_update_bytes, "states"_a, "state_bytes"_a = 4.0, "gradient_bytes"_a = 4.0,
        "copy_bytes"_a = 0.0);
  m.def("foreach_adamw_bytes", &dts::foreach_adamw_bytes, "element_bytes"_a);
  m.def("embedding_forward_bytes", &dts::embedding_forward_bytes, "tokens"_a, "hidden"_a, "element_bytes"_a);
  m.def("embedding_backward_bytes", &dts::embedding_backward_bytes, "tokens"_a, "hidden"_a, "element_bytes"_a,
        "vocabulary"_a, "dense_gradient"_a);
  m.def("cross_entropy_bytes_per_logit", &dts::cross_entropy_bytes_per_logit, "fused"_a, "logit_bytes"_a, "backward"_a);
}

void bind_model(py::module_& m) {
  py::class_<dts::OpProfile>(m, "OpProfile")
      .def(py::init([](double flops, double bytes, dts::DType t) { return dts::OpProfile{flops, bytes, t}; }),
           "flops"_a, "bytes"_a, "dtype"_a = dts::DType::BF16)
      .def_readwrite("flops", &dts::OpProfile::flops)
      .def_readwrite("bytes", &dts::OpProfile::bytes)
      .def_readwrite("dtype", &dts::OpProfile::dtype);
  py::class_<dts::GenericWork>(m, "GenericWork")
      .def(py::init([](double parameters, double samples, double activations, dts::DType t) {
             return dts::GenericWork{parameters, samples, activations, t};
           }),
           "parameters"_a, "samples"_a, "activations"_a, "dtype"_a = dts::DType::BF16)
      .def_readwrite("parameters", &dts::GenericWork::parameters)
      .def_readwrite("samples", &dts::GenericWork::samples)
      .def_readwrite("activations", &dts::GenericWork::activations)
      .def_readwrite("dtype", &dts::GenericWork::dtype);
  m.def("pass_profile", &dts::pass_profile, "work"_a);
  // Its devices can be changed and one price takes a microsecond: its calls keep the GIL.
  py::class_<ComputeModel>(m, "ComputeModel")
      .def(py::init<int, const dts::DeviceSpec&>(), "devices"_a, "device"_a)
      .def(
          "__deepcopy__", [](const ComputeModel& model, const py::dict&) { return model; }, "memo"_a)
      .def(py::pickle(
          [](const ComputeModel& model) { return py::make_tuple(model.kinds(), model.kind_of(), model.speeds()); },
          [](const py::tuple& state) {
            check_state(state, 3);
            return ComputeModel(state[0].cast<std::vector<dts::DeviceSpec>>(),
                                state[1].cast<std::vector<std::size_t>>(), state[2].cast<std::vector<double>>());
          }))
      .def_readonly_static("SLOWEST", &ComputeModel::kSlowest)
      .def_property_readonly("devices", &ComputeModel::devices)
      .def("device", &ComputeModel::device, "index"_a)  // a copy
      .def("speed", &ComputeModel::speed, "index"_a)
      .def("set_device", &ComputeModel::set_device, "index"_a, "device"_a)
      .def("set_speed", &ComputeModel::set_speed, "index"_a, "factor"_a)
      .def("forward_time_s", &ComputeModel::forward_time_s, "work"_a, "device"_a)
      .def("backward_time_s", &ComputeModel::backward_time_s, "work"_a, "device"_a)
      .def("weight_update_time_s", &ComputeModel::weight_update_time_s, "parameters"_a, "bytes_per_parameter"_a,
           "device"_a)
      .def("op_time_s", &ComputeModel::op_time_s, "profile"_a, "device"_a)
      .def("matmul_time_s", &ComputeModel::matmul_time_s, "shape"_a, "dtype"_a, "device"_a)
      .def("attention_time_s", &ComputeModel::attention_time_s, "shape"_a, "dtype"_a, "backward"_a, "device"_a);
}

}  // namespace

void bind_compute(py::module_& m) {
  bind_shapes(m);
  bind_formulas(m);
  bind_model(m);
}

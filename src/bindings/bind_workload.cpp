// Workload descriptions: plain structs with named fields.
#include <pybind11/native_enum.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings/long_call.hpp"
#include "workload/flops.hpp"
#include "workload/model.hpp"

namespace py = pybind11;
using namespace pybind11::literals;
using namespace dts;
using Release = py::call_guard<LongCall>;

namespace {

void bind_op(py::module_& m) {
  py::native_enum<OpKind>(m, "OpKind", "enum.Enum")
      .value("MATMUL", OpKind::Matmul)
      .value("GROUPED_MATMUL", OpKind::GroupedMatmul)
      .value("ATTENTION", OpKind::Attention)
      .value("NORM", OpKind::Norm)
      .value("ACTIVATION", OpKind::Activation)
      .value("ELEMENTWISE", OpKind::Elementwise)
      .value("DROPOUT", OpKind::Dropout)
      .value("EMBEDDING", OpKind::Embedding)
      .value("CROSS_ENTROPY", OpKind::CrossEntropy)
      .value("ROUTER", OpKind::Router)
      .value("DISPATCH", OpKind::Dispatch)
      .value("COMBINE", OpKind::Combine)
      .value("CONV2D", OpKind::Conv2d)
      .value("SCAN", OpKind::Scan)
      .value("CUSTOM", OpKind::Custom)
      .finalize();
  py::native_enum<Sharding>(m, "Sharding", "enum.Enum")
      .value("REPLICATED", Sharding::Replicated)
      .value("SEQUENCE", Sharding::Sequence)
      .value("COLUMN", Sharding::Column)
      .value("ROW", Sharding::Row)
      .value("HEADS", Sharding::Heads)
      .value("VOCAB", Sharding::Vocab)
      .value("EXPERT", Sharding::Expert)
      .value("EXPERT_COLUMN", Sharding::ExpertColumn)
      .value("EXPERT_ROW", Sharding::ExpertRow)
      .finalize();
  py::native_enum<Rows>(m, "Rows", "enum.Enum")
      .value("TOKENS", Rows::Tokens)
      .value("ROUTED", Rows::Routed)
      .value("SAMPLES", Rows::Samples)
      .finalize();
  py::class_<Op>(m, "Op")
      .def(py::init<>())
      .def_readwrite("name", &Op::name)
      .def_readwrite("kind", &Op::kind)
      .def_readwrite("sharding", &Op::sharding)
      .def_readwrite("rows", &Op::rows)
      .def_readwrite("input", &Op::input)
      .def_readwrite("in_features", &Op::in_features)
      .def_readwrite("out_features", &Op::out_features)
      .def_readwrite("bias", &Op::bias)
      .def_readwrite("trainable", &Op::trainable)
      .def_readwrite("extra_parameters", &Op::extra_parameters)
      .def_readwrite("heads", &Op::heads)
      .def_readwrite("kv_heads", &Op::kv_heads)
      .def_readwrite("qk_head_dim", &Op::qk_head_dim)
      .def_readwrite("v_head_dim", &Op::v_head_dim)
      .def_readwrite("causal", &Op::causal)
      .def_readwrite("window", &Op::window)
      .def_readwrite("chunk", &Op::chunk)
      .def_readwrite("shared", &Op::shared)
      .def_readwrite("experts", &Op::experts)
      .def_readwrite("top_k", &Op::top_k)
      .def_readwrite("forward_bytes_per_element", &Op::forward_bytes_per_element)
      .def_readwrite("backward_bytes_per_element", &Op::backward_bytes_per_element)
      .def_readwrite("saves_input", &Op::saves_input)
      .def_readwrite("saved_bytes_per_row", &Op::saved_bytes_per_row)
      .def_readwrite("score_dropout", &Op::score_dropout)
      .def_readwrite("alibi", &Op::alibi)
      .def_readwrite("norm_groups", &Op::norm_groups)
      .def_readwrite("norm_has_bias", &Op::norm_has_bias)
      .def_readwrite("output_positions", &Op::output_positions)
      .def_readwrite("kernel_area", &Op::kernel_area)
      .def_readwrite("input_positions", &Op::input_positions)
      .def_readwrite("groups", &Op::groups)
      .def_readwrite("flops_per_row", &Op::flops_per_row)
      .def_readwrite("gathers_output", &Op::gathers_output);
}

// An op's weights from the fields that they follow from: to convert a whole op takes fifty times as long.
double op_parameter_count(OpKind kind, double in_features, double out_features, bool bias, double experts,
                          double norm_groups, bool norm_has_bias, double kernel_area, double groups,
                          double extra_parameters) {
  Op op;
  op.kind = kind;
  op.in_features = in_features;
  op.out_features = out_features;
  op.bias = bias;
  op.experts = experts;
  op.norm_groups = norm_groups;
  op.norm_has_bias = norm_has_bias;
  op.kernel_area = kernel_area;
  op.groups = groups;
  op.extra_parameters = extra_parameters;
  return parameter_count(op);
}

}  // namespace

void bind_workload(py::module_& m) {
  bind_op(m);
  py::class_<Block>(m, "Block")
      .def(py::init<>())
      .def_readwrite("name", &Block::name)
      .def_readwrite("ops", &Block::ops)
      .def_readwrite("tokens_per_sample", &Block::tokens_per_sample);
  py::class_<LayerRun>(m, "LayerRun")
      .def(py::init<>())
      .def_readwrite("block", &LayerRun::block)
      .def_readwrite("repeat", &LayerRun::repeat);
  py::class_<ModelSpec>(m, "ModelSpec")
      .def(py::init<>())
      .def_readwrite("name", &ModelSpec::name)
      .def_readwrite("stem", &ModelSpec::stem)
      .def_readwrite("layers", &ModelSpec::layers)
      .def_readwrite("head", &ModelSpec::head)
      .def_readwrite("encoder", &ModelSpec::encoder)
      .def_readwrite("prediction", &ModelSpec::prediction)
      .def_readwrite("hidden", &ModelSpec::hidden)
      .def_readwrite("tokens_per_sample", &ModelSpec::tokens_per_sample)
      .def_readwrite("tied_embeddings", &ModelSpec::tied_embeddings);
  py::class_<Flops>(m, "Flops").def_readonly("causal", &Flops::causal).def_readonly("full", &Flops::full);
  m.def("op_parameter_count", &op_parameter_count, "kind"_a, "in_features"_a, "out_features"_a, "bias"_a, "experts"_a,
        "norm_groups"_a, "norm_has_bias"_a, "kernel_area"_a, "groups"_a, "extra_parameters"_a);
  m.def("check_model", &check_model, "model"_a, Release());
  m.def("parameter_count", py::overload_cast<const ModelSpec&>(&parameter_count), "model"_a, Release());
  m.def("active_parameter_count", &active_parameter_count, "model"_a, Release());
  m.def("training_flops", &training_flops, "model"_a, "seq_len"_a, Release());
}

// The ops of a step, one by one.
#include <pybind11/native_enum.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings/long_call.hpp"
#include "step/account/step_ops.hpp"

namespace py = pybind11;
using namespace pybind11::literals;
using namespace dts;

namespace {

std::vector<StepOp> run(const ModelSpec& model, const DeviceSpec& device, const Interconnect& network,
                        const Strategy& strategy, const FrameworkProfile& profile, double seq_len,
                        const std::vector<DeviceSpec>& other_devices, const HostShare& host) {
  return step_ops({model, device, network, strategy, profile, seq_len, other_devices, kOneKind, host});
}

}  // namespace

void bind_step_ops(py::module_& m) {
  py::native_enum<OpPass>(m, "OpPass", "enum.Enum")
      .value("FORWARD", OpPass::Forward)
      .value("RECOMPUTE", OpPass::Recompute)
      .value("DATA_GRAD", OpPass::DataGrad)
      .value("WEIGHT_GRAD", OpPass::WeightGrad)
      .finalize();
  py::class_<StepOp>(m, "StepOp")
      .def_readonly("block", &StepOp::block)
      .def_readonly("name", &StepOp::name)
      .def_readonly("kind", &StepOp::kind)
      .def_readonly("pass_", &StepOp::pass)
      .def_readonly("dtype", &StepOp::type)
      .def_readonly("runs", &StepOp::runs)
      .def_readonly("flops", &StepOp::flops)
      .def_readonly("bytes", &StepOp::bytes)
      .def_readonly("time_s", &StepOp::time_s);
  m.def("step_ops", &run, "model"_a, "device"_a, "network"_a, "strategy"_a, "profile"_a, "seq_len"_a,
        "other_devices"_a = std::vector<DeviceSpec>{}, "host"_a = HostShare{}, py::call_guard<LongCall>());
}

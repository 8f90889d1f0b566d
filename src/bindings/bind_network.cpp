// FlowProgram and FlowNetwork; the Python package `network` documents and validates.
#include <pybind11/native_enum.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bindings/long_call.hpp"
#include "communication_model.hpp"
#include "network/astra_compat.hpp"
#include "network/flow_network.hpp"

namespace py = pybind11;
using namespace pybind11::literals;
using dts::FlowNetwork;
using dts::FlowProgram;
using dts::FlowResult;
using Release = py::call_guard<LongCall>;
using Streams = std::vector<std::uint32_t>;

namespace {

// A NumPy array that keeps the result alive: no copy.
py::array_t<double> view(const py::object& owner, const std::vector<double>& values, std::vector<py::ssize_t> shape) {
  return py::array_t<double>(std::move(shape), values.data(), owner);
}

py::array_t<double> row(const py::object& owner, const std::vector<double>& values) {
  return view(owner, values, {static_cast<py::ssize_t>(values.size())});
}

dts::FlowNetworkOptions options_from(dts::PathRouting routing, std::uint64_t seed,
                                     const std::vector<std::pair<int, int>>& dead_links,
                                     const std::vector<std::tuple<int, int, double>>& background,
                                     double reduce_s_per_byte) {
  dts::FlowNetworkOptions options;
  options.paths = {routing, seed, dead_links};
  for (const auto& [from, to, demand_Bps] : background) options.background.push_back({from, to, demand_Bps});
  options.reduce_s_per_byte = reduce_s_per_byte;
  return options;
}

std::vector<std::tuple<int, int, double>> pairs_of(const FlowResult& result) {
  std::vector<std::tuple<int, int, double>> tuples;
  for (const dts::PairBytes& pair : result.pair_bytes) tuples.emplace_back(pair.from, pair.to, pair.bytes);
  return tuples;
}

void bind_program(py::module_& m) {
  py::class_<FlowProgram>(m, "FlowProgram")
      .def(py::init<std::uint32_t>(), "streams"_a)
      .def(
          "add_classic",
          [](FlowProgram& program, dts::CollectiveKind kind, dts::Algorithm algorithm, double bytes, int members,
             const std::vector<int>& dims, bool fused, int chunks) {
            const dts::Schedule schedule = dts::classic_schedule(kind, algorithm, bytes, members, dims);
            return program.add_pattern(dts::make_pattern(schedule, members, {fused, chunks}));
          },
          "kind"_a, "algorithm"_a, "bytes"_a, "members"_a, "dims"_a, "fused"_a, "chunks"_a, Release())
      .def("add_group", &FlowProgram::add_group, "ranks"_a, Release())
      .def("compute", &FlowProgram::compute, "rank"_a, "duration_s"_a, "streams"_a = Streams{}, "release_s"_a = 0.0)
      .def("communicate", &FlowProgram::communicate, "pattern"_a, "group"_a, "streams"_a = Streams{},
           "release_s"_a = 0.0)
      .def("send", &FlowProgram::send, "src"_a, "dst"_a, "bytes"_a, "streams"_a = Streams{}, "release_s"_a = 0.0)
      .def("depend", &FlowProgram::depend, "task"_a, "before"_a)
      .def("set_name", &FlowProgram::set_name, "task"_a, "name"_a);
}

void bind_result(py::module_& m) {
  py::class_<FlowResult>(m, "FlowResult")
      .def_readonly("end_s", &FlowResult::end_s)
      .def_readonly("flows", &FlowResult::flows)
      .def_readonly("events", &FlowResult::events)
      .def_readonly("interval_s", &FlowResult::interval_s)
      .def_property_readonly("start_s",
                             [](const py::object& self) { return row(self, self.cast<const FlowResult&>().start_s); })
      .def_property_readonly("finish_s",
                             [](const py::object& self) { return row(self, self.cast<const FlowResult&>().finish_s); })
      .def_property_readonly(
          "link_bytes", [](const py::object& self) { return row(self, self.cast<const FlowResult&>().link_bytes); })
      .def_property_readonly("pair_bytes", &pairs_of)
      .def_property_readonly("bytes_over_time", [](const py::object& self) {
        const auto& result = self.cast<const FlowResult&>();
        return view(self, result.bytes_over_time,
                    {static_cast<py::ssize_t>(result.link_bytes.size()), static_cast<py::ssize_t>(result.intervals)});
      });
}

using AstraTuple = std::tuple<dts::AstraTopology, int, double, double, dts::AstraAlgorithm>;

double astra_time_ns(const std::vector<AstraTuple>& dims, int chunks, double local_memory_GBps,
                     dts::CollectiveKind kind, double bytes) {
  dts::AstraSystem system;
  for (const auto& [topology, npus, bandwidth_GiBps, latency_ns, algorithm] : dims) {
    system.dims.push_back({topology, npus, bandwidth_GiBps, latency_ns, algorithm});
  }
  system.chunks = chunks;
  system.local_memory_GBps = local_memory_GBps;
  return dts::astra_time_ns(system, kind, bytes);
}

void bind_astra(py::module_& m) {
  py::native_enum<dts::AstraTopology>(m, "AstraTopology", "enum.Enum")
      .value("Ring", dts::AstraTopology::Ring)
      .value("Switch", dts::AstraTopology::Switch)
      .value("FullyConnected", dts::AstraTopology::FullyConnected)
      .finalize();
  py::native_enum<dts::AstraAlgorithm>(m, "AstraAlgorithm", "enum.Enum")
      .value("ring", dts::AstraAlgorithm::Ring)
      .value("direct", dts::AstraAlgorithm::Direct)
      .value("halvingDoubling", dts::AstraAlgorithm::HalvingDoubling)
      .finalize();
  m.def("astra_time_ns", &astra_time_ns, "dims"_a, "chunks"_a, "local_memory_GBps"_a, "kind"_a, "bytes"_a);
}

}  // namespace

void bind_network(py::module_& m) {
  py::native_enum<dts::PathRouting>(m, "Routing", "enum.Enum")
      .value("SHORTEST", dts::PathRouting::Shortest)
      .value("ECMP", dts::PathRouting::Ecmp)
      .value("RAIL_ALIGNED", dts::PathRouting::RailAligned)
      .value("ADAPTIVE", dts::PathRouting::Adaptive)
      .finalize();
  bind_program(m);
  bind_result(m);
  bind_astra(m);
  py::class_<FlowNetwork>(m, "FlowNetwork")
      .def(py::init([](const dts::CommunicationModel& model, dts::PathRouting routing, std::uint64_t seed,
                       const std::vector<std::pair<int, int>>& dead_links,
                       const std::vector<std::tuple<int, int, double>>& background) {
             return FlowNetwork(model.topology(),
                                options_from(routing, seed, dead_links, background, model.reduce_s_per_byte()));
           }),
           Release(), "model"_a, "routing"_a, "seed"_a, "dead_links"_a, "background"_a)
      .def(
          "run",
          [](const FlowNetwork& network, const FlowProgram& program, int intervals, bool pairs) {
            return network.run(program, {intervals, pairs});
          },
          "program"_a, "intervals"_a, "pairs"_a, Release());
}

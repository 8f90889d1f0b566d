// The links of a cluster under a step: options in, names, bytes and use of every link out.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bindings/pickle.hpp"
#include "step/links/flow_step.hpp"

namespace py = pybind11;
using namespace pybind11::literals;
using namespace dts;

namespace {

using Cable = std::tuple<std::string, double, double>;  // name, share, from when
using Background = std::tuple<int, int, double>;        // ranks, bytes/s

FlowStepOptions flow_options(bool rail_optimized, int nodes_per_leaf, int spines, double oversubscription,
                             PathRouting routing, std::uint64_t seed, const std::vector<Cable>& cables,
                             const std::vector<Background>& background) {
  FlowStepOptions options;
  options.network = {rail_optimized, nodes_per_leaf, spines, oversubscription, routing, seed, {}};
  for (const auto& [cable, share, time_s] : cables) options.network.cables.push_back({cable, share, time_s});
  for (const auto& [from, to, demand_Bps] : background) options.background.push_back({from, to, demand_Bps});
  return options;
}

py::array_t<double> table(const std::vector<double>& values, std::size_t rows, std::size_t columns) {
  py::array_t<double> out({static_cast<py::ssize_t>(rows), static_cast<py::ssize_t>(columns)});
  std::copy(values.begin(), values.end(), out.mutable_data());
  return out;
}

py::array_t<double> row(const std::vector<double>& values) {
  return py::array_t<double>(static_cast<py::ssize_t>(values.size()), values.data());
}

py::array_t<double> pair_table(const StepLinks& links) {
  std::vector<double> values;
  for (const PairBytes& pair : links.pairs)
    values.insert(values.end(), {static_cast<double>(pair.from), static_cast<double>(pair.to), pair.bytes});
  return table(values, links.pairs.size(), 3);
}

}  // namespace

void bind_flow_step(py::module_& m) {
  py::class_<FlowStepOptions>(m, "FlowStepOptions")
      .def(py::init(&flow_options), "rail_optimized"_a, "nodes_per_leaf"_a, "spines"_a, "oversubscription"_a,
           "routing"_a, "seed"_a, "cables"_a, "background"_a);
  py::class_<Clos>(m, "Clos")
      .def(py::init([](const ClusterSpec& cluster, const FlowStepOptions& options) {
             return Clos(cluster, options.network);
           }),
           "cluster"_a, "options"_a)
      .def_property_readonly("leaves", &Clos::leaves)
      .def_property_readonly("spines", &Clos::spines)
      .def(
          "leaf_of", [](const Clos& c, int device) { return c.leaf_of(c.nic_of(device)); }, "device"_a)
      .def("names",
           [](const Clos& c) {
             std::vector<std::string> names;
             for (std::size_t link = 0; link < c.size(); ++link) names.push_back(c.name(link));
             return names;
           })
      .def("capacity_Bps",
           [](const Clos& c) {
             py::array_t<double> out(static_cast<py::ssize_t>(c.size()));
             for (std::size_t link = 0; link < c.size(); ++link) out.mutable_data()[link] = c.left_Bps(link);
             return out;
           })
      .def(
          "route",
          [](const Clos& c, int from, int to) {
            std::vector<LinkPart> path;
            c.route(from, to, path);
            std::vector<std::pair<std::uint32_t, double>> parts;
            for (const LinkPart& part : path) parts.emplace_back(part.link, part.part);
            return parts;
          },
          "src"_a, "dst"_a);
  py::class_<PairBytes>(m, "PairBytes").def(pickled(&PairBytes::from, &PairBytes::to, &PairBytes::bytes));
  py::class_<StepLinks>(m, "StepLinks")
      .def_readonly("names", &StepLinks::names)
      .def_readonly("interval_s", &StepLinks::interval_s)
      .def_readonly("events", &StepLinks::events)
      .def_readonly("instances", &StepLinks::instances)
      .def_property_readonly("capacity_Bps", [](const StepLinks& l) { return row(l.capacity_Bps); })
      .def_property_readonly("bytes", [](const StepLinks& l) { return row(l.bytes); })
      .def_property_readonly("busy_bytes",
                             [](const StepLinks& l) { return table(l.busy_bytes, l.names.size(), l.intervals); })
      .def_property_readonly("pairs", &pair_table)
      .def(pickled(&StepLinks::names, &StepLinks::capacity_Bps, &StepLinks::bytes, &StepLinks::busy_bytes,
                   &StepLinks::intervals, &StepLinks::interval_s, &StepLinks::pairs, &StepLinks::events,
                   &StepLinks::instances));
}
